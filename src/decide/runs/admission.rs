//! What the cluster does not take from the controller: a quota of the namespace is used up, an admission policy is against it. It is
//! tried again, and the tenant reads meanwhile what stands in the way.

use super::stuck::quote;
use crate::api::conditions::Verdict;
use crate::reason::Reason;

/// What the cluster made of what the controller last wanted to write for an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// This controller has not tried, or has not heard otherwise.
    #[default]
    Unknown,
    /// It takes what it had refused.
    Accepted,
    /// That many attempts in a row have failed on its side.
    Failing(u32),
    /// It refuses something.
    Refused(RefusedObject),
}

/// What was heard of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// It broke off.
    Unknown,
    /// Everything was taken.
    Applied,
    /// The cluster failed over that object: for a moment, or because a webhook of its own is broken.
    Failed(RefusedObject),
    /// The cluster does not take that object.
    Refused(RefusedObject),
}

/// So many failures in a row are a refusal. With the pauses between the attempts that is half a minute.
const FAILURES: u32 = 6;

/// An object that the cluster refuses, and its words. Of the Secret with the directory's tokens there are none: a webhook that refuses it
/// may repeat what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedObject {
    /// The CronJob.
    CronJob(String),
    /// The Secret with the directory's tokens.
    Tokens,
    /// The Job of that name, which a tenant asks for.
    Job(String, String),
}

// === impl Admission ===

impl Admission {
    /// What is known after another attempt to write everything. `in_status` is whether the status that was written says that something is
    /// refused.
    pub fn after(self, attempt: WriteResult, in_status: bool) -> Admission {
        match (attempt, self) {
            (WriteResult::Unknown, known) => known,
            (WriteResult::Refused(object), _) => Admission::Refused(object),
            (WriteResult::Failed(object), Admission::Refused(_)) => Admission::Refused(object),
            (WriteResult::Failed(object), Admission::Failing(before)) if before + 1 >= FAILURES => {
                Admission::Refused(object)
            }
            (WriteResult::Failed(_), Admission::Failing(before)) => Admission::Failing(before + 1),
            (WriteResult::Failed(_), _) => Admission::Failing(1),
            (WriteResult::Applied, Admission::Refused(_)) => Admission::Accepted,
            (WriteResult::Applied, Admission::Unknown | Admission::Failing(_)) if in_status => {
                Admission::Accepted
            }
            (WriteResult::Applied, _) => Admission::Unknown,
        }
    }

    /// What `Synced` says while something refused is missing that runs need.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let Admission::Refused(object) = self else {
            return None;
        };
        match object {
            RefusedObject::Job(..) => None,
            object => Some(Verdict::fails(Reason::RefusedByCluster, object.message())),
        }
    }

    /// Why the Job of that name was refused, if it was.
    pub(crate) fn refuses_job(&self, name: &str) -> Option<String> {
        match self {
            Admission::Refused(object @ RefusedObject::Job(refused, _)) if refused == name => {
                Some(object.message())
            }
            _ => None,
        }
    }
}

// === impl RefusedObject ===

impl RefusedObject {
    fn message(&self) -> String {
        match self {
            RefusedObject::CronJob(said) => {
                format!("The cluster refuses the CronJob{}", quote(Some(said)))
            }
            RefusedObject::Tokens => {
                "The cluster refuses the Secret with the directory's tokens.".into()
            }
            RefusedObject::Job(_, said) => {
                format!(
                    "The cluster refuses the Job that was asked for{}",
                    quote(Some(said))
                )
            }
        }
    }
}
