//! Objects that the cluster refuses, because a quota of the namespace is used up or an admission
//! policy is against them. The controller tries again, and the status shows the obstacle to the
//! tenant meanwhile.

use super::stuck::quote;
use crate::api::conditions::Verdict;
use crate::reason::Reason;

/// The cluster's response to the last writes of the controller for an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Admission {
    /// This controller has not tried, or has received no other response.
    #[default]
    Unknown,
    /// The cluster accepts what it had refused.
    Accepted,
    /// This number of attempts in a row has failed on the cluster's side.
    Failing(u32),
    /// The cluster refuses this object.
    Refused(RefusedObject),
}

/// The result of one attempt to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteResult {
    /// The attempt ended without a result.
    Unknown,
    /// The cluster accepted everything.
    Applied,
    /// The cluster failed to handle this object, for a moment or because one of its webhooks is
    /// broken.
    Failed(RefusedObject),
    /// The cluster refuses this object.
    Refused(RefusedObject),
}

/// Number of failures in a row that count as a refusal. With the pauses between the attempts, this
/// takes half a minute.
const FAILURES: u32 = 6;

/// An object that the cluster refuses, with the cluster's message. For the Secret with the
/// directory's tokens, the message is left out: a webhook that refuses the Secret may repeat its
/// content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RefusedObject {
    /// The CronJob, with the cluster's message.
    CronJob(String),
    /// The Secret with the directory's tokens.
    Tokens,
    /// The Job that a tenant requested: its name, and the cluster's message.
    Job(String, String),
}

// === impl Admission ===

impl Admission {
    /// Returns what is known after another attempt to write everything. `in_status` is whether the
    /// written status states a refusal.
    pub(crate) fn after(self, attempt: WriteResult, in_status: bool) -> Self {
        match (attempt, self) {
            (WriteResult::Unknown, known) => known,
            (WriteResult::Refused(object), _) => Self::Refused(object),
            (WriteResult::Failed(object), Self::Refused(_)) => Self::Refused(object),
            (WriteResult::Failed(object), Self::Failing(before)) if before + 1 >= FAILURES => {
                Self::Refused(object)
            }
            (WriteResult::Failed(_), Self::Failing(before)) => Self::Failing(before + 1),
            (WriteResult::Failed(_), _) => Self::Failing(1),
            (WriteResult::Applied, Self::Refused(_)) => Self::Accepted,
            (WriteResult::Applied, Self::Unknown | Self::Failing(_)) if in_status => Self::Accepted,
            (WriteResult::Applied, _) => Self::Unknown,
        }
    }

    /// Returns the verdict for `Synced` while the cluster refuses an object that runs need.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let Self::Refused(object) = self else {
            return None;
        };
        match object {
            RefusedObject::Job(..) => None,
            object => Some(Verdict::fails(Reason::RefusedByCluster, object.message())),
        }
    }

    /// Returns the message about the Job of that name, if the cluster refused it.
    pub(crate) fn refuses_job(&self, name: &str) -> Option<String> {
        match self {
            Self::Refused(object @ RefusedObject::Job(refused, _)) if refused == name => {
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
            Self::CronJob(message) => {
                format!("The cluster refuses the CronJob{}", quote(Some(message)))
            }
            Self::Tokens => "The cluster refuses the Secret with the directory's tokens.".into(),
            Self::Job(_, message) => {
                format!(
                    "The cluster refuses the Job that was asked for{}",
                    quote(Some(message))
                )
            }
        }
    }
}
