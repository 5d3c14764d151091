//! What `switchboard lookup` says of an org as a whole: what each way to its names costs, what a
//! fill of the address book would take, and which of its numbers are wrong. It writes nothing
//! anywhere but into the report.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Args;
use super::run::{Ended, Prepared, prepare};
use super::{Format, plan, preview, report};
use crate::api::Settings;
use crate::book::{Counts, PAGES_UP_TO, Reading, count};
use crate::cli::{BadInput, in_thread, print};
use crate::error::{Chain, print_error};
use crate::exit::Exit;
use crate::plain_text::escaped;
use crate::reason::Reason;
use crate::resolve::{Object, Record, ResolveError, Resolver};
use crate::salesforce;
use crate::salesforce::{Meaning, Patience, Place};
use crate::shutdown::Shutdown;

/// Records that are handed on at a time.
const PORTION: usize = 1_000;

/// What is asked of the org as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// What a day costs, with so many calls.
    Plan { calls_a_day: Option<u64> },
    /// What a fill takes, from a sample or from all records.
    Preview { all: bool },
    /// Which numbers are wrong, as CSV into this file; `-` is standard output.
    Report { file: PathBuf },
}

/// An org that is read.
pub(super) struct Org {
    pub(super) settings: Settings,
    pub(super) resolver: Resolver,
    pub(super) counts: Counts,
    began: Instant,
}

impl Task {
    /// What the flags ask for; `None` where they ask for numbers.
    pub(super) fn of(args: &Args) -> Option<Self> {
        match (&args.report, args.fill_preview, args.plan) {
            (Some(file), _, _) => Some(Self::Report { file: file.clone() }),
            (None, true, _) => Some(Self::Preview { all: args.all }),
            (None, false, true) => Some(Self::Plan {
                calls_a_day: args.calls_a_day,
            }),
            (None, false, false) => None,
        }
    }
}

/// Does the task and prints what was found.
pub(super) async fn run(args: Args, task: Task, shutdown: Shutdown) -> Exit {
    let end = |error: &(dyn std::error::Error + 'static), exit| {
        print_error("lookup", error);
        exit
    };
    let format = args.output;
    let prepared = shutdown.unless_requested(in_thread(move || prepare(&args)));
    let prepared = match prepared.await {
        Err(stopped) => return end(&stopped, Exit::Interrupted),
        Ok(Err(problem)) => return end(&problem, Exit::Usage),
        Ok(Ok(prepared)) => prepared,
    };
    let done = match shutdown
        .unless_requested(execute(prepared, &task, format))
        .await
    {
        Err(stopped) => return end(&stopped, Exit::Interrupted),
        Ok(done) => done,
    };
    match done {
        Ok((text, note)) => {
            let printed = print(&text);
            eprintln!("{}", escaped(&note));
            match printed {
                Ok(()) => Exit::Done,
                Err(error) => end(&error, Exit::Failed),
            }
        }
        Err(Failed::Input(problem)) => end(&problem, Exit::Usage),
        Err(Failed::Ended(problem)) => end(&problem, Exit::Failed),
    }
}

/// Why there is no answer.
pub(super) enum Failed {
    Input(BadInput),
    Ended(Ended),
}

impl From<Ended> for Failed {
    fn from(error: Ended) -> Self {
        Self::Ended(error)
    }
}

impl From<ResolveError> for Failed {
    fn from(error: ResolveError) -> Self {
        Self::Ended(error.into())
    }
}

impl From<salesforce::Error> for Failed {
    fn from(error: salesforce::Error) -> Self {
        Self::Ended(error.into())
    }
}

