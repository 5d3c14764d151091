//! Fleets that no machine of ours holds: the decisions and the queue of the controller over six
//! hours of so many tenants, without a cluster, a Salesforce or a clock. docs/scale.md
//! has the figures; `make bench-scale` prints them. The same seed gives the same figures.
//!
//! What is real: `decide`, who may run (`resident::permit`), what is written when (`Unwritten`),
//! the queue of the controller's own runs, the hash of shards, and how many proofs and runs go on
//! at once. What is played: how long Salesforce takes, who calls when, and that the API server
//! takes each write.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use super::year::dice::Dice;
use crate::api::{Retrieval, RunWhere, SalesforceIntegration, Settings, fixtures};
use crate::company_id::CompanyId;
use crate::controller::memory::index::Index;
use crate::controller::resident::queue::{Again, Queue, Task, pause_after};
use crate::controller::watch::reduce_foreign;
use crate::decide::children::{LiveCronJob, summarize};
use crate::decide::login::next_attempt::Cause;
use crate::decide::login::recovery::{self, Heard, Recovery};
use crate::decide::resident::{Asked, Not, Work, next_follow, permit};
use crate::decide::rules::config::{Config, RunsWhere};
use crate::decide::runs::EndedRun;
use crate::decide::runs::resident::{Unwritten, ended};
use crate::decide::tests::findings;
use crate::decide::{Credentials, Failure, Observed, Plan, Proof, decide};
use crate::run::{Note, Outcome, RunKind, RunReport};
use crate::salesforce::{Meaning, Phase};
use crate::shard::Shard;

/// Milliseconds since the start.
type Ms = u64;

const SECOND: Ms = 1_000;
const MINUTE: Ms = 60 * SECOND;

/// How many integrations are worked on at once (`--concurrency`).
const RECONCILES: usize = 64;
/// How long Salesforce takes for a log-in, and for any other request.
const LOGIN: Ms = 400;
const REQUEST: Ms = 150;
/// How long an attempt takes while Salesforce is away: most are told so without a request.
const AWAY: Ms = 50;
/// How long a session lasts that nobody uses.
const SESSION: Ms = 120 * MINUTE;
/// How long a proof builds on what an earlier one found of objects and Tasks.
const FOUND: Ms = 24 * 60 * MINUTE;
/// When the directory tells again what still waits.
const TOLD_AGAIN: Ms = MINUTE;

/// When what begins.
const QUIET_FROM: Ms = 30 * MINUTE;
const CALLS_FROM: Ms = 150 * MINUTE;
const OUTAGE: std::ops::Range<Ms> = 210 * MINUTE..240 * MINUTE;
const RESTART: Ms = 300 * MINUTE;
const END: Ms = 360 * MINUTE;

/// The parts of the time that the figures are told of.
const PARTS: [(&str, std::ops::Range<Ms>); 5] = [
    ("all are new", 0..QUIET_FROM),
    ("nobody calls", QUIET_FROM..CALLS_FROM),
    ("calls", CALLS_FROM..OUTAGE.start),
    ("Salesforce away, and after", OUTAGE.start..RESTART),
    ("the controller starts anew", RESTART..END),
];

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An integration is to be looked at. With a number only if no later wish has come.
    Look(usize, Option<u32>),
    /// What a proof found is there.
    Proved(usize, bool),
    /// A call ends.
    Call(usize),
    /// The queue may have something to begin.
    Begin,
    /// A run has ended, with so many API calls, or without a Salesforce.
    Ran(usize, Option<u64>),
    /// Changes are to be asked for, if no later time was set.
    Follow(usize, u32),
    /// The sweep of the day is over.
    Sweep(usize, u32),
    /// The directory tells again what waits.
    Told,
    /// Somebody is to be asked again after the outage.
    AskAgain,
    Restart,
}

/// One tenant.
struct Tenant {
    resource: SalesforceIntegration,
    cron_jobs: Vec<Arc<LiveCronJob>>,
    unwritten: Unwritten,
    swept: Vec<EndedRun>,
    worked_at: Option<Timestamp>,
    session_until: Ms,
    found_at: Option<Ms>,
    /// When changes were last asked for: the directory knows.
    followed_at: Option<Ms>,
    session_wanted: bool,
    answers_again: bool,
    /// Whether it is being looked at, and whether it is to be looked at once more.
    in_hand: bool,
    again: bool,
    looks: u32,
    follows: u32,
    sweeps: u32,
    failures: u32,
    /// When the calls ended that have no name yet, and those that a run has taken.
    waiting: Vec<Ms>,
    taken: Vec<Ms>,
}

