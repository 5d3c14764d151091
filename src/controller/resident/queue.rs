//! Who is next: a pure state machine over companies and what is to be done for them. Calls of a
//! company are gathered for a second, rings for a moment. Calls of a company are looked up once at
//! a time; a ring that comes a little later than another one does not wait for its answer. A
//! company comes once however often it is woken; rings come before calls, and have room of their
//! own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::company_id::CompanyId;
use crate::decide::resident::Work;

/// How long calls of a company are gathered before they are looked up.
const GATHER_CALLS: Duration = Duration::from_secs(1);
/// How long rings of a company are gathered: they share one composite request.
const GATHER_RINGS: Duration = Duration::from_millis(20);
/// The most runs at a time. A run holds a few megabytes at most.
const MAX_RUNS: usize = 32;
/// The most look-ups of rings at a time.
const MAX_RINGS: usize = 32;
/// The most look-ups of rings of one company at a time: what rings after that shares the next one.
pub(crate) const RINGS_OF_A_COMPANY: usize = 4;

/// The pause after the first failure of a company; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
/// The longest pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// A company and what is to be done for it.
pub(crate) type Task = (CompanyId, Work);

/// When a task comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// When it is woken.
    WhenWoken,
    /// After this time, or when it is woken.
    After(Duration),
    /// After this time and not before.
    NotBefore(Duration),
}

/// The tasks that wait and those that run.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    calls: Line,
    rings: Line,
    /// How many of each task run.
    running: HashMap<Task, usize>,
    /// When tasks were woken that could not run once more.
    woken: HashMap<Task, Instant>,
    /// Tasks that ran when others heard that Salesforce answers again.
    answered: HashSet<Task>,
    counter: u64,
}

/// What waits of one kind, and how much of it runs. However many companies wait, the next is found
/// at once.
#[derive(Debug, Default)]
struct Line {
    waiting: HashMap<CompanyId, Waiting>,
    order: BTreeMap<(Instant, u64), CompanyId>,
    running: usize,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    place: (Instant, u64),
    not_before: Option<Instant>,
}

// === impl Queue ===

impl Queue {
    /// Something waits for this company.
    pub(crate) fn wake(&mut self, task: Task, now: Instant) {
        let due = now + gathered(task.1);
        let running = self.running.get(&task).copied().unwrap_or_default();
        if running >= of_a_company(task.1) {
            self.woken.entry(task).or_insert(due);
            return;
        }
        let held = self.line(task.1).waiting.get(&task.0).copied();
        let not_before = held.and_then(|held| held.not_before);
        let due = not_before.map_or(due, |not_before| due.max(not_before));
        // What is woken again does not wait longer for that.
        if held.is_none_or(|held| due < held.place.0) {
            self.put(task, due, not_before);
        }
    }

    /// Runs of this company failed because Salesforce did not answer, and it does now: they come as
    /// soon as one that was woken, whatever the pause after the failure.
    pub(crate) fn answers_again(&mut self, task: Task, now: Instant) {
        if let Some(held) = self.line(task.1).waiting.get_mut(&task.0) {
            held.not_before = None;
        }
        if self.running.contains_key(&task) {
            self.answered.insert(task.clone());
        }
        self.wake(task, now);
    }

    /// The tasks that may begin now, rings first. They run until [`ended`](Self::ended).
    pub(crate) fn begin(&mut self, now: Instant) -> Vec<Task> {
        let mut begun = vec![];
        for work in [Work::Rings, Work::Calls] {
            while let Some(company) = self.line(work).next(most(work), now) {
                *self.running.entry((company.clone(), work)).or_default() += 1;
                begun.push((company, work));
            }
        }
        begun
    }

