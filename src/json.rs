//! JSON from outside. It is read into the types that are wanted and never into a generic tree: of a
//! few bytes in a text, a tree makes a hundred in memory. What can become large all the same has a
//! bound of its own: the depth of every text, and the length of every list.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// How deep lists and objects may lie in each other. Salesforce's answers, the phone platform's
/// deliveries and the directory's documents lie less than ten deep.
pub(crate) const MAX_DEPTH: usize = 64;

/// The longest text of a field of a record, in bytes: 1,000 characters of any script. A name in
/// Salesforce has 255 characters at most, a phone number 40.
pub(crate) const MAX_TEXT_BYTES: usize = 4_000;

/// Why a text is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    /// What is skipped has a depth, too, and the reader remembers each level of it.
    #[error("it is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// It is no JSON, or not of the type that is wanted.
    #[error(transparent)]
    Unreadable(#[from] serde_json::Error),
}

/// Reads a text.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, JsonError> {
    check_depth(text.as_bytes())?;
    Ok(serde_json::from_str(text)?)
}

/// Reads a text that may not be UTF-8.
pub(crate) fn read_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, JsonError> {
    check_depth(bytes)?;
    Ok(serde_json::from_slice(bytes)?)
}

/// Checks how deep a text is nested, without reading it.
pub(crate) fn check_depth(bytes: &[u8]) -> Result<(), JsonError> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in bytes {
        if in_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// A list of at most `MOST` entries. Of a longer one the rest is counted, and not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Few<T, const MOST: usize>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        few::<T, D, MOST>(deserializer).map(Few)
    }
}

/// Reads a list of at most `MOST` entries, for a field that is a `Vec`.
pub(crate) fn few<'de, T, D, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Entries<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Entries<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a list of at most {MOST} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut entries = Vec::new();
            while entries.len() < MOST {
                match list.next_element()? {
                    Some(entry) => entries.push(entry),
                    None => return Ok(entries),
                }
            }
            let mut count = MOST;
            while list.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            if count > MOST {
                let reason = format!("a list has {count} entries; send at most {MOST} at once");
                return Err(A::Error::custom(reason));
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_seq(Entries::<T, MOST>(PhantomData))
}

/// Reads a count: a number, or a number in quotes.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Count;

    impl Visitor<'_> for Count {
        type Value = Option<u64>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a number that is not negative")
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.trim().parse().map(Some).map_err(E::custom)
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Count)
}

/// Reads a text of at most [`MAX_TEXT_BYTES`], or null. A longer one is no field of a record.
pub(crate) fn short<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    struct Short;

    impl Visitor<'_> for Short {
        type Value = Option<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a text of at most {MAX_TEXT_BYTES} bytes")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.len() > MAX_TEXT_BYTES {
                return Err(E::invalid_length(text.len(), &self));
            }
            Ok(Some(text.to_owned()))
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_list_ends_at_its_bound_and_says_how_long_it_was() {
        type Three = Few<u8, 3>;
        assert_eq!(read::<Three>("[1,2,3]").unwrap(), Few(vec![1, 2, 3]));
        assert_eq!(read::<Three>("[]").unwrap(), Few(vec![]));
        let error = read::<Three>("[1,2,3,{},[[]]]").unwrap_err().to_string();
        assert!(error.contains("has 5 entries; send at most 3"), "{error}");
        assert!(read::<Three>("[1,2").is_err());
        assert!(read::<Three>("{}").is_err());
    }

    #[test]
    fn what_is_skipped_may_not_be_deep_either() {
        #[derive(Deserialize)]
        struct Nothing {}
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth: usize| {
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                format!("{{\"skipped\":{open}1{close}}}")
            };
            assert!(read::<Nothing>(&nested(MAX_DEPTH - 1)).is_ok());
            let too_deep = read::<Nothing>(&nested(MAX_DEPTH));
            assert!(matches!(too_deep, Err(JsonError::TooDeep)));
            let endless = read_bytes::<Nothing>(open.repeat(1 << 20).as_bytes());
            assert!(matches!(endless, Err(JsonError::TooDeep)));
        }
        let text = format!("{{\"a\\\"\\\\{}\": 1}}", "[".repeat(1_000));
        assert!(read::<Nothing>(&text).is_ok(), "brackets in a text");
    }

    #[test]
    fn a_count_is_a_number_in_either_spelling() {
        #[derive(Deserialize)]
        struct Counted {
            #[serde(default, deserialize_with = "count")]
            n: Option<u64>,
        }
        let read = |value: Value| read::<Counted>(&json!({"n": value}).to_string());
        assert_eq!(read(json!(3)).unwrap().n, Some(3));
        assert_eq!(read(json!(" 3 ")).unwrap().n, Some(3));
        assert_eq!(read(json!(null)).unwrap().n, None);
        for wrong in [json!(-1), json!(1.5), json!("x"), json!([[1]]), json!({})] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_text_of_a_record_is_short() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Named {
            #[serde(deserialize_with = "short")]
            n: Option<String>,
        }
        let read = |value: Value| read::<Named>(&json!({"n": value}).to_string());
        let most = "あ".repeat(MAX_TEXT_BYTES / 3);
        assert_eq!(read(json!(most)).unwrap().n, Some(most.clone()));
        assert_eq!(read(json!(null)).unwrap().n, None);
        assert_eq!(super::read::<Named>("{}").unwrap().n, None);
        for wrong in [json!(format!("{most}aa")), json!(1), json!([""])] {
            assert!(read(wrong).is_err());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_shallow_is_read_as_before(text in "[\\[\\]{}\",:a1\\\\ ]{0,60}") {
            let plain = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            prop_assert_eq!(read::<IgnoredAny>(&text).is_ok(), plain);
        }
    }
}
