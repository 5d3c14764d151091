//! How runs ended whose pods were gone before anybody had looked: an evicted pod takes its report along, but for what the news of its
//! deletion carries.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::index::Key;
use crate::decide::runs::EndedRun;

/// Runs of one integration that are remembered. More than that do not end at once.
const MAX_RUNS: usize = 8;

/// By integration, how runs ended whose pods are gone.
#[derive(Default)]
pub struct LostPodResults(Mutex<HashMap<Key, Vec<EndedRun>>>);

// === impl LostPodResults ===

impl LostPodResults {
    /// A pod is gone, and its run had ended.
    pub fn note(&self, integration: Key, run: EndedRun) {
        let mut all = self.all();
        let runs = all.entry(integration).or_default();
        runs.retain(|known| known.job != run.job);
        if runs.len() == MAX_RUNS {
            runs.remove(0);
        }
        runs.push(run);
    }

    /// How those of an integration ended whose Jobs are still there; the others are let go.
    pub fn of(&self, integration: &Key, jobs: &BTreeSet<String>) -> Vec<EndedRun> {
        let mut all = self.all();
        let Some(runs) = all.get_mut(integration) else {
            return vec![];
        };
        runs.retain(|run| jobs.contains(&run.job));
        let there = runs.clone();
        if there.is_empty() {
            all.remove(integration);
        }
        there
    }

    /// An integration is gone.
    pub fn forget(&self, integration: &Key) {
        self.all().remove(integration);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Vec<EndedRun>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::controller::memory::index::key;
    use crate::run::RunKind;

    fn run(job: &str) -> EndedRun {
        EndedRun {
            job: job.into(),
            kind: RunKind::Lookup,
            started_at: None,
            finished_at: Timestamp::UNIX_EPOCH,
            credentials_version: None,
            allowance: None,
            outcome: "Succeeded".into(),
            message: String::new(),
            report: None,
        }
    }

    #[test]
    fn they_are_kept_as_long_as_the_job_is_there_and_never_many() {
        let key = key("acme");
        let results = LostPodResults::default();
        for job in ["gone", "there", "there"] {
            results.note(key.clone(), run(job));
        }
        let there = BTreeSet::from(["there".to_owned()]);
        assert_eq!(results.of(&key, &there), [run("there")]);
        assert_eq!(results.of(&key, &there), [run("there")]);
        assert_eq!(results.of(&key, &BTreeSet::new()), []);
        assert!(results.all().is_empty());

        let jobs: BTreeSet<String> = (0..2 * MAX_RUNS).map(|number| number.to_string()).collect();
        for job in &jobs {
            results.note(key.clone(), run(job));
        }
        assert_eq!(results.of(&key, &jobs).len(), MAX_RUNS);
        results.forget(&key);
        assert!(results.all().is_empty());
    }
}
