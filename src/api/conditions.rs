//! The words of the conditions, in one place, and the one function that sets them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The Secret exists and has the keys that the log-in method needs.
pub const CREDENTIALS_AVAILABLE: &str = "CredentialsAvailable";
/// A log-in and a real REST call succeeded.
pub const CONNECTED: &str = "Connected";
/// The user sees all Contacts, Accounts and Leads.
pub const AUTHORIZED: &str = "Authorized";
/// No older resource claims the company ID.
pub const EXCLUSIVE: &str = "Exclusive";
/// The last run succeeded, or none was due yet, or retrieval is disabled.
pub const SYNCED: &str = "Synced";
/// All of the above that apply hold.
pub const READY: &str = "Ready";
/// Nothing will change until a person acts. Present only while True, as kstatus expects.
pub const STALLED: &str = "Stalled";

/// Reasons that are the controller's own; Salesforce's refusals are [`crate::salesforce::Meaning`].
pub mod reason {
    /// A condition holds and there is no more to say.
    pub const AS_EXPECTED: &str = "AsExpected";
    /// Everything works.
    pub const READY: &str = "Ready";
    /// Not looked at yet, because something before it does not hold or was not proved yet.
    pub const PENDING: &str = "Pending";
    /// The tenant has set `suspend`.
    pub const SUSPENDED: &str = "Suspended";
    /// A value passed the schema but names nothing that exists (a time zone, a region).
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// There is no Secret of that name.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// The Secret lacks a key.
    pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
    /// A key of the Secret is empty or not text.
    pub const SECRET_KEY_INVALID: &str = "SecretKeyInvalid";
    /// An older resource claims the company ID.
    pub const COMPANY_ID_TAKEN: &str = "CompanyIdTaken";
    /// The user does not see all records of an object.
    pub const MISSING_VIEW_ALL: &str = "MissingViewAll";
    /// The user may not see an object at all.
    pub const OBJECT_UNAVAILABLE: &str = "ObjectUnavailable";
    /// Whether the user sees all records could not be found out.
    pub const RIGHTS_UNKNOWN: &str = "RightsUnknown";
    /// Retrieval is `Disabled`: there is nothing to run.
    pub const RETRIEVAL_DISABLED: &str = "RetrievalDisabled";
    /// No run was due yet.
    pub const NO_RUN_YET: &str = "NoRunYet";
    /// The last run succeeded.
    pub const RUN_SUCCEEDED: &str = "RunSucceeded";
    /// The last run failed.
    pub const RUN_FAILED: &str = "RunFailed";
    /// A run was due and none ended.
    pub const RUN_OVERDUE: &str = "RunOverdue";
    /// The cluster does not take an object that runs need.
    pub const REFUSED_BY_CLUSTER: &str = "RefusedByCluster";
    /// The last run stopped at its share of the org's API requests.
    pub const BUDGET_EXHAUSTED: &str = "BudgetExhausted";
}

/// Truth of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}

impl Truth {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
}

/// What a condition is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub truth: Truth,
    /// CamelCase, for programs.
    pub reason: String,
    /// A sentence, for people.
    pub message: String,
}

// === impl Verdict ===

impl Verdict {
    /// It holds.
    pub fn holds(reason: &str, message: impl Into<String>) -> Self {
        Verdict {
            truth: Truth::True,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// It does not hold.
    pub fn fails(reason: &str, message: impl Into<String>) -> Self {
        Verdict {
            truth: Truth::False,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// It is not known.
    pub fn unknown(reason: &str, message: impl Into<String>) -> Self {
        Verdict {
            truth: Truth::Unknown,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// The condition of that type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of that type is True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == Truth::True.as_str())
}

/// Whether runs wait because the cluster refuses an object that they need.
pub fn is_refused_by_cluster(conditions: &[Condition]) -> bool {
    find(conditions, SYNCED).is_some_and(|synced| synced.reason == reason::REFUSED_BY_CLUSTER)
}

/// What the condition of that type says now.
pub fn verdict(conditions: &[Condition], type_: &str) -> Option<Verdict> {
    find(conditions, type_).map(|condition| Verdict {
        truth: match condition.status.as_str() {
            "True" => Truth::True,
            "False" => Truth::False,
            _ => Truth::Unknown,
        },
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    })
}

/// Sets a condition in place; `lastTransitionTime` moves only when the truth does.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    verdict: Verdict,
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = verdict.truth.as_str();
    let since = find(conditions, type_)
        .filter(|old| old.status == status)
        .map_or(Time(now), |old| old.last_transition_time.clone());
    let condition = Condition {
        type_: type_.into(),
        status: status.into(),
        reason: verdict.reason,
        message: verdict.message,
        observed_generation: generation,
        last_transition_time: since,
    };
    match conditions.iter_mut().find(|old| old.type_ == type_) {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

/// Takes a condition away.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_truth() {
        let mut conditions = vec![];
        set(
            &mut conditions,
            READY,
            Verdict::fails("A", "a"),
            Some(1),
            at(0),
        );
        set(
            &mut conditions,
            READY,
            Verdict::fails("B", "b"),
            Some(2),
            at(10),
        );
        let ready = find(&conditions, READY).unwrap();
        assert_eq!(
            (ready.reason.as_str(), &ready.last_transition_time),
            ("B", &Time(at(0)))
        );
        set(
            &mut conditions,
            READY,
            Verdict::holds("C", ""),
            Some(2),
            at(20),
        );
        assert_eq!(
            find(&conditions, READY).unwrap().last_transition_time,
            Time(at(20))
        );
    }
}
