//! Selection of the pods that a rule or a query of a test applies to.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// Selects pods of a runner by namespace, name, Job, CronJob or label.
///
/// ```
/// use switchboard_testbed::Select;
/// let lookups = Select::all().namespace("acme").cron_job("acme-tokyo-lookup");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    namespace: Option<String>,
    pod: Option<String>,
    job: Option<String>,
    cron_job: Option<String>,
    labels: Vec<(String, String)>,
}

impl Select {
    /// Selects every pod of the runner.
    pub fn all() -> Self {
        Self::default()
    }

    /// Limits the selection to a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Limits the selection to the pod with this name.
    #[must_use]
    pub fn pod(mut self, name: impl Into<String>) -> Self {
        self.pod = Some(name.into());
        self
    }

    /// Limits the selection to the pods of a Job.
    #[must_use]
    pub fn job(mut self, name: impl Into<String>) -> Self {
        self.job = Some(name.into());
        self
    }

    /// Limits the selection to a CronJob's Jobs: the Job's name is `NAME-` and a suffix without a
    /// hyphen.
    #[must_use]
    pub fn cron_job(mut self, name: impl Into<String>) -> Self {
        self.cron_job = Some(name.into());
        self
    }

    /// Limits the selection to pods with a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// Whether the pod is selected.
    pub(super) fn matches(&self, pod: &Pod) -> bool {
        let job = job_of(pod);
        let is = |wish: &Option<String>, have: Option<&str>| {
            wish.as_deref().is_none_or(|wish| Some(wish) == have)
        };
        let of_cron_job = |name: &str| {
            let number = job
                .and_then(|job| job.strip_prefix(name))
                .and_then(|rest| rest.strip_prefix('-'));
            number.is_some_and(|number| !number.contains('-'))
        };
        is(&self.namespace, pod.metadata.namespace.as_deref())
            && is(&self.pod, pod.metadata.name.as_deref())
            && is(&self.job, job)
            && self.cron_job.as_deref().is_none_or(of_cron_job)
            && self
                .labels
                .iter()
                .all(|(key, value)| pod.labels().get(key) == Some(value))
    }
}

/// The Job that a pod belongs to.
pub(super) fn job_of(pod: &Pod) -> Option<&str> {
    pod.labels()
        .get("batch.kubernetes.io/job-name")
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(job: &str) -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "labels": {"batch.kubernetes.io/job-name": job, "role": "worker"}},
        }))
        .unwrap()
    }

    #[test]
    fn each_narrowing_counts() {
        let pod = pod("acme-lookup-29731");
        assert!(Select::all().matches(&pod));
        assert!(
            Select::all()
                .namespace("n")
                .pod("p")
                .job("acme-lookup-29731")
                .label("role", "worker")
                .matches(&pod)
        );
        assert!(!Select::all().namespace("other").matches(&pod));
        assert!(!Select::all().label("role", "directory").matches(&pod));
    }

    #[test]
    fn a_cron_job_is_not_taken_for_one_with_a_longer_name() {
        let pod = pod("acme-lookup-29731");
        assert!(Select::all().cron_job("acme-lookup").matches(&pod));
        assert!(!Select::all().cron_job("acme").matches(&pod));
    }
}