/// What was counted in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    api_calls: u64,
    logins: u64,
    writes: u64,
    proofs: u64,
    runs: u64,
}

/// What came of a fleet.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    minutes: BTreeMap<u64, Minute>,
    /// Milliseconds from the end of a call to its name, by part.
    named: BTreeMap<usize, Vec<Ms>>,
    /// When the last integration was Ready for the first time.
    all_ready: Ms,
    /// When the last one was Ready again after the outage.
    recovered: Ms,
    /// The most log-ins of one tenant before the restart, and after it.
    most_logins: (u64, u64),
    ready: usize,
}

struct Fleet {
    tenants: Vec<Tenant>,
    config: Config,
    events: BinaryHeap<Reverse<(Ms, u64, Event)>>,
    sequence: u64,
    now: Ms,
    leads_since: Ms,
    origin: Instant,
    queue: Queue,
    recovery: Recovery<usize>,
    ask_at: Option<Ms>,
    begin_at: Option<Ms>,
    /// Integrations that wait to be looked at.
    line: VecDeque<usize>,
    in_hand: usize,
    dice: Dice,
    calls_an_hour: u64,
    figures: Figures,
    logins: Vec<u64>,
}

fn stamp(ms: Ms) -> Timestamp {
    let start = 1_800_000_000_000;
    Timestamp::from_millisecond(start + i64::try_from(ms).unwrap()).unwrap()
}

fn is_away(now: Ms) -> bool {
    OUTAGE.contains(&now)
}

// === impl Fleet ===

impl Fleet {
    /// The tenants of these numbers.
    fn new(numbers: &[usize], seed: u64, calls_an_hour: u64) -> Self {
        let config = Config {
            runs_where: RunsWhere::Resident,
            ..Config::default()
        };
        let tenants = numbers.iter().map(|number| tenant(*number)).collect();
        let mut fleet = Self {
            tenants,
            config,
            events: BinaryHeap::new(),
            sequence: 0,
            now: 0,
            leads_since: 0,
            origin: Instant::now(),
            queue: Queue::default(),
            recovery: Recovery::default(),
            ask_at: None,
            begin_at: None,
            line: VecDeque::new(),
            in_hand: 0,
            dice: Dice::new(seed, 5),
            calls_an_hour,
            figures: Figures::default(),
            logins: vec![0; numbers.len()],
        };
        for at in 0..numbers.len() {
            fleet.push(0, Event::Look(at, None));
            let first = CALLS_FROM + fleet.until_next_call();
            fleet.push(first, Event::Call(at));
        }
        fleet.push(CALLS_FROM, Event::Told);
        fleet.push(RESTART, Event::Restart);
        fleet
    }