    /// A task has ended.
    pub(crate) fn ended(&mut self, task: Task, again: Again, now: Instant) {
        if let Some(running) = self.running.get_mut(&task) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&task);
            }
            self.line(task.1).running -= 1;
        }
        let woken = self.woken.remove(&task);
        let answered = self.answered.remove(&task);
        match again {
            Again::WhenWoken => {
                if let Some(due) = woken {
                    self.put(task, due.max(now), None);
                }
            }
            Again::After(wait) => {
                let due = woken.map_or(now + wait, |woken| woken.max(now).min(now + wait));
                self.put(task, due, None);
            }
            // What failed may have been sent before that.
            Again::NotBefore(wait) if answered => {
                let due = woken.map_or(now + wait, |woken| woken.max(now));
                self.put(task, due, None);
            }
            Again::NotBefore(wait) => self.put(task, now + wait, Some(now + wait)),
        }
    }

    /// When the next task is due for which there is room.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let due = |line: &Line, work| {
            let (due, _) = line.order.keys().next()?;
            (line.running < most(work)).then_some(*due)
        };
        let (rings, calls) = (due(&self.rings, Work::Rings), due(&self.calls, Work::Calls));
        rings.into_iter().chain(calls).min()
    }

    fn put(&mut self, task: Task, due: Instant, not_before: Option<Instant>) {
        self.counter += 1;
        let place = (due, self.counter);
        let (company, work) = task;
        let line = self.line(work);
        let waits = Waiting { place, not_before };
        if let Some(held) = line.waiting.insert(company.clone(), waits) {
            line.order.remove(&held.place);
        }
        line.order.insert(place, company);
    }

    fn line(&mut self, work: Work) -> &mut Line {
        match work {
            Work::Calls => &mut self.calls,
            Work::Rings => &mut self.rings,
        }
    }
}

// === impl Line ===

impl Line {
    /// Takes the first that is due, if so few run that there is room.
    fn next(&mut self, most: usize, now: Instant) -> Option<CompanyId> {
        let first = self.order.first_entry()?;
        if self.running >= most || first.key().0 > now {
            return None;
        }
        let company = first.remove();
        self.waiting.remove(&company);
        self.running += 1;
        Some(company)
    }
}

/// The pause after so many failures in a row before this one.
pub(crate) fn pause_after(failures: u32) -> Duration {
    let wait = FIRST_PAUSE.saturating_mul(1 << failures.min(10));
    wait.min(LONGEST_PAUSE)
}

fn gathered(work: Work) -> Duration {
    match work {
        Work::Calls => GATHER_CALLS,
        Work::Rings => GATHER_RINGS,
    }
}

fn of_a_company(work: Work) -> usize {
    match work {
        Work::Calls => 1,
        Work::Rings => RINGS_OF_A_COMPANY,
    }
}

