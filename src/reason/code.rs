//! The reason in a report or a status: one of this version, or a code of another version of this
//! program.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Reason;
use crate::salesforce::Meaning;

/// The remedy for a code that this version does not know.
const REMEDY_OF_UNKNOWN: &str =
    "Look at the logs of the run with kubectl, and ask the platform team.";

/// The code of a reason. An unknown code of a newer worker or controller is kept unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code(Inner);

// The enum is private, so that a known code is never stored as an unknown one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Inner {
    Known(Reason),
    Unknown(String),
}

// === impl Code ===

impl Code {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Inner::Known(reason) => reason.code(),
            Inner::Unknown(code) => code,
        }
    }

    /// The reason; `None` if this version does not know the code.
    pub fn reason(&self) -> Option<Reason> {
        match &self.0 {
            Inner::Known(reason) => Some(*reason),
            Inner::Unknown(_) => None,
        }
    }

    /// The meaning of Salesforce's response; `None` if the reason is not one of Salesforce's.
    pub fn meaning(&self) -> Option<Meaning> {
        match self.0 {
            Inner::Known(Reason::Salesforce(meaning)) => Some(meaning),
            _ => None,
        }
    }

    /// The next step for the tenant; for an unknown code a general text.
    pub fn remedy(&self) -> &'static str {
        match &self.0 {
            Inner::Known(reason) => reason.remedy().text(),
            Inner::Unknown(_) => REMEDY_OF_UNKNOWN,
        }
    }
}

impl From<Reason> for Code {
    fn from(reason: Reason) -> Self {
        Self(Inner::Known(reason))
    }
}

impl From<Meaning> for Code {
    fn from(meaning: Meaning) -> Self {
        Self::from(Reason::from(meaning))
    }
}

impl From<&str> for Code {
    fn from(code: &str) -> Self {
        Self(Reason::from_code(code).map_or_else(|| Inner::Unknown(code.to_owned()), Inner::Known))
    }
}

impl PartialEq<Reason> for Code {
    fn eq(&self, reason: &Reason) -> bool {
        self.reason() == Some(*reason)
    }
}

// Tests compare with the text that a user reads; the program itself compares reasons.
#[cfg(test)]
impl PartialEq<&str> for Code {
    fn eq(&self, code: &&str) -> bool {
        self.as_str() == *code
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|code| Self::from(code.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_code_becomes_its_reason_and_an_unknown_one_stays_what_it_is() {
        for reason in Reason::all() {
            assert_eq!(Code::from(reason.code()), reason);
            assert_eq!(Code::from(reason.code()), Code::from(reason));
        }
        let json = "\"QuantumLinkLost\"";
        let code: Code = serde_json::from_str(json).unwrap();
        assert_eq!((code.as_str(), code.reason()), ("QuantumLinkLost", None));
        assert_eq!(code.remedy(), REMEDY_OF_UNKNOWN);
        assert_eq!(serde_json::to_string(&code).unwrap(), json);
    }

    #[test]
    fn no_reason_of_ours_falls_back_on_the_remedy_for_what_nobody_knows() {
        for reason in Reason::all() {
            assert_ne!(Code::from(reason).remedy(), REMEDY_OF_UNKNOWN, "{reason}");
        }
    }
}
