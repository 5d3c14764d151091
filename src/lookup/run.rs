//! One lookup, from reading its files to printing the results.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use kube::ResourceExt;

use super::org::{self, Task};
use super::{Args, Explanation, NumberResult, Outcome, Resolution, Second, output};
use crate::api::Settings;
use crate::cli::{BadInput, FlagError, Manifests, in_thread, print};
use crate::error::print_error;
use crate::exit::Exit;
use crate::phone::{E164, Region, parse, search_phrases};
use crate::plain_text::escaped;
use crate::reason::Reason;
use crate::resolve::{LookedUp, MAX_ALTERNATIVES, ResolveError, Resolver, why};
use crate::salesforce::{Connection, Credentials, FingerprintKey, Transport};
use crate::shutdown::{Shutdown, Stopped};
use crate::{decide, salesforce};

/// The most log-ins: one, and another if the session ends during the lookup.
const LOGINS: u64 = 2;

/// The numbers to look up, and the settings.
struct Job {
    lines: Vec<NumberResult>,
    region: Region,
    connection: Connection,
    explain: bool,
    second_question: bool,
    second: Second,
}

/// What is read before anything is sent.
pub(super) struct Prepared {
    pub settings: Settings,
    pub connection: Connection,
}

/// Why not all numbers were asked for. What was found before is printed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// Nobody could be logged in.
    #[error(transparent)]
    Session(#[from] salesforce::Error),
    /// Numbers could not be looked up.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A bulk query did not end in time.
    #[error(
        "Salesforce has not finished the bulk query; it goes on there for itself: try again later"
    )]
    JobRunsOn,
    /// A signal ended it.
    #[error("stopped; the results up to then are printed")]
    Stopped,
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// Looks numbers up and prints what was found.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    let end = |error: &(dyn std::error::Error + 'static), exit| {
        print_error("lookup", error);
        exit
    };
    if let Some(task) = Task::of(&args) {
        return org::run(args, task, shutdown).await;
    }
    let format = args.output;
    let job = match shutdown
        .unless_requested(in_thread(move || Job::of(&args)))
        .await
    {
        Err(stopped) => return end(&stopped, Exit::Interrupted),
        Ok(Err(problem)) => return end(&problem, Exit::Usage),
        Ok(Ok(job)) => job,
    };
    let begun = Instant::now();
    let (mut outcome, result) = job.execute(&shutdown).await;
    outcome.took = begun.elapsed();
    let printed = print(&output::text(&outcome, format));
    eprintln!("{}", escaped(&output::cost(&outcome)));
    match (result, printed) {
        (Err(problem @ Ended::Stopped), _) => end(&problem, Exit::Interrupted),
        (Err(problem), _) => end(&problem, Exit::Failed),
        (Ok(()), Err(error)) => end(&error, Exit::Failed),
        (Ok(()), Ok(())) => Exit::Done,
    }
}

/// Reads the files of the integration. It makes no network request.
pub(super) fn prepare(args: &Args) -> Result<Prepared, BadInput> {
    let manifests = Manifests::read(&args.file, args.secret_file.as_deref())?;
    let resource = manifests.integration(args.name.as_deref())?;
    let settings = Settings::of(&resource)?;
    let found = manifests.secret(&settings.auth.secret, resource.namespace().as_deref());
    let credentials = credentials(found, &settings)?;
    let bundle = args.salesforce.ca_bundle()?;
    let policy = args.salesforce.policy(bundle.as_deref())?;
    let transport = Transport::new(policy).map_err(FlagError::from)?;
    let connection = Connection::new(
        transport,
        settings.login_url.clone(),
        settings.api_version,
        credentials,
    )
    .environment(settings.environment)
    .logins_at_most(LOGINS);
    Ok(Prepared {
        settings,
        connection,
    })
}

fn credentials(
    found: Result<k8s_openapi::api::core::v1::Secret, String>,
    settings: &Settings,
) -> Result<Credentials, BadInput> {
    // No fingerprint is compared here, so any key will do.
    let key = FingerprintKey::new(b"switchboard lookup".to_vec());
    let name = settings.auth.secret.clone();
    let read = decide::login::credentials::read(found.as_ref().ok(), settings, &key);
    if let Some((credentials, _)) = read.credentials {
        return Ok(credentials);
    }
    let problem = match read.state {
        decide::Credentials::KeyMissing { key, .. } => format!("lacks the key {key:?}"),
        decide::Credentials::KeyMisspelt { key, meant, .. } => {
            format!("has a key {key:?}; the key is {meant:?}")
        }
        decide::Credentials::KeyInvalid { key, problem, .. } => {
            format!("the key {key:?} {problem}")
        }
        _ => found.err().unwrap_or_default(),
    };
    Err(BadInput::Secret { name, problem })
}

// === impl Job ===

