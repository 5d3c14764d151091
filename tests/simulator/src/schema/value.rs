//! The value of a field.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value as Json;

use super::{Field, Kind};
use crate::clock::json_datetime;
use crate::org::ids;

/// The value that a row has in a field.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// Text, ids and picklists.
    Text(Box<str>),
    /// A date without a time.
    Date(Date),
    /// A date with a time.
    DateTime(Timestamp),
}

impl Value {
    /// Creates a text value.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_boxed_str())
    }

    /// Creates a text value, or null for empty text: Salesforce stores no empty strings.
    pub(crate) fn text_or_null(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() {
            Self::Null
        } else {
            Self::text(text)
        }
    }

    /// The text; `None` for any other type.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Converts to JSON in the REST API's format.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(i) => Json::from(*i),
            Self::Double(d) => Json::from(*d),
            Self::Text(t) => Json::from(&**t),
            Self::Date(d) => Json::from(d.to_string()),
            Self::DateTime(t) => Json::from(json_datetime(*t)),
        }
    }

    /// Converts JSON for a field; `Err` when the type does not match.
    pub(crate) fn from_json(field: &Field, json: &Json) -> Result<Self, String> {
        let misfit = || format!("{}: value not of required type: {json}", field.name);
        match (field.kind, json) {
            (Kind::Boolean, Json::Null) => Ok(Self::Bool(false)),
            (_, Json::Null) => Ok(Self::Null),
            (Kind::Boolean, Json::Bool(b)) => Ok(Self::Bool(*b)),
            (Kind::Boolean, Json::String(s)) => s
                .to_ascii_lowercase()
                .parse()
                .map(Value::Bool)
                .map_err(|_| misfit()),
            (Kind::Int, Json::Number(n)) => n.as_i64().map(Value::Int).ok_or_else(misfit),
            (Kind::Double, Json::Number(n)) => n.as_f64().map(Value::Double).ok_or_else(misfit),
            (Kind::Int, Json::String(s)) => s.parse().map(Value::Int).map_err(|_| misfit()),
            (Kind::Double, Json::String(s)) => s.parse().map(Value::Double).map_err(|_| misfit()),
            (Kind::Date, Json::String(s)) => s
                .get(..10)
                .and_then(|day| day.parse().ok())
                .map(Value::Date)
                .ok_or_else(misfit),
            (Kind::DateTime, Json::String(s)) => {
                parse_datetime(s).map(Value::DateTime).ok_or_else(misfit)
            }
            (Kind::Id | Kind::Reference, Json::String(s)) => {
                Ok(Self::text_or_null(ids::lengthen(s)))
            }
            (kind, Json::String(s)) if kind.is_text() => Ok(Self::text_or_null(s.as_str())),
            (kind, Json::Number(n)) if kind.is_text() => Ok(Self::text(n.to_string())),
            _ => Err(misfit()),
        }
    }

    /// Compares for `ORDER BY` and `<`; text without regard to case. `None` when the two values are
    /// not comparable.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Double(b)) => (*a as f64).partial_cmp(b),
            (Self::Double(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(fold(a).cmp(&fold(b))),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::DateTime(a), Self::DateTime(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// The form of a text for comparisons: SOQL ignores case.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.to_lowercase()
    }
}

/// Parses datetimes as in JSON and SOQL: `2026-11-23T10:35:14Z`, `...14.000+0000`, `...14+09:00`.
pub(crate) fn parse_datetime(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let split = text.len().checked_sub(5)?;
    let (head, zone) = (text.get(..split)?, text.get(split..)?);
    if !zone.starts_with(['+', '-']) {
        return None;
    }
    format!("{head}{}:{}", zone.get(..3)?, zone.get(3..)?)
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_come_in_every_spelling() {
        let expected: Timestamp = "2026-11-23T10:35:14Z".parse().unwrap();
        for spelling in [
            "2026-11-23T10:35:14Z",
            "2026-11-23T10:35:14.000+0000",
            "2026-11-23T19:35:14+09:00",
            "2026-11-23T19:35:14+0900",
        ] {
            assert_eq!(parse_datetime(spelling), Some(expected), "{spelling}");
        }
        assert_eq!(parse_datetime("2026-11-23"), None);
    }

    #[test]
    fn text_is_compared_without_case() {
        assert_eq!(
            Value::text("ÄB").compare(&Value::text("äb")),
            Some(Ordering::Equal)
        );
        assert_eq!(Value::text("a").compare(&Value::Int(1)), None);
    }
}