    fn run(mut self) -> Figures {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at >= END {
                break;
            }
            self.now = at;
            self.on(event);
        }
        self.figures.most_logins.1 = self.logins.iter().copied().max().unwrap_or_default();
        let is_ready = |tenant: &&Tenant| ready(&tenant.resource);
        self.figures.ready = self.tenants.iter().filter(is_ready).count();
        self.figures
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Look(at, wish) => {
                if wish.is_some_and(|wish| wish != self.tenants[at].looks) {
                    return;
                }
                let tenant = &mut self.tenants[at];
                if std::mem::replace(&mut tenant.in_hand, true) {
                    tenant.again = true;
                    return;
                }
                self.line.push_back(at);
                self.look_at_next();
            }
            Event::Proved(at, logged_in) => self.proved(at, logged_in),
            Event::Call(at) => {
                self.tenants[at].waiting.push(self.now);
                self.wake(at);
                let next = self.now + self.until_next_call();
                self.push(next, Event::Call(at));
            }
            Event::Begin => {
                self.begin_at = None;
                self.begin();
            }
            Event::Ran(at, calls) => self.ran(at, calls),
            Event::Follow(at, number) => {
                if number == self.tenants[at].follows {
                    self.wake(at);
                }
            }
            Event::Sweep(at, number) => {
                if number == self.tenants[at].sweeps {
                    let run = sweep(number, self.now);
                    self.tenants[at].swept.push(run);
                    self.push(self.now, Event::Look(at, None));
                }
            }
            Event::Told => {
                for at in 0..self.tenants.len() {
                    if !self.tenants[at].waiting.is_empty() {
                        self.wake(at);
                    }
                }
                self.push(self.now + TOLD_AGAIN, Event::Told);
            }
            Event::AskAgain => {
                self.ask_at = None;
                for at in self.recovery.take_due(stamp(self.now)) {
                    let status = self.tenants[at].resource.status.as_ref();
                    if status.and_then(recovery::silent_since).is_some() {
                        self.tenants[at].answers_again = true;
                        self.push(self.now, Event::Look(at, None));
                    }
                }
                self.ask_again();
            }
            Event::Restart => self.restart(),
        }
    }

    /// Another controller goes on: of what was in memory nothing is left.
    fn restart(&mut self) {
        self.figures.most_logins.0 = self.logins.iter().copied().max().unwrap_or_default();
        self.logins.fill(0);
        self.leads_since = self.now;
        self.queue = Queue::default();
        self.recovery = Recovery::default();
        self.ask_at = None;
        self.begin_at = None;
        self.line.clear();
        self.in_hand = 0;
        let events = std::mem::take(&mut self.events);
        let of_the_world = |event: &Event| matches!(event, Event::Call(_) | Event::Told);
        self.events = events
            .into_iter()
            .filter(|Reverse((_, _, event))| of_the_world(event))
            .collect();
        for at in 0..self.tenants.len() {
            let tenant = &mut self.tenants[at];
            tenant.unwritten = Unwritten::NONE;
            tenant.worked_at = None;
            tenant.session_until = 0;
            tenant.found_at = None;
            (tenant.session_wanted, tenant.in_hand, tenant.again) = (false, false, false);
            tenant.answers_again = false;
            tenant.failures = 0;
            // What a run had taken is free again when its lease ends.
            let taken = std::mem::take(&mut tenant.taken);
            tenant.waiting.extend(taken);
            self.push(self.now, Event::Look(at, None));
            let last = self.last_run(at).unwrap_or(stamp(self.now));
            self.follow_after(at, last);
            self.sweep_next(at);
        }
    }

    fn look_at_next(&mut self) {
        while self.in_hand < RECONCILES {
            let Some(at) = self.line.pop_front() else {
                return;
            };
            self.in_hand += 1;
            self.look_at(at);
        }
    }

    /// The first half of a reconcile: whether a proof is needed, and how long that takes.
    fn look_at(&mut self, at: usize) {
        let now = self.now;
        let plan = self.decide(at, None);
        self.tenants[at].session_wanted = false;
        let Some(cause) = plan.prove else {
            self.apply(at, plan);
            return;
        };
        let tenant = &mut self.tenants[at];
        if is_away(now) {
            self.push(now + AWAY, Event::Proved(at, false));
            return;
        }
        let logs_in = tenant.session_until <= now;
        let found = tenant.found_at;
        let thorough = cause != Cause::Due || found.is_none_or(|found| now - found >= FOUND);
        if thorough {
            tenant.found_at = Some(now);
        }
        let requests = if thorough { 3 } else { 1 };
        let lasts = requests * REQUEST + if logs_in { LOGIN } else { 0 };
        let minute = self.minute();
        minute.api_calls += requests;
        if logs_in {
            minute.logins += 1;
            // It is in the status before it is sent.
            minute.writes += 1;
            self.logins[at] += 1;
        }
        self.push(now + lasts, Event::Proved(at, logs_in));
    }

    fn proved(&mut self, at: usize, _logged_in: bool) {
        let away = is_away(self.now);
        let outcome = match away {
            false => Ok(findings()),
            true => Err(Failure {
                meaning: Meaning::Unreachable,
                message: "Salesforce does not answer.".into(),
                phase: Phase::Request,
            }),
        };
        let proof = Proof {
            at: stamp(self.now),
            fingerprint: fingerprint(&self.tenants[at].resource),
            calls: u64::from(!away),
            outcome: outcome.map(Arc::new),
        };
        self.minute().proofs += 1;
        if !away {
            let until = self.now + SESSION;
            let tenant = &mut self.tenants[at];
            tenant.session_until = until;
            tenant.worked_at = Some(stamp(self.now));
        }
        let heard = recovery::heard_in_proof(
            self.tenants[at].resource.status.as_ref(),
            &proof,
            stamp(self.now),
        );
        let plan = self.decide(at, Some(&proof));
        self.apply(at, plan);
        self.hear(at, heard);
    }

    /// Somebody has heard something of Salesforce.
    fn hear(&mut self, at: usize, heard: Option<Heard>) {
        let Some(heard) = heard else {
            return;
        };
        let tenants = &self.tenants;
        let waiting = || {
            let silent = tenants.iter().enumerate().filter_map(|(at, tenant)| {
                let status = tenant.resource.status.as_ref()?;
                Some((recovery::silent_since(status)?, at))
            });
            silent.collect()
        };
        self.recovery.hear(&at, heard, stamp(self.now), waiting);
        self.ask_again();
    }

    fn ask_again(&mut self) {
        if let Some(due) = self.recovery.next_due() {
            // A moment more, so that it is due then.
            let wait = due.duration_since(stamp(self.now)).as_millis() + 1;
            let at = self.now + Ms::try_from(wait).unwrap_or_default();
            if self.ask_at.is_none_or(|known| at < known) {
                self.ask_at = Some(at);
                self.push(at, Event::AskAgain);
            }
        }
    }

    /// The second half of a reconcile: the status, and when to come again.
    fn apply(&mut self, at: usize, plan: Plan) {
        let (now, was_ready) = (self.now, ready(&self.tenants[at].resource));
        let tenant = &mut self.tenants[at];
        let changed = tenant.resource.status.as_ref() != Some(&plan.status);
        tenant.resource.status = Some(plan.status);
        if plan.takes_resident {
            let held = tenant.unwritten.clone();
            tenant.unwritten.written(&held, stamp(now));
        } else if !plan.ended_runs.is_empty() {
            tenant.unwritten.written(&Unwritten::NONE, stamp(now));
        }
        tenant.swept.clear();
        tenant.answers_again = false;
        let is_new = tenant.cron_jobs.is_empty();
        if let Some(mut cron_job) = plan.cron_job {
            cron_job.metadata.creation_timestamp = Some(
                k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(stamp(now)),
            );
            tenant.cron_jobs = vec![Arc::new(summarize(&cron_job))];
        }
        tenant.in_hand = false;
        let again = std::mem::take(&mut tenant.again);
        tenant.looks += 1;
        let (looks, is_ready) = (tenant.looks, ready(&tenant.resource));
        if changed {
            self.minute().writes += 1;
        }
        if is_ready && !was_ready {
            if now < QUIET_FROM {
                self.figures.all_ready = now;
            } else if (OUTAGE.end..RESTART).contains(&now) {
                self.figures.recovered = now;
            }
        }
        if is_new {
            self.follow_after(at, stamp(now));
        }
        if plan.run_again {
            self.queue.answers_again(task(at), self.instant());
            self.begin_when_due();
        }
        self.sweep_next(at);
        let wait = Ms::try_from(plan.requeue_after.as_millis()).unwrap_or(END);
        self.push(now + wait.max(1), Event::Look(at, Some(looks)));
        if again {
            self.push(now, Event::Look(at, None));
        }
        self.in_hand -= 1;
        self.look_at_next();
    }

    fn decide(&self, at: usize, proof: Option<&Proof>) -> Plan {
        let tenant = &self.tenants[at];
        let settings = Settings::read(&tenant.resource.spec);
        let credentials = Credentials::Available {
            fingerprint: fingerprint(&tenant.resource),
            user: tenant.resource.name_any(),
            keys: vec!["password".into()],
        };
        let observed = Observed {
            proof,
            resident: &tenant.unwritten,
            ended_runs: &tenant.swept,
            worked_at: tenant.worked_at,
            session_wanted: tenant.session_wanted,
            answers_again: tenant.answers_again,
            cron_jobs: &tenant.cron_jobs,
            leader_since: stamp(self.leads_since),
            tokens: Some("t1".into()),
            tokens_wanted: "t1".into(),
            ..Observed::alone(
                &tenant.resource,
                settings.as_ref(),
                credentials,
                &self.config,
                stamp(self.now),
            )
        };
        decide(&observed, stamp(self.now))
    }

    /// Something waits for a tenant.
    fn wake(&mut self, at: usize) {
        self.queue.wake(task(at), self.instant());
        self.begin_when_due();
    }

    /// Begins what is due, as the controller's loop does.
    fn begin(&mut self) {
        loop {
            let begun = self.queue.begin(self.instant());
            if begun.is_empty() {
                break;
            }
            for task in begun {
                let at = task.0.as_str()[1..].parse().unwrap();
                if let Some(again) = self.start_run(at) {
                    self.queue.ended(task, again, self.instant());
                }
            }
        }
        self.begin_when_due();
    }

    fn begin_when_due(&mut self) {
        let Some(due) = self.queue.next_due() else {
            return;
        };
        let since = due.saturating_duration_since(self.origin).as_millis();
        let due = Ms::try_from(since).unwrap().max(self.now);
        if self.begin_at.is_none_or(|at| due < at) {
            self.begin_at = Some(due);
            self.push(due, Event::Begin);
        }
    }

    /// Starts a run, or returns why not as the runner would tell the queue.
    fn start_run(&mut self, at: usize) -> Option<Again> {
        let now = self.now;
        let tenant = &mut self.tenants[at];
        let settings = Settings::read(&tenant.resource.spec).unwrap();
        let asked = Asked {
            resource: &tenant.resource,
            settings: &settings,
            config: &self.config,
            work: Work::Calls,
            uncounted: tenant.unwritten.api_calls(),
            reserved: 0,
        };
        match permit(&asked, stamp(now)) {
            Ok(_) => {}
            Err(Not::Pending) => return Some(Again::After(Duration::from_secs(5))),
            Err(Not::BudgetExhausted(_)) => {
                self.push(now, Event::Look(at, None));
                return Some(Again::After(Duration::from_secs(600)));
            }
            Err(_) => {
                self.follow_again_in(at, 10 * MINUTE);
                return Some(Again::WhenWoken);
            }
        }
        if tenant.session_until <= now {
            // The run would wait for the session in its place; here it comes again.
            tenant.session_wanted = true;
            self.push(now, Event::Look(at, None));
            return Some(Again::After(Duration::from_secs(2)));
        }
        if is_away(now) {
            self.push(now + AWAY, Event::Ran(at, None));
            return None;
        }
        // One composite request for the numbers, and one for changes when they are due.
        let every = settings.follow.map_or(Duration::MAX, |(_, every)| every);
        let since = tenant.followed_at.map(|at| Duration::from_millis(now - at));
        let is_due = since.is_none_or(|since| since >= every);
        if is_due {
            tenant.followed_at = Some(now);
        }
        tenant.taken = std::mem::take(&mut tenant.waiting);
        let calls = u64::from(is_due) + u64::from(!tenant.taken.is_empty());
        self.push(now + calls * REQUEST, Event::Ran(at, Some(calls)));
        None
    }

    fn ran(&mut self, at: usize, calls: Option<u64>) {
        let now = self.now;
        let tenant = &mut self.tenants[at];
        let mut report = RunReport::begin(RunKind::Lookup, stamp(now));
        report.finished_at = stamp(now);
        let taken = std::mem::take(&mut tenant.taken);
        let again = match calls {
            Some(calls) => {
                let numbers = taken.len() as u64;
                (report.calls, report.numbers) = (numbers, numbers);
                (report.unmatched, report.api_calls) = (numbers, calls);
                tenant.failures = 0;
                tenant.session_until = now + SESSION;
                if calls > 0 {
                    tenant.worked_at = Some(stamp(now));
                }
                Again::WhenWoken
            }
            None => {
                report.outcome = Outcome::Failed;
                report.error = Some(Note {
                    code: Meaning::Unreachable.code().into(),
                    message: "no answer".into(),
                });
                tenant.failures += 1;
                Again::NotBefore(pause_after(tenant.failures - 1))
            }
        };
        let heard = recovery::heard_in_run(tenant.resource.status.as_ref(), &report);
        let run = ended(format!("r{now}"), report, fingerprint(&tenant.resource));
        tenant.unwritten.add(run);
        let due = tenant.unwritten.due(tenant.resource.status.as_ref());
        self.minute().runs += 1;
        self.minute().api_calls += calls.unwrap_or_default();
        let part = PARTS.iter().position(|(_, part)| part.contains(&now));
        if let Some(part) = part.filter(|_| !taken.is_empty()) {
            let named = self.figures.named.entry(part).or_default();
            named.extend(taken.iter().map(|ended| now - ended));
        }
        if let Some(due) = due {
            let wait = due.duration_since(stamp(now)).as_millis().max(0);
            let wait = Ms::try_from(wait).unwrap();
            self.push(now + wait + 20, Event::Look(at, None));
        }
        self.follow_after(at, stamp(now));
        self.queue.ended(task(at), again, self.instant());
        self.begin();
        self.hear(at, heard);
    }

    fn last_run(&self, at: usize) -> Option<Timestamp> {
        let status = self.tenants[at].resource.status.as_ref()?;
        Some(status.last_run.as_ref()?.finished_at.as_ref()?.0)
    }

    /// Changes are asked for so long after they were at `last`; a time that is past is spread.
    fn follow_after(&mut self, at: usize, last: Timestamp) {
        let resource = &self.tenants[at].resource;
        let settings = Settings::read(&resource.spec).unwrap();
        let Some(next) = next_follow(resource, &settings, &self.config, last) else {
            return;
        };
        let wait = next.duration_since(stamp(self.now)).as_millis();
        let wait = match Ms::try_from(wait) {
            Ok(wait) if wait > 0 => wait,
            _ => {
                let every = settings.follow.map_or(0, |(_, every)| every.as_secs());
                self.dice.below(every.max(300) * SECOND)
            }
        };
        self.follow_again_in(at, wait);
    }

    fn follow_again_in(&mut self, at: usize, wait: Ms) {
        self.tenants[at].follows += 1;
        let number = self.tenants[at].follows;
        self.push(self.now + wait, Event::Follow(at, number));
    }

    /// The sweep of the day ends ten seconds after its time.
    fn sweep_next(&mut self, at: usize) {
        let tenant = &mut self.tenants[at];
        let status = tenant.resource.status.as_ref();
        let Some(next) = status.and_then(|status| status.next_run.as_ref()) else {
            return;
        };
        tenant.sweeps += 1;
        let number = tenant.sweeps;
        let wait = next.0.duration_since(stamp(self.now)).as_millis();
        if let Ok(wait) = Ms::try_from(wait) {
            self.push(self.now + wait + 10 * SECOND, Event::Sweep(at, number));
        }
    }

    /// Calls come by chance, so many an hour on average.
    fn until_next_call(&mut self) -> Ms {
        let chance = (self.dice.below(1 << 53) + 1) as f64 / (1_u64 << 53) as f64;
        let mean = (60 * MINUTE) as f64 / self.calls_an_hour.max(1) as f64;
        (-chance.ln() * mean) as Ms
    }

    fn push(&mut self, at: Ms, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn minute(&mut self) -> &mut Minute {
        let minute = self.now / MINUTE;
        self.figures.minutes.entry(minute).or_default()
    }

    fn instant(&self) -> Instant {
        self.origin + Duration::from_millis(self.now)
    }
}

