//! The tenant's error log: grouped by code, counted, newest first, at most ten kinds.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::status::ErrorEntry;
use crate::reason::Code;
use crate::run::shorten;

/// Maximum number of kinds of failure in a status.
pub const MAX_ERRORS: usize = 10;
/// Maximum length of a message in the log, in bytes.
const MAX_MESSAGE_BYTES: usize = 512;

/// The place where a failure was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The spec or the Secret.
    Credentials,
    /// The log-in or the proof of the connection.
    Connection,
    /// The rights of the user.
    Permissions,
    /// The daily run.
    Sync,
    /// The after-call run.
    Lookup,
}

// === impl Source ===

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "Credentials",
            Self::Connection => "Connection",
            Self::Permissions => "Permissions",
            Self::Sync => "Sync",
            Self::Lookup => "Lookup",
        }
    }
}

/// Records a failure: increments the count of its kind, or adds a new kind and drops the oldest.
pub fn record(
    errors: &mut Vec<ErrorEntry>,
    source: Source,
    code: &Code,
    message: &str,
    at: Timestamp,
) {
    let place = errors.iter().position(|entry| is_of(entry, source, code));
    let mut entry = place
        .map(|place| errors.remove(place))
        .unwrap_or_else(|| ErrorEntry {
            code: code.to_string(),
            message: String::new(),
            remedy: code.remedy().into(),
            source: source.as_str().into(),
            first_seen: Time(at),
            last_seen: Time(at),
            count: 0,
        });
    entry.message = message.into();
    shorten(&mut entry.message, MAX_MESSAGE_BYTES);
    entry.remedy = code.remedy().into();
    entry.last_seen = Time(at);
    entry.count = entry.count.saturating_add(1);
    errors.insert(0, entry);
    errors.truncate(MAX_ERRORS);
}

/// Returns the time at which a failure of that kind was last observed; `None` if the log has none.
pub fn last_seen(errors: &[ErrorEntry], source: Source, code: &Code) -> Option<Timestamp> {
    errors
        .iter()
        .find(|entry| is_of(entry, source, code))
        .map(|entry| entry.last_seen.0)
}

fn is_of(entry: &ErrorEntry, source: Source, code: &Code) -> bool {
    entry.code() == *code && entry.source == source.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_counted_and_comes_first() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut errors = vec![];
        record(&mut errors, Source::Connection, &"A".into(), "first", at(1));
        record(&mut errors, Source::Connection, &"B".into(), "", at(2));
        record(
            &mut errors,
            Source::Connection,
            &"A".into(),
            "second",
            at(3),
        );
        assert_eq!(
            errors
                .iter()
                .map(|entry| (entry.code.as_str(), entry.count))
                .collect::<Vec<_>>(),
            [("A", 2), ("B", 1)]
        );
        assert_eq!(
            (
                errors[0].message.as_str(),
                &errors[0].first_seen,
                &errors[0].last_seen
            ),
            ("second", &Time(at(1)), &Time(at(3)))
        );
        for number in 0..20 {
            let code = Code::from(format!("C{number}").as_str());
            record(&mut errors, Source::Sync, &code, "", at(9));
        }
        assert_eq!((errors.len(), errors[0].code.as_str()), (MAX_ERRORS, "C19"));
    }
}