fn most(work: Work) -> usize {
    match work {
        Work::Calls => MAX_RUNS,
        Work::Rings => MAX_RINGS,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn calls(company: &str) -> Task {
        (company.parse().unwrap(), Work::Calls)
    }

    fn rings(company: &str) -> Task {
        (company.parse().unwrap(), Work::Rings)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn calls_of_a_second_are_one_run_and_rings_of_a_moment_one_request() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for at in [0, 300, 900] {
            queue.wake(calls("acme"), start + ms(at));
        }
        for at in [100, 110, 119] {
            queue.wake(rings("acme"), start + ms(at));
        }
        assert_eq!(queue.next_due(), Some(start + ms(120)));
        assert_eq!(queue.begin(start + ms(119)), []);
        assert_eq!(queue.begin(start + ms(120)), [rings("acme")]);
        assert_eq!(queue.next_due(), Some(start + ms(1000)));
        assert_eq!(queue.begin(start + ms(1000)), [calls("acme")]);
        assert_eq!(queue.begin(start + ms(9000)), []);
    }

    #[test]
    fn a_company_runs_once_at_a_time_and_again_for_what_came_meanwhile() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.wake(calls("acme"), start);
        assert_eq!(queue.begin(start + ms(1000)).len(), 1);
        queue.wake(calls("acme"), start + ms(1200));
        assert_eq!(queue.begin(start + ms(5000)), []);
        queue.ended(calls("acme"), Again::WhenWoken, start + ms(5000));
        assert_eq!(queue.begin(start + ms(5000)), [calls("acme")]);
        queue.ended(calls("acme"), Again::WhenWoken, start + ms(5100));
        assert_eq!(queue.next_due(), None, "nothing came meanwhile");
    }

    #[test]
    fn a_ring_does_not_wait_for_the_answer_to_an_earlier_one_unless_many_ring() {
        let mut queue = Queue::default();
        let start = Instant::now();
        let mut begun = vec![];
        for ring in 0..10 {
            queue.wake(rings("acme"), start + ms(50 * ring));
            begun.extend(queue.begin(start + ms(50 * ring + 20)));
        }
        assert_eq!(begun.len(), RINGS_OF_A_COMPANY);
        assert_eq!(
            queue.next_due(),
            None,
            "those after them wait for one that ends"
        );
        queue.ended(rings("acme"), Again::WhenWoken, start + ms(600));
        assert_eq!(queue.begin(start + ms(600)), [rings("acme")]);
        for _ in 0..RINGS_OF_A_COMPANY {
            queue.ended(rings("acme"), Again::WhenWoken, start + ms(700));
        }
        assert_eq!(queue.next_due(), None, "nothing came meanwhile");
    }

    #[test]
    fn a_failure_is_not_repeated_for_each_call_and_what_only_waits_is_brought_forward() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for (again, due) in [
            (Again::NotBefore(ms(15_000)), 15_000),
            (Again::After(ms(15_000)), 3_000),
        ] {
            queue.wake(calls("acme"), start);
            queue.begin(start + ms(20_000));
            queue.ended(calls("acme"), again, start);
            queue.wake(calls("acme"), start + ms(2_000));
            assert_eq!(queue.next_due(), Some(start + ms(due)), "{again:?}");
            queue.begin(start + ms(20_000));
            queue.ended(calls("acme"), Again::WhenWoken, start);
        }
    }

    #[test]
    fn when_salesforce_answers_again_the_pause_after_a_failure_is_over() {
        let mut queue = Queue::default();
        let start = Instant::now();
        queue.wake(calls("acme"), start);
        queue.begin(start + ms(1_000));
        let pause = Again::NotBefore(ms(600_000));
        queue.ended(calls("acme"), pause, start + ms(1_000));
        queue.answers_again(calls("acme"), start + ms(5_000));
        assert_eq!(queue.next_due(), Some(start + ms(6_000)));
        // One that runs just now comes once more if it needs to.
        assert_eq!(queue.begin(start + ms(6_000)), [calls("acme")]);
        queue.answers_again(calls("acme"), start + ms(6_100));
        queue.ended(calls("acme"), Again::WhenWoken, start + ms(6_200));
        assert_eq!(queue.next_due(), Some(start + ms(7_100)));
        // What it was not answered may have been sent before.
        queue.begin(start + ms(7_100));
        queue.answers_again(calls("acme"), start + ms(7_200));
        queue.ended(calls("acme"), pause, start + ms(7_300));
        assert_eq!(queue.next_due(), Some(start + ms(8_200)));
        queue.begin(start + ms(8_200));
        queue.ended(calls("acme"), pause, start + ms(8_300));
        assert_eq!(queue.next_due(), Some(start + ms(608_300)));
    }

    #[test]
    fn with_many_companies_each_has_its_turn_and_rings_do_not_wait_for_calls() {
        let mut queue = Queue::default();
        let start = Instant::now();
        for company in 0..100 {
            queue.wake(calls(&format!("c{company}")), start + ms(company));
        }
        let now = start + ms(2_000);
        let mut seen = vec![];
        let mut running = queue.begin(now);
        assert_eq!(running.len(), MAX_RUNS);
        // One that is busy all the time does not come twice before the others came once.
        queue.wake(calls("c0"), now);
        assert_eq!(queue.next_due(), None, "there is no room");
        queue.wake(rings("c99"), now);
        assert_eq!(queue.begin(now + ms(30)), [rings("c99")]);
        while let Some(task) = running.pop() {
            seen.push(task.clone());
            queue.ended(task, Again::WhenWoken, now + ms(40));
            running.extend(queue.begin(now + ms(1_040)));
        }
        let first_again = seen.iter().rposition(|task| *task == calls("c0"));
        let others: HashSet<_> = seen.iter().take(first_again.unwrap()).collect();
        assert!(others.len() >= 100 - MAX_RUNS, "{}", others.len());
        assert_eq!(seen.len(), 101);
    }
}