/// The tenant of this number, who wants his calls looked up as they end.
fn tenant(number: usize) -> Tenant {
    let mut resource = fixtures::integration(&format!("tenant-{number}"));
    resource.spec.contacts.retrieval = Retrieval::AfterCall;
    resource.metadata.uid = Some(format!("uid-{number}"));
    resource.metadata.namespace = Some(format!("tenant-{number}"));
    resource.metadata.generation = Some(1);
    Tenant {
        resource,
        cron_jobs: vec![],
        unwritten: Unwritten::NONE,
        swept: vec![],
        worked_at: None,
        session_until: 0,
        found_at: None,
        followed_at: None,
        session_wanted: false,
        answers_again: false,
        in_hand: false,
        again: false,
        looks: 0,
        follows: 0,
        sweeps: 0,
        failures: 0,
        waiting: vec![],
        taken: vec![],
    }
}

fn fingerprint(resource: &SalesforceIntegration) -> String {
    format!("f-{}", resource.name_any())
}

fn task(at: usize) -> Task {
    let company: CompanyId = format!("c{at}").parse().unwrap();
    (company, Work::Calls)
}

fn sweep(number: u32, now: Ms) -> EndedRun {
    let mut report = RunReport::begin(RunKind::Lookup, stamp(now - SECOND));
    report.finished_at = stamp(now);
    report.api_calls = 1;
    let name = format!("sweep-{number}-{now}");
    EndedRun {
        where_: RunWhere::Pod,
        ..ended(name, report, String::new())
    }
}