impl Job {
    /// Reads files and numbers. It makes no network request.
    fn of(args: &Args) -> Result<Self, BadInput> {
        let texts = args.texts()?;
        let Prepared {
            settings,
            connection,
        } = prepare(args)?;
        let region = settings.region;
        let lines = texts
            .into_iter()
            .map(|text| NumberResult {
                number: parse(&text, &region),
                text,
                answer: Resolution::NotAsked,
                explanation: None,
            })
            .collect();
        Ok(Self {
            lines,
            region,
            connection,
            explain: args.explain,
            second_question: settings.second_question,
            second: Second::default(),
        })
    }

    async fn execute(mut self, shutdown: &Shutdown) -> (Outcome, Result<(), Ended>) {
        let mut places: HashMap<E164, Vec<usize>> = HashMap::new();
        let mut pending: Vec<E164> = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            if let Ok(number) = &line.number {
                let lines = places.entry(number.clone()).or_default();
                if lines.is_empty() {
                    pending.push(number.clone());
                }
                lines.push(at);
            }
        }
        let result = self.ask(&pending, &places, shutdown).await;
        let outcome = Outcome {
            lines: self.lines,
            api_calls: self.connection.spent().calls,
            second: self.second,
            took: std::time::Duration::ZERO,
        };
        (outcome, result)
    }

    async fn ask(
        &mut self,
        numbers: &[E164],
        places: &HashMap<E164, Vec<usize>>,
        shutdown: &Shutdown,
    ) -> Result<(), Ended> {
        if numbers.is_empty() {
            return Ok(());
        }
        let bar = progress(numbers.len());
        let session = shutdown
            .unless_requested(self.connection.session())
            .await??;
        let mut resolver = Resolver::new(self.connection.clone(), self.region)
            .person_accounts(session.person_accounts)
            .second_question(self.second_question)
            .instance(Some(session.instance_url));
        let mut unknown: Vec<E164> = Vec::new();
        let mut pending = numbers;
        while !pending.is_empty() {
            let batch = resolver.batch(pending);
            let brought = shutdown
                .unless_requested(resolver.resolve(&batch))
                .await??;
            let Some(brought) = brought else { continue };
            let spellings = |number: &E164| {
                let place = batch.numbers().iter().position(|asked| asked == number);
                place
                    .map_or(&[][..], |place| batch.spellings(place))
                    .to_vec()
            };
            self.keep(batch.numbers(), &brought, places, &spellings);
            let is_unknown = |number: &&E164| !brought.found.contains_key(*number);
            unknown.extend(batch.numbers().iter().filter(is_unknown).cloned());
            bar.inc(batch.numbers().len() as u64);
            pending = pending.get(batch.numbers().len()..).unwrap_or_default();
        }
        if !unknown.is_empty() {
            let answer = shutdown
                .unless_requested(resolver.resolve_again(&unknown))
                .await??;
            let found = &answer.looked_up.found;
            self.second = Second {
                asked: answer.asked,
                found: found.len(),
                api_calls: answer.calls,
            };
            unknown.retain(|number| found.contains_key(number));
            let phrases = |number: &E164| search_phrases(number, &self.region);
            let phrases: HashMap<E164, Vec<String>> = unknown
                .iter()
                .map(|number| (number.clone(), phrases(number)))
                .collect();
            let asked = |number: &E164| phrases.get(number).cloned().unwrap_or_default();
            self.keep(&unknown, &answer.looked_up, places, &asked);
        }
        bar.finish_and_clear();
        for finding in resolver.findings() {
            if Reason::of_finding(finding).is_some() {
                eprintln!("{}", escaped(&format!("switchboard lookup: {finding}")));
            }
        }
        Ok(())
    }

    fn keep(
        &mut self,
        asked: &[E164],
        brought: &LookedUp,
        places: &HashMap<E164, Vec<usize>>,
        spellings: &dyn Fn(&E164) -> Vec<String>,
    ) {
        for number in asked {
            let answer = match brought.found.get(number) {
                Some(found) => Resolution::Found(found.clone()),
                None => Resolution::Unknown,
            };
            let explanation = self.explain.then(|| {
                let (records, rule) = why(number, &brought.records);
                let found = brought.found.get(number);
                let others = found.and_then(|found| found.alternatives.as_ref());
                Explanation {
                    spellings: spellings(number),
                    records: records
                        .into_iter()
                        .take(1 + MAX_ALTERNATIVES)
                        .cloned()
                        .collect(),
                    alternatives: others.map_or(0, |others| others.count),
                    rule,
                }
            });
            for at in places.get(number).into_iter().flatten() {
                if let Some(line) = self.lines.get_mut(*at) {
                    line.answer = answer.clone();
                    line.explanation = explanation.clone();
                }
            }
        }
    }
}

/// A progress bar on a terminal, and a hidden one elsewhere.
fn progress(numbers: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(numbers as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} numbers, {eta} left") {
        bar.set_style(style);
    }
    bar
}
