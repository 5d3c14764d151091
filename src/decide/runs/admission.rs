//! Objects that the cluster refuses, because a quota of the namespace is used up or an admission
//! policy is against them. The controller tries again, and the status shows the obstacle to the
//! tenant meanwhile.

use super::stuck::quote;
use crate::api::ADOPT;
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
    /// An object that stands under the name and belongs to somebody else.
    NotOurs(NotOurs),
}

/// An object of somebody else under a name that the controller uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub(crate) struct NotOurs {
    /// Kind of the object.
    pub kind: &'static str,
    /// Name of the object.
    pub name: String,
    /// Name of the integration.
    pub integration: String,
    /// Whose it is.
    pub whose: Whose,
}

/// The owner of an object that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A deleted integration of the same name. The cluster will delete the object.
    Predecessor,
    /// Somebody else.
    Foreign {
        /// The object that manages it, if there is one.
        manager: Option<String>,
    },
}

// === impl NotOurs ===

impl NotOurs {
    fn message(&self) -> String {
        let Self {
            kind,
            name,
            integration,
            whose,
        } = self;
        match whose {
            Whose::Predecessor => format!(
                "The {kind} {name:?} still belongs to a deleted SalesforceIntegration {integration:?}. It is made anew when the cluster has cleared it away."
            ),
            Whose::Foreign {
                manager: Some(manager),
            } => format!(
                "There is a {kind} {name:?} already, which {manager} manages. It is left as it is."
            ),
            Whose::Foreign { manager: None } if *kind == "Job" => format!(
                "There is a {kind} {name:?} already, which was not made here. It is left as it is."
            ),
            Whose::Foreign { manager: None } => format!(
                "There is a {kind} {name:?} already, which was not made here. It is left as it is; to hand it over, set its annotation {ADOPT}={integration}."
            ),
        }
    }

    fn verdict(&self) -> Verdict {
        match self.whose {
            Whose::Predecessor => Verdict::unknown(Reason::Pending, self.message()),
            Whose::Foreign { .. } => Verdict::fails(Reason::ObjectNotOurs, self.message()),
        }
    }
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
            RefusedObject::NotOurs(NotOurs { kind: "Job", .. }) => None,
            RefusedObject::NotOurs(object) => Some(object.verdict()),
            object => Some(Verdict::fails(Reason::RefusedByCluster, object.message())),
        }
    }

    /// Returns the reason and the message about the Job of that name, if it cannot be created.
    pub(crate) fn refuses_job(&self, name: &str) -> Option<(Reason, String)> {
        match self {
            Self::Refused(object @ RefusedObject::Job(refused, _)) if refused == name => {
                Some((Reason::RefusedByCluster, object.message()))
            }
            Self::Refused(RefusedObject::NotOurs(object))
                if object.kind == "Job" && object.name == name =>
            {
                Some((Reason::ObjectNotOurs, object.message()))
            }
            _ => None,
        }
    }

    /// Whether the Secret under the name of the tokens belongs to somebody else, so that no run may
    /// mount it.
    pub(crate) fn lacks_tokens(&self) -> bool {
        matches!(self, Self::Refused(RefusedObject::NotOurs(object)) if object.kind == "Secret")
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
            Self::NotOurs(object) => object.message(),
            Self::Job(_, message) => {
                format!(
                    "The cluster refuses the Job that was asked for{}",
                    quote(Some(message))
                )
            }
        }
    }
}