fn ready(resource: &SalesforceIntegration) -> bool {
    let conditions = resource.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|condition| condition.type_ == crate::api::conditions::READY)
        .any(|condition| condition.status == "True")
}

// === impl Figures ===

impl Figures {
    /// All shards together.
    fn add(&mut self, other: Self) {
        for (minute, counted) in other.minutes {
            let sum = self.minutes.entry(minute).or_default();
            sum.api_calls += counted.api_calls;
            sum.logins += counted.logins;
            sum.writes += counted.writes;
            sum.proofs += counted.proofs;
            sum.runs += counted.runs;
        }
        for (part, named) in other.named {
            self.named.entry(part).or_default().extend(named);
        }
        self.all_ready = self.all_ready.max(other.all_ready);
        self.recovered = self.recovered.max(other.recovered);
        self.most_logins.0 = self.most_logins.0.max(other.most_logins.0);
        self.most_logins.1 = self.most_logins.1.max(other.most_logins.1);
        self.ready += other.ready;
    }

    fn sum(&self, part: &std::ops::Range<Ms>, of: impl Fn(&Minute) -> u64) -> u64 {
        let minutes = self.minutes.range(part.start / MINUTE..part.end / MINUTE);
        minutes.map(|(_, minute)| of(minute)).sum()
    }

