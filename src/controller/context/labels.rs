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

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::registry::Registry;
    use proptest::prelude::*;

    use super::*;

    /// Reads a label's value as Prometheus does.
    fn unquote(text: &str) -> Option<String> {
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        let mut value = String::new();
        let mut chars = inner.chars();
        while let Some(char) = chars.next() {
            match char {
                '"' | '\n' => return None,
                '\\' => value.push(match chars.next()? {
                    'n' => '\n',
                    escaped @ ('"' | '\\') => escaped,
                    _ => return None,
                }),
                plain => value.push(plain),
            }
        }
        Some(value)
    }

    proptest! {
        #[test]
        fn a_label_always_reads_back_as_its_value(organization in "\\PC{0,20}|[\"\\\\\n{},= a]{0,20}") {
            let mut registry = Registry::default();
            let family = Family::<OrgLabel, Gauge>::default();
            registry.register("x", "x", family.clone());
            family.get_or_create(&OrgLabel { organization: organization.clone() }).set(1);
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let line = text.split("\nx{organization=").nth(1).unwrap();
            let quoted = line.strip_suffix("} 1\n# EOF\n").unwrap();
            prop_assert_eq!(unquote(quoted), Some(organization));
        }
    }
}
