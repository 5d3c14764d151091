//! Results of runs whose pods were gone before a reconcile had read them. An evicted pod takes its
//! report along, and only the watch's deletion event still has the result.

use std::collections::BTreeSet;

use crate::decide::runs::EndedRun;

/// The maximum number of runs kept for one integration. No more than that end at once.
const MAX_RUNS: usize = 8;

/// The results of an integration's runs whose pods are gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LostPodResults(Vec<EndedRun>);

// === impl LostPodResults ===

impl LostPodResults {
    /// Adds the result of an ended run whose pod is gone.
    pub(crate) fn add(&mut self, run: EndedRun) {
        self.0.retain(|known| known.job != run.job);
        if self.0.len() == MAX_RUNS {
            self.0.remove(0);
        }
        self.0.push(run);
    }

    /// The results whose Jobs still exist. Drops the others.
    pub(crate) fn of(&mut self, jobs: &BTreeSet<String>) -> Vec<EndedRun> {
        self.0.retain(|run| jobs.contains(&run.job));
        self.0.clone()
    }
}

/// A run that ended, for tests.
#[cfg(test)]
pub(crate) fn ended_run(job: &str) -> EndedRun {
    EndedRun {
        job: job.into(),
        where_: crate::api::RunWhere::Pod,
        job_uid: None,
        kind: crate::run::RunKind::Lookup,
        started_at: None,
        finished_at: jiff::Timestamp::UNIX_EPOCH,
        credentials_version: None,
        allowance: None,
        outcome: "Succeeded".into(),
        message: String::new(),
        report: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_kept_as_long_as_the_job_is_there_and_never_many() {
        let mut results = LostPodResults::default();
        for job in ["gone", "there", "there"] {
            results.add(ended_run(job));
        }
        let there = BTreeSet::from(["there".to_owned()]);
        assert_eq!(results.of(&there), [ended_run("there")]);
        assert_eq!(results.of(&there), [ended_run("there")]);
        assert_eq!(results.of(&BTreeSet::new()), []);
        assert_eq!(results, LostPodResults::default());

        let jobs: BTreeSet<String> = (0..2 * MAX_RUNS).map(|number| number.to_string()).collect();
        for job in &jobs {
            results.add(ended_run(job));
        }
        assert_eq!(results.of(&jobs).len(), MAX_RUNS);
    }
}