    fn worst(&self, part: &std::ops::Range<Ms>, of: impl Fn(&Minute) -> u64) -> u64 {
        let minutes = self.minutes.range(part.start / MINUTE..part.end / MINUTE);
        minutes.map(|(_, minute)| of(minute)).max().unwrap_or(0)
    }

    fn print(&mut self) {
        println!(
            "{:<28} {:>20} {:>20} {:>20} {:>20}  call to name, p50 / p99 / longest",
            "in all / worst minute", "API calls", "log-ins", "status writes", "runs"
        );
        for (at, (name, part)) in PARTS.iter().enumerate() {
            let both = |of: fn(&Minute) -> u64| {
                format!("{} / {}", self.sum(part, of), self.worst(part, of))
            };
            let [calls, logins, writes, runs] = [
                both(|minute| minute.api_calls),
                both(|minute| minute.logins),
                both(|minute| minute.writes),
                both(|minute| minute.runs),
            ];
            let named = self.named.get_mut(&at).map(|named| {
                named.sort_unstable();
                let of = |share: usize| named[(named.len() * share / 100).min(named.len() - 1)];
                format!(
                    "{} / {} / {} ms of {}",
                    of(50),
                    of(99),
                    of(100),
                    named.len()
                )
            });
            let named = named.unwrap_or_default();
            println!("{name:<28} {calls:>20} {logins:>20} {writes:>20} {runs:>20}  {named}");
        }
        println!(
            "all Ready after {} s; after the outage the last was Ready again after {} s, with at most {} proofs in a minute; at the end {} are Ready",
            self.all_ready / SECOND,
            self.recovered.saturating_sub(OUTAGE.end) / SECOND,
            self.worst(&(OUTAGE.end..RESTART), |minute| minute.proofs),
            self.ready
        );
        println!(
            "status writes in the last hour in which nobody calls: {}",
            self.sum(&(CALLS_FROM - 60 * MINUTE..CALLS_FROM), |minute| minute
                .writes)
        );
        println!(
            "log-ins of one tenant: {} at most, {} at most after the controller started anew",
            self.most_logins.0, self.most_logins.1
        );
    }
}

