//! The maximum URL length of a query in an org. Trials determine it and never fail a run.

use serde::{Deserialize, Serialize};

use crate::salesforce::Error;

/// The first length. Salesforce states 16,384 bytes for the URI of a standalone request (414
/// beyond) and nothing for a request inside a composite request:
/// <https://developer.salesforce.com/docs/platform/api-rest/guide/errorcodes.md>.
pub const FIRST_URL_BYTES: usize = 16_384;
/// The last length: the 100,000 characters of a statement, if every second one is encoded.
pub const MAX_URL_BYTES: usize = 200_000;
/// The factor from a length that worked to the next trial. The steps are large because each refused
/// trial costs a call.
const GROWTH: usize = 4;
/// The minimum number of calls that a trial must be able to save. A refused trial costs a call.
const WORTH_A_TRY: usize = 3;
/// The minimum length. Below it, each query would contain only one number.
const MIN_URL_BYTES: usize = 1_024;

/// The URL lengths learned for an org, for its next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlLength {
    /// The longest URL of a query, in bytes, that the org accepted or that may be used at once.
    pub bytes: u64,
    /// The shortest length that the org refused, in bytes; it and longer ones are not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
}

/// The current limit on the length of URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UrlLimit {
    bytes: usize,
    refused: Option<usize>,
    proven: bool,
}

// === impl UrlLimit ===

impl UrlLimit {
    /// Begins with the result of an earlier run, if there was one.
    pub(crate) fn new(known: Option<UrlLength>) -> Self {
        let usize_of = |bytes: u64| usize::try_from(bytes).unwrap_or(MAX_URL_BYTES);
        Self {
            bytes: known.map_or(FIRST_URL_BYTES, |known| {
                usize_of(known.bytes).clamp(MIN_URL_BYTES, MAX_URL_BYTES)
            }),
            refused: known.and_then(|known| known.refused).map(usize_of),
            proven: false,
        }
    }

    /// The length that needs no trial, in bytes.
    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    /// The length to try if this number of requests is left at the current length. Returns `None`
    /// if there is nothing to try or to save.
    pub(crate) fn longer(self, requests_left: usize) -> Option<usize> {
        let next = self.bytes.saturating_mul(GROWTH).min(MAX_URL_BYTES);
        let refused = self.refused.is_some_and(|refused| next >= refused);
        (self.proven && !refused && next > self.bytes && requests_left >= WORTH_A_TRY)
            .then_some(next)
    }

    /// Records that the org accepted URLs that were made for this length.
    pub(crate) fn accepted(&mut self, bytes: usize) {
        self.bytes = self.bytes.max(bytes);
        self.proven = true;
    }

    /// Records that the org refused URLs that were made for this length.
    pub(crate) fn refused(&mut self, bytes: usize) {
        self.refused = Some(self.refused.map_or(bytes, |known| known.min(bytes)));
        if bytes <= self.bytes {
            self.bytes = (bytes / 2).max(MIN_URL_BYTES);
            self.proven = false;
        }
    }

    /// Whether a shorter length can be tried.
    pub(crate) fn can_shrink(self) -> bool {
        self.bytes > MIN_URL_BYTES
    }

    /// The result for the next run; `None` before anything is known.
    pub(crate) fn learned(self) -> Option<UrlLength> {
        (self.proven || self.refused.is_some()).then_some(UrlLength {
            bytes: self.bytes as u64,
            refused: self.refused.map(|bytes| bytes as u64),
        })
    }
}

/// Whether a response reports that a query is too long or too complex: 414 and 431 for its URL
/// (facts: Salesforce 2.5), the codes for the statement. A shorter query may pass.
pub(crate) fn is_too_much(error: &Error) -> bool {
    matches!(error.status(), Some(414 | 431))
        || matches!(
            error.salesforce_code(),
            Some("MALFORMED_QUERY" | "QUERY_TOO_COMPLICATED" | "QUERY_TIMEOUT")
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_the_org_takes_it_and_never_past_what_was_refused() {
        let mut room = UrlLimit::new(None);
        assert_eq!(room.bytes(), 16_384);
        assert_eq!(room.longer(10), None, "nothing is known yet");
        assert_eq!(room.learned(), None);
        room.accepted(16_384);
        assert_eq!(room.longer(2), None, "not worth a refusal");
        assert_eq!(room.longer(3), Some(65_536));
        room.accepted(65_536);
        assert_eq!(room.longer(3), Some(200_000));
        room.refused(200_000);
        assert_eq!((room.bytes(), room.longer(100)), (65_536, None));
        let known = room.learned().unwrap();
        assert_eq!((known.bytes, known.refused), (65_536, Some(200_000)));
        let mut next = UrlLimit::new(Some(known));
        next.accepted(65_536);
        assert_eq!((next.bytes(), next.longer(100)), (65_536, None));
    }

    #[test]
    fn it_shrinks_to_what_the_org_takes_and_ends() {
        let mut room = UrlLimit::new(None);
        let mut tries = 0;
        while room.can_shrink() {
            room.refused(room.bytes());
            tries += 1;
        }
        assert_eq!((room.bytes(), tries), (1_024, 4));
        assert_eq!(room.learned().unwrap().refused, Some(2_048));
    }
}