/// Returns what goes to standard output, and a note beside it.
async fn execute(
    prepared: Prepared,
    task: &Task,
    format: Format,
) -> Result<(String, String), Failed> {
    // A report that cannot be written is known before an hour of reading.
    let sink = match task {
        Task::Report { file } => Some(report::Sink::open(file).map_err(Failed::Input)?),
        Task::Plan { .. } | Task::Preview { .. } => None,
    };
    let began = Instant::now();
    let session = prepared.connection.session().await?;
    let mut resolver = Resolver::new(prepared.connection, prepared.settings.region)
        .person_accounts(session.person_accounts)
        .instance(Some(session.instance_url));
    let counts = count(&mut resolver).await?;
    let mut org = Org {
        settings: prepared.settings,
        resolver,
        counts,
        began,
    };
    let answer = match (task, sink) {
        (Task::Plan { calls_a_day }, _) => plan::plan(&mut org, *calls_a_day, format).await,
        (Task::Preview { all }, _) => preview::preview(&mut org, *all, format).await,
        (Task::Report { .. }, Some(sink)) => report::report(&mut org, sink).await,
        (Task::Report { .. }, None) => Ok((String::new(), String::new())),
    };
    for finding in org.resolver.findings() {
        if Reason::of_finding(finding).is_some() {
            eprintln!("{}", escaped(&format!("switchboard lookup: {finding}")));
        }
    }
    answer
}

// === impl Org ===

impl Org {
    pub(super) fn records(&self) -> u64 {
        self.counts.values().sum()
    }

    fn calls(&self) -> u64 {
        self.resolver.connection().spent().calls
    }

    /// `API calls in SECONDS` so far.
    pub(super) fn cost(&self) -> String {
        let (calls, seconds) = (self.calls(), self.began.elapsed().as_secs_f64());
        let word = if calls == 1 { "call" } else { "calls" };
        format!("{calls} API {word} in {seconds:.1} s; nothing was written anywhere else")
    }

    /// Reads records of each kind: all of them, or the first ones of a kind up to `most`.
    pub(super) async fn read(
        &mut self,
        most: Option<u64>,
        mut each: impl FnMut(Record) -> Result<(), Ended>,
    ) -> Result<(), Ended> {
        let all = self.records();
        let bar = progress(match most {
            Some(most) => self.counts.values().map(|count| most.min(*count)).sum(),
            None => all,
        });
        let kinds: Vec<(Object, u64)> = self.counts.iter().map(|(of, n)| (*of, *n)).collect();
        for (object, count) in kinds {
            if count == 0 {
                continue;
            }
            let by_job = most.is_none() && count > PAGES_UP_TO;
            let mut reading = match by_job {
                true => self.job(object).await?,
                false => None,
            };
            if reading.is_none() {
                reading = Some(Reading::of_pages(object, "", 0));
            }
            let Some(mut reading) = reading else { continue };
            let mut left = most.unwrap_or(u64::MAX);
            while left > 0 {
                let wanted = usize::try_from(left).unwrap_or(PORTION).min(PORTION);
                let portion = reading.next(&mut self.resolver, wanted).await?;
                let is_last = portion.is_last;
                for record in portion.records.into_iter().chain(portion.without) {
                    left = left.saturating_sub(1);
                    bar.inc(1);
                    each(record)?;
                }
                if is_last {
                    break;
                }
            }
            if let Err(error) = reading.end(&self.resolver).await {
                tracing::debug!(error = %Chain(&error), "a job that was read was not deleted");
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// A bulk query of a kind; `None` where there is no such thing.
    async fn job(&mut self, object: Object) -> Result<Option<Reading>, Ended> {
        let made = Reading::make_job(&mut self.resolver, object).await;
        let job = match made {
            Ok(Some(job)) => job,
            Ok(None) => return Ok(None),
            Err(ResolveError::Salesforce(error)) if is_without_jobs(error.meaning()) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let patience = Patience::default();
        let place = Place::default();
        let read = Reading::of_job(&self.resolver, object, &job.id, &place, patience).await?;
        if read.is_none() {
            return Err(Ended::JobRunsOn);
        }
        Ok(read)
    }
}

/// Whether records have to be read page by page.
fn is_without_jobs(meaning: Meaning) -> bool {
    matches!(
        meaning,
        Meaning::BulkUnavailable | Meaning::BulkLimitExceeded
    )
}

/// A progress bar on a terminal, and a hidden one elsewhere.
fn progress(records: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(records);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} records, {eta} left") {
        bar.set_style(style);
    }
    bar
}
