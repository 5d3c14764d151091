//! The labels that several families of metrics have.

use std::cmp::Ordering;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::reason::{Code, Reason};

/// Value of the label of a code that this version does not know. A pod may report any, and each
/// would be a series of its own.
const UNKNOWN_CODE: &str = "Unknown";

/// A code as a label. All that this version does not know are one.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct CodeValue(Option<Reason>);

impl From<Code> for CodeValue {
    fn from(code: Code) -> Self {
        Self(code.reason())
    }
}

// === impl CodeValue ===

impl CodeValue {
    fn as_str(&self) -> &'static str {
        self.0.map_or(UNKNOWN_CODE, Reason::code)
    }
}

impl Ord for CodeValue {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for CodeValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl EncodeLabelValue for CodeValue {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ConditionLabel {
    pub(super) condition: String,
    pub(super) status: String,
    pub(super) reason: CodeValue,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CodeLabel {
    pub(super) code: CodeValue,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: CodeValue,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct KindLabel {
    pub(super) kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct OrgLabel {
    pub(super) organization: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RunLabel {
    pub(super) kind: String,
    pub(super) outcome: CodeValue,
}
