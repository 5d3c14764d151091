//! What the tenant does next, for every code that a status may hold.

use crate::api::conditions::reason;
use crate::salesforce::Meaning;

/// What the tenant does next about a code.
pub fn remedy(code: &str) -> &'static str {
    match code {
        reason::INVALID_SPEC => {
            "Correct the field that the message names and apply the resource again."
        }
        reason::SECRET_NOT_FOUND => {
            "Create the Secret in this namespace, or correct the name in secretRef. It is noticed at once."
        }
        reason::SECRET_KEY_MISSING => "Add the key to the Secret. It is noticed at once.",
        reason::SECRET_KEY_INVALID => {
            "Write the key's value again as text that is not empty. It is noticed at once."
        }
        reason::COMPANY_ID_TAKEN => {
            "Correct spec.companyId, or ask for the other resource to be deleted; this one then recovers by itself."
        }
        reason::MISSING_VIEW_ALL => {
            "In Salesforce, give the user \"View All\" on the objects that the message names, by a permission set. It is noticed at the next proof, or at once with the annotation switchboard.dev/test-requested-at."
        }
        reason::OBJECT_UNAVAILABLE => {
            "In Salesforce, give the user read access and \"View All\" on the objects that the message names, by a permission set."
        }
        reason::RUN_OVERDUE => {
            "Look at the CronJob and its Jobs with kubectl: is the cluster short of nodes, or can the image not be pulled? The next run catches up."
        }
        reason::REFUSED_BY_CLUSTER => {
            "A quota or a policy of the namespace stands in the way: ask the platform team. It is tried again every minute."
        }
        reason::BUDGET_EXHAUSTED => {
            "Nothing is lost: the next run goes on. Give the integration a larger share (spec.apiBudget.dailyPercent), or ask for more API requests in Salesforce."
        }
        code::RUN_DEADLINE_EXCEEDED => {
            "Nothing is lost: the next run goes on where this one stopped. If it happens again, Salesforce or the directory answers slowly."
        }
        code::WORKER_OUT_OF_MEMORY => {
            "Nothing is lost: the next run goes on. Ask the platform team to raise the worker's memory limit."
        }
        code::WORKER_UNSCHEDULABLE => {
            "The cluster has no room for the pod: ask the platform team for a node, or for a smaller memory request. It starts by itself then."
        }
        code::WORKER_IMAGE_NOT_PULLED => {
            "Ask the platform team: the worker's image does not exist under that name, or the node may not pull it. It starts by itself then."
        }
        code::POD_NOT_CREATED => {
            "`kubectl describe job` says why: most often a quota or a policy of the namespace, which the platform team knows. The run starts by itself when nothing stands in the way any more, and the next one catches up."
        }
        code::WORKER_NOT_CREATED | code::WORKER_NOT_STARTED => {
            "Look at the pod with `kubectl describe pod`: a Secret or a key that it mounts may have been deleted. The next run catches up."
        }
        warning::FIELD_HIDDEN => {
            "In Salesforce, give the user read access to the field, by field-level security in a permission set."
        }
        code::WORKER_KILLED => {
            "Nothing is lost: the next run goes on. If it happens again, ask the platform team who ends the pods: a node that restarts, or a deployment tool."
        }
        code::POD_LOST => {
            "Nothing is lost: the next run goes on. If it happens again, ask the platform team who deletes the pods before they are done."
        }
        code::WORKER_EVICTED => {
            "Nothing is lost: the next run goes on. If it happens again, ask the platform team: the node is short of memory or disk, or more important pods push this one out."
        }
        code::REPORT_MISSING => {
            "The next run tries again. If it happens again, ask the platform team for the logs of the pod: the worker ended before it could say why."
        }
        code::REPORT_INVALID => {
            "The next run tries again. If it happens again, the worker's image does not fit the controller: ask the platform team."
        }
        code::DIRECTORY_UNAVAILABLE => {
            "Nothing is lost: the next run tries again. If it lasts, ask the platform team to look at the directory."
        }
        _ => Meaning::from_code(code).map_or(
            "Look at the logs of the run with kubectl, and ask the platform team.",
            Meaning::remedy,
        ),
    }
}

/// Codes of warnings, beside those of Salesforce's side.
pub mod warning {
    /// A run may not read a field.
    pub const FIELD_HIDDEN: &str = "FieldHidden";
    /// Most of the integration's share of the org's API requests is used.
    pub const BUDGET_NEARLY_USED: &str = "ApiBudgetNearlyUsed";
    /// The shares of an org's integrations add up to more than there is.
    pub const BUDGETS_OVERBOOKED: &str = "ApiBudgetsOverbooked";
}

/// Codes of runs that ended without a usable report, beside those that a report names itself.
pub mod code {
    /// The pod ran past its deadline.
    pub const RUN_DEADLINE_EXCEEDED: &str = "RunDeadlineExceeded";
    /// The kernel stopped the worker for memory.
    pub const WORKER_OUT_OF_MEMORY: &str = "WorkerOutOfMemory";
    /// A signal ended the worker.
    pub const WORKER_KILLED: &str = "WorkerKilled";
    /// The node evicted the pod.
    pub const WORKER_EVICTED: &str = "WorkerEvicted";
    /// The cluster makes no pod for the Job.
    pub const POD_NOT_CREATED: &str = "PodNotCreated";
    /// No node takes the pod.
    pub const WORKER_UNSCHEDULABLE: &str = "WorkerUnschedulable";
    /// The node cannot pull the image.
    pub const WORKER_IMAGE_NOT_PULLED: &str = "WorkerImageNotPulled";
    /// The node cannot make the container.
    pub const WORKER_NOT_CREATED: &str = "WorkerNotCreated";
    /// The container did not start, and nobody says why.
    pub const WORKER_NOT_STARTED: &str = "WorkerNotStarted";
    /// The Job failed and its pod is gone.
    pub const POD_LOST: &str = "PodLost";
    /// The worker ended without a report.
    pub const REPORT_MISSING: &str = "ReportMissing";
    /// What the worker left is no report.
    pub const REPORT_INVALID: &str = "ReportInvalid";
    /// The worker could not reach the directory.
    pub const DIRECTORY_UNAVAILABLE: &str = "DirectoryUnavailable";
}
