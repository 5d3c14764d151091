//! Tolerant parser of MiiTel's call-history webhook: it turns a payload into legs of a call. Pure.
//!
//! Required fields must be present and valid; all others may be missing, null or new. The
//! `call_type` of a leg determines the customer's side. Legs without a number and internal legs are
//! kept, too: they belong to the history, although there is nothing to look up.

use std::fmt;

use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Direction, MAX_BULK};
use crate::json;
use crate::json::JsonError;

const MAX_ID_CHARS: usize = 100;
const MAX_TEXT_CHARS: usize = 255;
const MAX_CHALLENGE_BYTES: usize = 1_024;
/// The year 2000. A time before it is what a sender's language has for no time: the year 1 or 1970.
const EARLIEST: Timestamp = Timestamp::constant(946_684_800, 0);

/// The content of a webhook request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Webhook {
    /// The handshake when the setting is saved. The response must be this token only.
    Challenge(String),
    /// A report about one call.
    Calls(Delivery),
}

/// A report about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The company ID in the payload, if it has one.
    pub(crate) tenant_code: Option<String>,
    /// The legs that can be kept.
    pub(crate) legs: Vec<Leg>,
    /// The legs that cannot be kept, each with its problem.
    pub(crate) refused: Vec<Malformed>,
}

/// One leg of a call, with the data of this delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leg {
    /// The key: `details[].id`.
    pub(crate) id: String,
    /// ID of the whole call.
    pub(crate) call_id: Option<String>,
    /// The platform's name for the type of leg.
    pub(crate) call_type: String,
    pub(crate) direction: Direction,
    /// Start of dialling, or of queueing.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    /// The customer's number as the platform spelled it; `None` for an internal leg.
    pub(crate) number: Option<String>,
    /// Number of the tenant's own line.
    pub(crate) circuit_number: Option<String>,
    /// Name of the tenant's own line.
    pub(crate) circuit_name: Option<String>,
}

/// The field for which a payload is refused, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub(crate) struct Malformed {
    /// Path of the field, for example `call.details[1].dial_starts_at`.
    pub(crate) field: String,
    /// The problem and its remedy.
    pub(crate) reason: String,
}

/// Parses a request body. A leg that cannot be read does not refuse the others: a delivery that is
/// refused whole comes again as it is, and its good legs would never be kept. Unknown fields are
/// not stored, whatever their size: a webhook carries the transcript of its call, and a hostile one
/// may carry anything large.
pub(crate) fn read(body: &[u8]) -> Result<Webhook, Malformed> {
    let not_json = |error: JsonError| {
        let reason = format!("is not JSON ({error}); send one JSON object");
        Malformed::new("body", reason)
    };
    if is_utf16(body) {
        return Err(Malformed::new("body", "is in UTF-16; send JSON in UTF-8"));
    }
    let whole: &RawValue = json::read_bytes(without_bom(body)).map_err(not_json)?;
    let [call, challenge, video] = object(whole, "body", ["call", "challenge", "video"])?;
    if let (None, Some(challenge)) = (call, challenge) {
        return match string(challenge) {
            Some(token) if !token.is_empty() && token.len() <= MAX_CHALLENGE_BYTES => {
                Ok(Webhook::Challenge(token))
            }
            _ => Err(Malformed::new(
                "challenge",
                "is not a text of 1 to 1024 bytes; send the token as a JSON string",
            )),
        };
    }
    let [id, tenant_code, details] = match call {
        Some(call) => object(call, "call", ["id", "tenant_code", "details"])?,
        None if video.is_some() => {
            return Err(Malformed::new(
                "call",
                "is missing: this is a meeting-history webhook; register this address for call history only",
            ));
        }
        None => {
            return Err(Malformed::new(
                "call",
                "is missing; send the platform's call-history format",
            ));
        }
    };
    let call_id = text(id, "call.id", MAX_ID_CHARS)?;
    let tenant_code = text(tenant_code, "call.tenant_code", MAX_TEXT_CHARS)?;
    let wrong = |reason: &str| Malformed::new("call.details", reason);
    let details =
        details.ok_or_else(|| wrong("is missing; send one entry for each leg of the call"))?;
    let details: Details<'_> = serde_json::from_str(details.get())
        .map_err(|_| wrong("is not a list; send one entry for each leg of the call"))?;
    if details.count > MAX_BULK {
        let reason = format!(
            "has {} entries; send at most {MAX_BULK} legs of a call at once",
            details.count
        );
        return Err(wrong(&reason));
    }
    let (mut legs, mut refused) = (Vec::new(), Vec::new());
    for (index, detail) in details.first.into_iter().enumerate() {
        let path = format!("call.details[{index}]");
        match leg(detail, &path, call_id.as_deref()) {
            Ok(leg) => legs.push(leg),
            Err(malformed) => refused.push(malformed),
        }
    }
    if legs.is_empty() && !refused.is_empty() {
        return Err(refused.swap_remove(0));
    }
    Ok(Webhook::Calls(Delivery {
        tenant_code,
        legs,
        refused,
    }))
}

