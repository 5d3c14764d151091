//! The conditions in their order, and the one function that sets them. The cause of a condition's
//! state is a [`Reason`].

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::reason::{Code, Reason};

/// The Secret exists and has the keys that the log-in method needs.
pub const CREDENTIALS_AVAILABLE: &str = "CredentialsAvailable";
/// A log-in and a real REST call succeeded.
pub const CONNECTED: &str = "Connected";
/// The user sees all Contacts, Accounts and Leads.
pub const AUTHORIZED: &str = "Authorized";
/// No older resource claims the company ID, or a user of the call centers.
pub const EXCLUSIVE: &str = "Exclusive";
/// The last run succeeded, or none was due yet, or retrieval is disabled.
pub const SYNCED: &str = "Synced";
/// All of the above that apply hold.
pub const READY: &str = "Ready";
/// Nothing will change until somebody acts. Present only while True, as kstatus expects.
pub const STALLED: &str = "Stalled";

/// Salesforce has the users of the call centers as the spec says. It is a warning, not a part of
/// Ready, and present only while the spec has call centers.
pub const CALL_CENTERS_VERIFIED: &str = "CallCentersVerified";

/// What the directory kept about the company is erased. Present only while the integration is being
/// deleted and waits for that.
pub const DATA_ERASED: &str = "DataErased";

/// The conditions that Ready summarises. Each one depends on those before it, and Ready reports the
/// first one that does not hold.
pub const ORDER: [&str; 5] = [
    CREDENTIALS_AVAILABLE,
    EXCLUSIVE,
    CONNECTED,
    AUTHORIZED,
    SYNCED,
];
/// The conditions of [`ORDER`] that only a cluster can decide.
pub const OF_THE_CLUSTER: [&str; 2] = [EXCLUSIVE, SYNCED];

/// The conditions before this one in [`ORDER`].
pub fn before(type_: &str) -> impl Iterator<Item = &'static str> {
    ORDER.into_iter().take_while(move |known| *known != type_)
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
    /// The spelling of Kubernetes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The state that a condition is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub truth: Truth,
    /// The reason, as a code for programs.
    pub reason: Code,
    /// A sentence for humans.
    pub message: String,
}

// === impl Verdict ===

impl Verdict {
    /// The condition holds.
    pub fn holds(reason: impl Into<Code>, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::True,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// The condition does not hold.
    pub fn fails(reason: impl Into<Code>, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::False,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// It is not known whether the condition holds.
    pub fn unknown(reason: impl Into<Code>, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::Unknown,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// The condition of that type. `None` when it is not set.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of that type is True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == Truth::True.as_str())
}

/// Whether runs wait for an object that they need and that cannot be written.
pub fn is_refused_by_cluster(conditions: &[Condition]) -> bool {
    find(conditions, SYNCED).is_some_and(|synced| is_of_admission(&reason_of(synced)))
}

/// Whether a reason says that an object cannot be written.
pub(crate) fn is_of_admission(reason: &Code) -> bool {
    *reason == Reason::RefusedByCluster || *reason == Reason::ObjectNotOurs
}

/// Whether a reason is about how far an address book is.
pub(crate) fn is_of_address_book(reason: &Code) -> bool {
    [
        Reason::AddressBookFilling,
        Reason::AddressBookBehind,
        Reason::AddressBookOverLimit,
    ]
    .into_iter()
    .any(|own| *reason == own)
}

/// The reason of a condition.
pub fn reason_of(condition: &Condition) -> Code {
    Code::from(condition.reason.as_str())
}

/// The current state of the condition of that type. `None` when it is not set.
pub fn verdict(conditions: &[Condition], type_: &str) -> Option<Verdict> {
    find(conditions, type_).map(|condition| Verdict {
        truth: match condition.status.as_str() {
            "True" => Truth::True,
            "False" => Truth::False,
            _ => Truth::Unknown,
        },
        reason: reason_of(condition),
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
        reason: verdict.reason.to_string(),
        message: verdict.message,
        observed_generation: generation,
        last_transition_time: since,
    };
    match conditions.iter_mut().find(|old| old.type_ == type_) {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

/// Removes a condition.
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
    fn each_condition_rests_on_those_before_it() {
        let resting = |type_: &str| before(type_).collect::<Vec<_>>();
        assert_eq!(resting(CREDENTIALS_AVAILABLE), [""; 0]);
        assert_eq!(
            resting(AUTHORIZED),
            [CREDENTIALS_AVAILABLE, EXCLUSIVE, CONNECTED]
        );
        assert!(OF_THE_CLUSTER.iter().all(|type_| ORDER.contains(type_)));
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
