//! One lookup, from reading its files to printing the results.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use super::{Answer, Args, Explanation, Line, Outcome, output};
use crate::api::Settings;
use crate::cli::{BadInput, Manifests};
use crate::decide;
use crate::phone::{E164, Region, parse, spellings};
use crate::reason::Reason;
use crate::resolve::{LookedUp, ResolveError, Resolver, why};
use crate::salesforce::{Connection, Credentials, FingerprintKey, Transport};

/// Exit code: the files, flags or numbers cannot be used.
const BAD_INPUT: u8 = 2;
/// The most log-ins: one, and another if the session ends during the lookup.
const LOGINS: u64 = 2;

/// The numbers to look up, and the settings.
struct Job {
    lines: Vec<Line>,
    region: Region,
    connection: Connection,
    explain: bool,
}

/// Looks numbers up and prints the results.
pub async fn run(args: Args, stop: CancellationToken) -> ExitCode {
    let job = match prepare(&args) {
        Ok(job) => job,
        Err(problem) => {
            eprintln!("switchboard lookup: {problem}");
            return ExitCode::from(BAD_INPUT);
        }
    };
    let begun = Instant::now();
    let (mut outcome, result) = job.execute(&stop).await;
    outcome.took = begun.elapsed();
    // A reader that has closed the pipe (`| head`) is not a failure of the lookup.
    let _ = std::io::stdout().write_all(output::text(&outcome, args.output).as_bytes());
    eprintln!("{}", output::cost(&outcome));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("switchboard lookup: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Reads files and numbers. It makes no network request.
fn prepare(args: &Args) -> Result<Job, BadInput> {
    let flag = |error: String| BadInput::Flag(error);
    let texts = args.texts()?;
    let manifests = Manifests::read(&args.file, args.secret_file.as_deref())?;
    let resource = manifests.integration(args.name.as_deref())?;
    let settings = Settings::read(&resource.spec).map_err(|error| flag(error.to_string()))?;
    let found = manifests.secret(&settings.auth.secret, resource.namespace().as_deref());
    let credentials = credentials(found.as_ref(), &settings)?;
    let bundle = args
        .salesforce
        .ca_bundle()
        .map_err(|error| flag(error.to_string()))?;
    let policy = args
        .salesforce
        .policy(bundle.as_deref())
        .map_err(|error| flag(error.to_string()))?;
    let transport = Transport::new(policy).map_err(|error| flag(error.to_string()))?;
    let connection = Connection::new(
        transport,
        settings.login_url.clone(),
        settings.api_version,
        credentials,
    )
    .environment(settings.environment)
    .logins_at_most(LOGINS);
    let region = settings.region;
    let lines = texts
        .into_iter()
        .map(|text| Line {
            number: parse(&text, &region),
            text,
            answer: Answer::NotAsked,
            explanation: None,
        })
        .collect();
    Ok(Job {
        lines,
        region,
        connection,
        explain: args.explain,
    })
}

fn credentials(
    found: Option<&k8s_openapi::api::core::v1::Secret>,
    settings: &Settings,
) -> Result<Credentials, BadInput> {
    // No fingerprint is compared here, so any key will do.
    let key = FingerprintKey::new(b"switchboard lookup".to_vec());
    let name = settings.auth.secret.clone();
    let read = decide::login::credentials::read(found, settings, &key);
    if let Some((credentials, _)) = read.credentials {
        return Ok(credentials);
    }
    let problem = match read.state {
        decide::Credentials::KeyMissing { key, .. } => format!("lacks the key {key:?}"),
        decide::Credentials::KeyInvalid { key, problem, .. } => {
            format!("the key {key:?} {problem}")
        }
        _ => "is in none of the files; add it to the file or name it with --secret-file".to_owned(),
    };
    Err(BadInput::Secret { name, problem })
}

// === impl Job ===

impl Job {
    async fn execute(mut self, stop: &CancellationToken) -> (Outcome, Result<(), String>) {
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
        let result = self.ask(&pending, &places, stop).await;
        let outcome = Outcome {
            lines: self.lines,
            api_calls: self.connection.spent().calls,
            took: std::time::Duration::ZERO,
        };
        (outcome, result)
    }

    async fn ask(
        &mut self,
        numbers: &[E164],
        places: &HashMap<E164, Vec<usize>>,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        if numbers.is_empty() {
            return Ok(());
        }
        let bar = progress(numbers.len());
        let failed = |error: ResolveError| error.to_string();
        let session = tokio::select! {
            session = self.connection.session() => session.map_err(|error| error.to_string())?,
            () = stop.cancelled() => return Err("stopped".to_owned()),
        };
        let mut resolver = Resolver::new(self.connection.clone(), self.region)
            .person_accounts(session.person_accounts)
            .instance(Some(session.instance_url));
        let mut pending = numbers;
        while !pending.is_empty() {
            let batch = resolver.batch(pending);
            let brought = tokio::select! {
                brought = resolver.resolve(&batch) => brought.map_err(failed)?,
                () = stop.cancelled() => return Err("stopped; what was found before is printed".to_owned()),
            };
            let Some(brought) = brought else { continue };
            self.keep(batch.numbers(), &brought, places);
            bar.inc(batch.numbers().len() as u64);
            pending = pending.get(batch.numbers().len()..).unwrap_or_default();
        }
        bar.finish_and_clear();
        for finding in resolver.findings() {
            if Reason::of_finding(finding).is_some() {
                eprintln!("switchboard lookup: {finding}");
            }
        }
        Ok(())
    }

    fn keep(&mut self, asked: &[E164], brought: &LookedUp, places: &HashMap<E164, Vec<usize>>) {
        for number in asked {
            let answer = match brought.found.get(number) {
                Some(found) => Answer::Found(found.clone()),
                None => Answer::Unknown,
            };
            let explanation = self.explain.then(|| {
                let (records, rule) = why(number, &brought.records);
                Explanation {
                    spellings: spellings(number, &self.region),
                    records: records.into_iter().cloned().collect(),
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