/// Collects the values of an object's named fields. For a duplicate name the last value counts, and
/// null counts as missing.
struct Fields<'n, const N: usize>(&'n [&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(key) = map.next_key::<String>()? {
            match self
                .0
                .iter()
                .zip(&mut found)
                .find(|(name, _)| **name == key)
            {
                Some((_, value)) => *value = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// The first legs, and the number of all legs: a list of a million is counted but not stored.
struct Details<'a> {
    first: Vec<&'a RawValue>,
    count: usize,
}

impl<'de> Deserialize<'de> for Details<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Legs;
        impl<'de> Visitor<'de> for Legs {
            type Value = Details<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut first = Vec::new();
                while first.len() < MAX_BULK {
                    match list.next_element()? {
                        Some(leg) => first.push(leg),
                        None => break,
                    }
                }
                let mut count = first.len();
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Details { first, count })
            }
        }
        deserializer.deserialize_seq(Legs)
    }
}

/// The named fields of a value that must be an object.
fn object<'a, const N: usize>(
    value: &'a RawValue,
    path: &str,
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], Malformed> {
    serde_json::Deserializer::from_str(value.get())
        .deserialize_map(Fields(&names))
        .map_err(|_| Malformed::new(path, "is not a JSON object; send the platform's own format"))
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A text without control characters, cut to a length. Empty and missing are both `None`.
fn text(value: Option<&RawValue>, path: &str, max: usize) -> Result<Option<String>, Malformed> {
    let Some(value) = value else {
        return Ok(None);
    };
    let text = string(value).ok_or_else(|| {
        Malformed::new(path, "is neither text nor null; send it as a JSON string")
    })?;
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    if path.ends_with(".id") && text.chars().count() > max {
        return Err(Malformed::new(
            path,
            "is longer than 100 characters; send the platform's own ID",
        ));
    }
    Ok((!text.is_empty()).then(|| text.chars().take(max).collect()))
}

/// A text that no call depends on: a number is its digits, anything else than text is none.
fn loose_text(value: Option<&RawValue>, max: usize) -> Option<String> {
    let value = value?;
    let written = value.get();
    let is_number = written.starts_with(|c: char| c.is_ascii_digit());
    let told = if is_number {
        Some(written.to_owned())
    } else {
        string(value)
    };
    let told: String = told?.chars().filter(|c| !c.is_control()).collect();
    let told = told.trim();
    (!told.is_empty()).then(|| told.chars().take(max).collect())
}

/// A time: text in ISO 8601 with an offset, or a number since 1970 whose digits tell its unit. No
/// number of 10 digits is a plausible time in milliseconds, and none of 13 is one in seconds.
fn time(value: Option<&RawValue>, path: &str) -> Result<Option<Timestamp>, Malformed> {
    const WRONG: &str = "is not a time; send ISO 8601 with an offset, for example 2026-11-23T07:26:06+00:00, \
                         a number since 1970 of 10 digits (seconds) or 13 digits (milliseconds), or null";
    let wrong = || Malformed::new(path, WRONG);
    let Some(value) = value else {
        return Ok(None);
    };
    let number = value.get().starts_with(|c: char| c.is_ascii_digit());
    let told = if number {
        Some(value.get().to_owned())
    } else {
        text(Some(value), path, MAX_TEXT_CHARS).map_err(|_| wrong())?
    };
    let Some(told) = told else {
        return Ok(None);
    };
    match told.parse::<Timestamp>() {
        Ok(time) if !number && time >= EARLIEST => Ok(Some(time)),
        _ => since_1970(&told).map(Some).ok_or_else(wrong),
    }
}

/// Seconds or milliseconds since 1970 with an optional fraction, in the precision of the store.
fn since_1970(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.is_empty() {
        return None;
    }
    let decimals = match whole.len() {
        10 => 6,
        13 => 3,
        _ => return None,
    };
    let fraction: String = fraction
        .chars()
        .chain("000000".chars())
        .take(decimals)
        .collect();
    let micros = format!("{whole}{fraction}").parse().ok()?;
    Timestamp::from_microsecond(micros).ok()
}

/// The text without the byte order mark that some senders put in front.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Whether a body begins with a byte order mark of UTF-16, or with a brace in it.
fn is_utf16(body: &[u8]) -> bool {
    const BEGINNINGS: [[u8; 2]; 4] = [[0xff, 0xfe], [0xfe, 0xff], [b'{', 0], [0, b'{']];
    BEGINNINGS
        .iter()
        .any(|beginning| body.starts_with(beginning))
}

fn leg(detail: &RawValue, path: &str, call_id: Option<&str>) -> Result<Leg, Malformed> {
    let names = [
        "id",
        "call_type",
        "from_number",
        "to_number",
        "queueing_starts_at",
        "dial_starts_at",
        "dial_answered_at",
        "dial_ends_at",
        "circuit_number",
        "circuit_name",
    ];
    let [
        id,
        call_type,
        from_number,
        to_number,
        queueing_starts_at,
        dial_starts_at,
        dial_answered_at,
        dial_ends_at,
        circuit_number,
        circuit_name,
    ] = object(detail, path, names)?;
    let at = |key: &str| format!("{path}.{key}");
    let id = text(id, &at("id"), MAX_ID_CHARS)?.ok_or_else(|| {
        let reason = "is missing; send the leg's ID, calls are told apart by it";
        Malformed::new(&at("id"), reason)
    })?;
    let call_type = text(call_type, &at("call_type"), MAX_ID_CHARS)?.ok_or_else(|| {
        let reason = "is missing; send for example INCOMING_CALL";
        Malformed::new(&at("call_type"), reason)
    })?;
    let direction = direction(&call_type);
    let number = match direction {
        Direction::Outgoing => text(to_number, &at("to_number"), MAX_TEXT_CHARS)?,
        Direction::Incoming => text(from_number, &at("from_number"), MAX_TEXT_CHARS)?,
        Direction::Internal => None,
    };
    // Nothing depends on when somebody answered.
    let answered_at = time(dial_answered_at, &at("dial_answered_at")).unwrap_or_default();
    let ended_at = time(dial_ends_at, &at("dial_ends_at"))?;
    let queued = time(queueing_starts_at, &at("queueing_starts_at"));
    let dialled = time(dial_starts_at, &at("dial_starts_at"));
    // A start that cannot be read is forgiven where another time says when the call was.
    let placed =
        ended_at.is_some() || matches!((&queued, &dialled), (Ok(Some(_)), _) | (_, Ok(Some(_))));
    let start = |told: Result<_, _>| {
        if placed {
            Ok(told.unwrap_or(None))
        } else {
            told
        }
    };
    let started_at = start(dialled)?.or(start(queued)?);
    Ok(Leg {
        id,
        call_id: call_id.map(str::to_owned),
        call_type,
        direction,
        started_at,
        answered_at,
        ended_at,
        number,
        circuit_number: loose_text(circuit_number, MAX_TEXT_CHARS),
        circuit_name: loose_text(circuit_name, MAX_TEXT_CHARS),
    })
}

/// The direction of a leg. An unknown call type counts as incoming, because most types are.
fn direction(call_type: &str) -> Direction {
    match call_type {
        "OUTGOING_CALL" | "PREDICTIVE_DIAL" | "OUTGOING_TRANSFER" => Direction::Outgoing,
        kind if kind.starts_with("EXTENSION") => Direction::Internal,
        _ => Direction::Incoming,
    }
}

// === impl Malformed ===

impl Malformed {
    fn new(field: &str, reason: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn payload(details: Value) -> Vec<u8> {
        json!({"call": {"id": "c1", "tenant_code": "acme", "details": details}, "ip_restricted": true})
            .to_string()
            .into_bytes()
    }

    fn legs(details: Value) -> Vec<Leg> {
        match read(&payload(details)).unwrap() {
            Webhook::Calls(delivery) => delivery.legs,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(body: &[u8]) -> String {
        read(body).unwrap_err().to_string()
    }

    #[test]
    fn the_customer_stands_on_the_side_that_the_call_type_says() {
        use Direction::*;
        let table = [
            ("EXTENSION", Internal, None),
            ("EXTENSION_GROUP", Internal, None),
            ("EXTENSION_TRANSFER", Internal, None),
            ("EXTENSION_GROUP_TRANSFER", Internal, None),
            ("OUTGOING_CALL", Outgoing, Some("to")),
            ("PREDICTIVE_DIAL", Outgoing, Some("to")),
            ("OUTGOING_TRANSFER", Outgoing, Some("to")),
            ("INCOMING_CALL", Incoming, Some("from")),
            ("INCOMING_CALL_USER", Incoming, Some("from")),
            ("QUEUEING_CALL", Incoming, Some("from")),
            ("AUTOMATIC_TRANSFER", Incoming, Some("from")),
            ("AUTOMATIC_RECORD", Incoming, Some("from")),
            ("READ_DTMF", Incoming, Some("from")),
            ("SOMETHING_NEW", Incoming, Some("from")),
        ];
        for (kind, direction, number) in table {
            let leg = legs(
                json!([{"id": "d", "call_type": kind, "from_number": "from", "to_number": "to"}]),
            )
            .remove(0);
            assert_eq!(
                (leg.direction, leg.number.as_deref()),
                (direction, number),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_leg_is_read_with_its_times_and_what_is_unknown_is_ignored() {
        let read = legs(json!([
            {"id": "d1", "call_type": "OUTGOING_CALL", "dial_starts_at": "2023-11-28T16:26:06+09:00",
             "dial_answered_at": null, "dial_ends_at": "2023-11-28T07:27:06Z", "from_number": null,
             "to_number": "09000000000", "circuit_number": "05000000000", "circuit_name": " Sales ",
             "participants": [{"id": "p", "from_to": "TO"}], "something": {"new": [1, 2]}},
            {"id": "d2", "call_type": "QUEUEING_CALL", "queueing_starts_at": "2023-11-28T07:26:07+00:00",
             "from_number": ""}
        ]));
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(read[0].started_at, at("2023-11-28T07:26:06Z"));
        assert_eq!(read[0].ended_at, at("2023-11-28T07:27:06Z"));
        assert_eq!(read[0].answered_at, None);
        assert_eq!(read[0].number.as_deref(), Some("09000000000"));
        assert_eq!(read[0].circuit_name.as_deref(), Some("Sales"));
        assert_eq!(read[0].call_id.as_deref(), Some("c1"));
        assert_eq!(
            (read[1].started_at, read[1].ended_at),
            (at("2023-11-28T07:26:07Z"), None)
        );
        assert_eq!(read[1].number, None);
    }

    #[test]
    fn no_leg_is_refused_for_a_text_that_no_call_depends_on() {
        for (sent, kept) in [
            (json!(5), Some("5")),
            (json!([5]), None),
            (json!(true), None),
            (json!(null), None),
            (json!("  "), None),
        ] {
            let leg = json!({"id": "d", "call_type": "X", "from_number": "1", "circuit_number": sent, "circuit_name": sent});
            let read = legs(json!([leg]));
            assert_eq!(read[0].circuit_number.as_deref(), kept, "{sent}");
            assert_eq!(read[0].circuit_name.as_deref(), kept, "{sent}");
        }
    }

    #[test]
    fn the_handshake_is_a_challenge_without_a_call() {
        let handshake = br#"{"challenge":"0af1","team":"sales"}"#;
        assert_eq!(read(handshake), Ok(Webhook::Challenge("0af1".to_owned())));
        let both = json!({"challenge": "0af1", "call": {"details": []}}).to_string();
        assert!(matches!(read(both.as_bytes()), Ok(Webhook::Calls(_))));
        assert!(refusal(br#"{"challenge":7}"#).starts_with("challenge is not a text"));
    }

    #[test]
    fn what_is_not_known_takes_no_room_whatever_it_is() {
        let many = vec![json!({}); 100_000];
        let body = json!({"call": {"transcript": many, "details": [
            {"id": "d", "call_type": "X", "words": [[[[{"deep": [1, 2]}]]]], "from_number": "\u{e9}\"1"}
        ]}, "other": many});
        let Ok(Webhook::Calls(delivery)) = read(body.to_string().as_bytes()) else {
            panic!("refused")
        };
        assert_eq!(delivery.legs[0].number.as_deref(), Some("\u{e9}\"1"));

        let said = refusal(&payload(json!(many)));
        assert!(
            said.starts_with("call.details has 100000 entries; send at most 1000"),
            "{said}"
        );
        let deep = format!(
            "{{\"call\": {}1{}}}",
            "[".repeat(500_000),
            "]".repeat(500_000)
        );
        assert_eq!(
            refusal(deep.as_bytes()),
            "body is not JSON (it is nested more than 64 levels deep); send one JSON object"
        );
    }

    #[test]
    fn a_refusal_names_the_field() {
        let table: [(Vec<u8>, &str); 13] = [
            (b"{".to_vec(), "body is not JSON"),
            (b"\xff\xfe{\0}\0".to_vec(), "body is in UTF-16"),
            (b"\0{\0}".to_vec(), "body is in UTF-16"),
            (b"[]".to_vec(), "body is not a JSON object"),
            (b"\"\xff\"".to_vec(), "body is not JSON"),
            (b"{}".to_vec(), "call is missing"),
            (br#"{"call":[]}"#.to_vec(), "call is not a JSON object"),
            (
                br#"{"video":{}}"#.to_vec(),
                "call is missing: this is a meeting-history webhook",
            ),
            (br#"{"call":{}}"#.to_vec(), "call.details is missing"),
            (
                payload(json!([3, {"id": "d"}])),
                "call.details[0] is not a JSON object",
            ),
            (
                payload(json!([{"call_type": "X"}])),
                "call.details[0].id is missing",
            ),
            (
                payload(json!([{"id": "d", "call_type": "X", "from_number": 9}])),
                "call.details[0].from_number is neither",
            ),
            (
                payload(json!([{"id": "d", "call_type": "X", "dial_ends_at": "2023-11-28 07:26"}])),
                "call.details[0].dial_ends_at is not a time; send ISO 8601 with an offset",
            ),
        ];
        for (body, says) in table {
            let said = refusal(&body);
            assert!(said.starts_with(says), "{said}");
        }
    }

    #[test]
    fn one_bad_leg_is_named_and_the_others_are_kept() {
        let good = |id: &str| json!({"id": id, "call_type": "X"});
        let bad = [
            (json!(3), "call.details[1] is not a JSON object"),
            (json!({"call_type": "X"}), "call.details[1].id is missing"),
            (
                json!({"id": "d", "call_type": "X", "from_number": {}}),
                "call.details[1].from_number is neither",
            ),
            (
                json!({"id": "d", "call_type": "X", "dial_starts_at": "yesterday"}),
                "call.details[1].dial_starts_at is not a time",
            ),
        ];
        for (bad, says) in bad {
            let body = payload(json!([good("a"), bad, good("c")]));
            let Ok(Webhook::Calls(delivery)) = read(&body) else {
                panic!("refused: {says}")
            };
            let kept: Vec<_> = delivery.legs.iter().map(|leg| leg.id.as_str()).collect();
            assert_eq!(kept, ["a", "c"]);
            let [refused] = &delivery.refused[..] else {
                panic!("{:?}", delivery.refused)
            };
            assert!(refused.to_string().starts_with(says), "{refused}");
        }
    }

    #[test]
    fn a_time_is_iso_8601_or_seconds_or_milliseconds_since_1970() {
        let start = |told: Value| {
            let leg = json!([{"id": "d", "call_type": "X", "dial_starts_at": told}]);
            match read(&payload(leg)) {
                Ok(Webhook::Calls(delivery)) => {
                    delivery.legs[0].started_at.map(|at| at.to_string())
                }
                other => panic!("{told}: {other:?}"),
            }
        };
        for (told, is) in [
            (json!(1_795_396_923), "2026-11-23T01:22:03Z"),
            (json!(1_795_396_923_000_u64), "2026-11-23T01:22:03Z"),
            (json!("1795396923"), "2026-11-23T01:22:03Z"),
            (json!("1795396923000"), "2026-11-23T01:22:03Z"),
            (json!(1_795_396_923.25), "2026-11-23T01:22:03.25Z"),
            (json!(1_795_396_923_250.5), "2026-11-23T01:22:03.2505Z"),
            (json!("2026-11-23T10:22:03+09:00"), "2026-11-23T01:22:03Z"),
        ] {
            assert_eq!(start(told.clone()).as_deref(), Some(is), "{told}");
        }
        assert_eq!(start(json!(null)), None);
        assert_eq!(start(json!(" ")), None);

        let mut sentences = std::collections::BTreeSet::new();
        for nonsense in [
            json!(0),
            json!(-1_795_396_923),
            json!(179_539_692),
            json!(179_539_692_300_u64),
            json!(1_795_396_923_000_000_u64),
            json!(1e300),
            json!("1795396923."),
            json!("1795396923 s"),
            json!("2026-11-23 07:26:06"),
            json!("yesterday"),
            json!(true),
            json!([]),
        ] {
            let leg = json!([{"id": "d", "call_type": "X", "dial_starts_at": nonsense}]);
            sentences.insert(refusal(&payload(leg)));
        }
        assert_eq!(sentences.len(), 1, "{sentences:?}");
    }

    #[test]
    fn a_start_that_cannot_be_read_is_forgiven_where_the_end_is_known() {
        let with = |start: Value, end: Value| {
            read(&payload(
                json!([{"id": "d", "call_type": "X", "dial_starts_at": start, "queueing_starts_at": start,
                "dial_ends_at": end}]),
            ))
        };
        let end = "2026-11-23T07:26:06Z";
        for start in [
            json!("yesterday"),
            json!(0),
            json!("0000-00-00 00:00:00"),
            json!("0001-01-01T00:00:00Z"),
            json!("1970-01-01T00:00:00Z"),
        ] {
            let Ok(Webhook::Calls(delivery)) = with(start.clone(), json!(end)) else {
                panic!("{start} is refused")
            };
            let leg = &delivery.legs[0];
            assert_eq!((leg.started_at, leg.ended_at), (None, end.parse().ok()));
            assert!(with(start.clone(), json!(null)).is_err(), "{start}");
            assert!(with(json!(null), start.clone()).is_err(), "{start}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_costs_no_leg() {
        for answered in [json!(0), json!("0001-01-01T00:00:00Z"), json!("never")] {
            let leg = json!([{"id": "d", "call_type": "X", "dial_starts_at": "2026-11-23T07:26:06Z", "dial_answered_at": answered}]);
            assert_eq!(legs(leg)[0].answered_at, None);
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_body() {
        let body = [b"\xef\xbb\xbf".as_slice(), &payload(json!([]))].concat();
        assert!(matches!(read(&body), Ok(Webhook::Calls(_))));
    }
}
