//! Who is next: a pure state machine over companies and what is to be done for them. Calls of a
//! company are gathered for a second, rings for a moment. Each company runs once at a time, and
//! comes once however often it is woken; rings come before calls, and have room of their own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::company_id::CompanyId;
use crate::decide::resident::Work;

/// How long calls of a company are gathered before they are looked up.
const GATHER_CALLS: Duration = Duration::from_secs(1);
/// How long rings of a company are gathered: they share one composite request.
const GATHER_RINGS: Duration = Duration::from_millis(30);
/// The most runs at a time. A run holds a few megabytes at most.
const MAX_RUNS: usize = 32;
/// The most look-ups of rings at a time.
const MAX_RINGS: usize = 32;

/// A company and what is to be done for it.
pub(super) type Task = (CompanyId, Work);

/// When a task comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// When it is woken.
    WhenWoken,
    /// After this time, or when it is woken.
    After(Duration),
    /// After this time and not before.
    NotBefore(Duration),
}

/// The tasks that wait and those that run.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: HashMap<Task, Waiting>,
    order: BTreeMap<(Instant, u64), Task>,
    running: HashSet<Task>,
    /// When tasks that run were woken meanwhile.
    woken: HashMap<Task, Instant>,
    counter: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    place: (Instant, u64),
    not_before: Option<Instant>,
}

// === impl Queue ===

impl Queue {
    /// Something waits for this company.
    pub(super) fn wake(&mut self, task: Task, now: Instant) {
        let due = now + gathered(task.1);
        if self.running.contains(&task) {
            self.woken.entry(task).or_insert(due);
            return;
        }
        let held = self.waiting.get(&task).copied();
        let not_before = held.and_then(|held| held.not_before);
        let due = not_before.map_or(due, |not_before| due.max(not_before));
        // What is woken again does not wait longer for that.
        if held.is_none_or(|held| due < held.place.0) {
            self.put(task, due, not_before);
        }
    }

    /// The tasks that may begin now, rings first. They run until [`ended`](Self::ended).
    pub(super) fn begin(&mut self, now: Instant) -> Vec<Task> {
        let due: Vec<(Instant, u64)> = self
            .order
            .range(..=(now, u64::MAX))
            .map(|(place, _)| *place)
            .collect();
        let mut begun = vec![];
        for work in [Work::Rings, Work::Calls] {
            let mut room = most(work).saturating_sub(self.count(work));
            for place in &due {
                let is_next = self.order.get(place).is_some_and(|task| task.1 == work);
                if room == 0 || !is_next {
                    continue;
                }
                if let Some(task) = self.order.remove(place) {
                    self.waiting.remove(&task);
                    self.running.insert(task.clone());
                    begun.push(task);
                    room -= 1;
                }
            }
        }
        begun
    }

    /// A task has ended.
    pub(super) fn ended(&mut self, task: Task, again: Again, now: Instant) {
        self.running.remove(&task);
        let woken = self.woken.remove(&task);
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
            Again::NotBefore(wait) => self.put(task, now + wait, Some(now + wait)),
        }
    }

    /// When the next task is due for which there is room.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let has_room = |work: Work| self.count(work) < most(work);
        let (rings, calls) = (has_room(Work::Rings), has_room(Work::Calls));
        let mut order = self.order.iter();
        order
            .find(|(_, task)| match task.1 {
                Work::Rings => rings,
                Work::Calls => calls,
            })
            .map(|((due, _), _)| *due)
    }

    fn put(&mut self, task: Task, due: Instant, not_before: Option<Instant>) {
        self.counter += 1;
        let place = (due, self.counter);
        if let Some(held) = self
            .waiting
            .insert(task.clone(), Waiting { place, not_before })
        {
            self.order.remove(&held.place);
        }
        self.order.insert(place, task);
    }

    fn count(&self, work: Work) -> usize {
        self.running.iter().filter(|task| task.1 == work).count()
    }
}

fn gathered(work: Work) -> Duration {
    match work {
        Work::Calls => GATHER_CALLS,
        Work::Rings => GATHER_RINGS,
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
        for at in [100, 110, 129] {
            queue.wake(rings("acme"), start + ms(at));
        }
        assert_eq!(queue.next_due(), Some(start + ms(130)));
        assert_eq!(queue.begin(start + ms(129)), []);
        assert_eq!(queue.begin(start + ms(130)), [rings("acme")]);
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