/// Plays a fleet that is divided into shards.
fn play(tenants: usize, shards: u32, seed: u64, calls_an_hour: u64) -> Figures {
    play_some(tenants, 0..shards, shards, seed, calls_an_hour)
}

/// Plays some of the shards.
fn play_some(
    tenants: usize,
    some: std::ops::Range<u32>,
    shards: u32,
    seed: u64,
    calls_an_hour: u64,
) -> Figures {
    let mut all = Figures::default();
    for index in some {
        let shard: Shard = format!("{index}/{shards}").parse().unwrap();
        let own: Vec<usize> = (0..tenants)
            .filter(|number| shard.holds(&format!("tenant-{number}")))
            .collect();
        all.add(Fleet::new(&own, seed.wrapping_add(index.into()), calls_an_hour).run());
    }
    all
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect(name))
}

/// `make bench-scale`.
#[test]
#[ignore = "it prints, and takes minutes; the test below holds the rules with few tenants"]
fn a_fleet_that_no_machine_of_ours_holds() {
    let (tenants, shards) = (number("TENANTS", 100_000), number("SHARDS", 10));
    let (seed, calls) = (number("SEED", 17), number("CALLS", 4));
    println!(
        "seed {seed}: {tenants} tenants in {shards} shards, {calls} calls an hour each; Salesforce takes {LOGIN} ms for a log-in and {REQUEST} ms for a request, and is away for {} minutes",
        (OUTAGE.end - OUTAGE.start) / MINUTE
    );
    let began = std::time::Instant::now();
    let tenants = usize::try_from(tenants).unwrap();
    let shards = u32::try_from(shards).unwrap();
    // One shard is like another: PLAY=1 plays the first only.
    let played = u32::try_from(number("PLAY", shards.into())).unwrap();
    println!("{played} of the shards are played");
    play_some(tenants, 0..played, shards, seed, calls).print();
    eprintln!("the play took {:?}", began.elapsed());
}

