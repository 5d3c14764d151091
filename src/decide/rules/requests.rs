//! What a tenant asks for by an annotation, whose value the status keeps until the next one.

use kube::ResourceExt;

use super::schedule::stable_hash;
use crate::api::SalesforceIntegration;
use crate::plain_text::acts;

/// The longest value that is kept as it is.
const MAX_BYTES: usize = 128;

/// Returns the value of the annotation as the status keeps it. No schema checks annotations: one
/// that is long, or would act on a terminal, is kept as its digest.
pub(crate) fn value(resource: &SalesforceIntegration, annotation: &str) -> Option<String> {
    let value = resource.annotations().get(annotation)?;
    if value.len() <= MAX_BYTES && !value.contains(acts) {
        return Some(value.clone());
    }
    Some(format!("digest-{:016x}", stable_hash(value, annotation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{TEST_REQUESTED_AT, fixtures};

    #[test]
    fn a_value_is_kept_unless_it_is_long_or_acts() {
        let kept = |text: &str| {
            let mut resource = fixtures::integration("acme");
            let annotations = resource.annotations_mut();
            annotations.insert(TEST_REQUESTED_AT.into(), text.into());
            value(&resource, TEST_REQUESTED_AT).unwrap()
        };
        for plain in ["2026-11-29T16:00:00Z", "now", "", "\u{5c71}"] {
            assert_eq!(kept(plain), plain);
        }
        let long = "x".repeat(200_000);
        for hostile in ["a\u{1b}[2J", "a\u{202e}b", "a\nb", &long] {
            let kept = kept(hostile);
            assert!(kept.starts_with("digest-") && kept.len() == 23, "{kept}");
        }
        assert_ne!(kept("a\u{1b}[2J"), kept("a\u{1b}[3J"));
        assert_eq!(
            value(&fixtures::integration("acme"), TEST_REQUESTED_AT),
            None
        );
    }
}