#[test]
fn a_fleet_logs_in_once_and_comes_back_from_an_outage_by_itself() {
    const TENANTS: usize = 150;
    println!("seed 17");
    let figures = play(TENANTS, 2, 17, 4);
    assert_eq!(figures, play(TENANTS, 2, 17, 4), "the same seed");
    assert_eq!(figures.ready, TENANTS);
    assert_eq!(figures.most_logins, (1, 1), "an outage adds none");
    let of = |name: &str| &PARTS.iter().find(|(part, _)| *part == name).unwrap().1;
    let tenants = TENANTS as u64;
    let quiet = of("nobody calls");
    // Two hours: each asks for changes every half hour, and is proved once more at most.
    let asked = figures.sum(quiet, |minute| minute.api_calls);
    assert!((3 * tenants..=5 * tenants).contains(&asked), "{asked}");
    // What was asked for in vain is written once an hour; in the first hour there is the first run
    // of all, too. The sweep of the day is a write more for those whose minute it is.
    for (hour, most) in [
        (30 * MINUTE..90 * MINUTE, 22),
        (90 * MINUTE..CALLS_FROM, 12),
    ] {
        let written = figures.sum(&hour, |minute| minute.writes);
        println!("{written} writes of {tenants} tenants in an hour in which nobody calls");
        assert!(written <= tenants * most / 10, "{written} for {tenants}");
    }
    assert_eq!(figures.sum(quiet, |minute| minute.logins), 0);
    // A write for each call at most, and not more than one a minute.
    let calls = of("calls");
    let named = figures.named[&2].len() as u64;
    assert!(named > 3 * tenants, "{named}");
    let writes = figures.sum(calls, |minute| minute.writes);
    assert!(writes <= named + 2 * tenants, "{writes} for {named} calls");
    // After an outage all are back within minutes, and still not at once.
    let recovered = figures.recovered.saturating_sub(OUTAGE.end) / SECOND;
    println!("Ready again after {recovered} s");
    assert!(recovered <= 6 * 60, "{recovered} s");
    let back = OUTAGE.end..RESTART;
    let proofs = figures.worst(&back, |minute| minute.proofs);
    assert!(proofs <= tenants / 3, "{proofs} proofs in a minute");
    let worst = figures.worst(of("Salesforce away, and after"), |minute| minute.api_calls);
    assert!(
        worst <= 4 * tenants,
        "{worst} API calls in the worst minute"
    );
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// `make bench-scale`: what an integration takes in memory, in its own shard and in another one.
#[test]
#[ignore = "it prints"]
fn what_an_integration_takes_in_memory() {
    const MANY: usize = 20_000;
    let ready = |number: usize| {
        let mut fleet = Fleet::new(&[number], 1, 1);
        while let Some(Reverse((at, _, event))) = fleet.events.pop() {
            if at > 90 * MINUTE {
                break;
            }
            fleet.now = at;
            fleet.on(event);
        }
        fleet.tenants.remove(0).resource
    };
    let template = ready(0);
    // What was given back would be taken again and look like nothing.
    let mut all = vec![];
    for foreign in [false, true] {
        let before = resident_bytes();
        let (mut kept, mut index) = (Vec::with_capacity(MANY), Index::default());
        for number in 0..MANY {
            // From JSON, as the watch brings it: without room to spare.
            let mut text = serde_json::to_value(&template).unwrap();
            let name = format!("tenant-{number}");
            text["metadata"]["name"] = name.clone().into();
            text["metadata"]["namespace"] = name.clone().into();
            text["metadata"]["uid"] = format!("6b1c2f0e-0000-4000-8000-{number:012}").into();
            text["spec"]["companyId"] = name.clone().into();
            text["status"]["connection"]["credentialsVersion"] = format!("f-{name}").into();
            text["status"]["connection"]["userVersion"] = name.clone().into();
            text["status"]["organization"]["id"] = format!("00D{number:012}EAA").into();
            let mut one: SalesforceIntegration = serde_json::from_value(text).unwrap();
            if foreign {
                let shard: Shard = (0..2)
                    .map(|index| format!("{index}/2").parse::<Shard>().unwrap())
                    .find(|shard| !shard.holds(&name))
                    .unwrap();
                reduce_foreign(&mut one, shard);
            }
            index.apply(&one);
            kept.push(Arc::new(one));
        }
        let took = resident_bytes().saturating_sub(before) / MANY as u64;
        println!(
            "an integration of {} shard takes {took} bytes in store and index",
            if foreign { "another" } else { "its own" }
        );
        all.push((kept, index));
    }
}
