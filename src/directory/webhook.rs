//! MiiTel's call-history webhook, read tolerantly: a payload in, legs of a call out. Pure.
//!
//! What is needed must be there and make sense; everything else may be missing, null or new. The customer's side of a
//! leg follows from its `call_type`. A leg without a number and an internal one are kept, too: they belong to the
//! history, there is only nothing to look up.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::model::{Direction, MAX_BULK};

const MAX_ID_CHARS: usize = 100;
const MAX_TEXT_CHARS: usize = 255;
const MAX_CHALLENGE_BYTES: usize = 1_024;

/// What a request of the platform is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Webhook {
    /// The handshake when the setting is saved: answer with this token only.
    Challenge(String),
    /// News of a call.
    Calls(Delivery),
}

/// News of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The company ID that the platform names, where it does.
    pub(super) tenant_code: Option<String>,
    /// The legs of the call.
    pub(super) legs: Vec<Leg>,
}

/// One leg of a call, as far as this delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leg {
    /// The key: `details[].id`.
    pub(super) id: String,
    /// The whole call's ID.
    pub(super) call_id: Option<String>,
    /// The platform's word for what kind of leg it is.
    pub(super) call_type: String,
    /// Which way it went.
    pub(super) direction: Direction,
    /// When dialling, or queueing, began.
    pub(super) started_at: Option<Timestamp>,
    /// When somebody answered.
    pub(super) answered_at: Option<Timestamp>,
    /// When it ended.
    pub(super) ended_at: Option<Timestamp>,
    /// The customer's number as spelled; `None` for an internal leg.
    pub(super) number: Option<String>,
    /// The tenant's own line.
    pub(super) circuit_number: Option<String>,
    /// Its name.
    pub(super) circuit_name: Option<String>,
}

/// Why a payload is refused: the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub(super) struct Malformed {
    /// The field's path, for example `call.details[1].dial_starts_at`.
    pub(super) field: String,
    /// What is wrong and what to do.
    pub(super) reason: String,
}

/// Reads a request body.
pub(super) fn read(body: &[u8]) -> Result<Webhook, Malformed> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        Malformed::new(
            "body",
            format!("is not JSON ({error}); send one JSON object"),
        )
    })?;
    let root = Object::new(&value, "body")?;
    if let (None | Some(Value::Null), Some(challenge)) =
        (root.map.get("call"), root.map.get("challenge"))
    {
        return match challenge.as_str() {
            Some(token) if !token.is_empty() && token.len() <= MAX_CHALLENGE_BYTES => {
                Ok(Webhook::Challenge(token.to_owned()))
            }
            _ => Err(Malformed::new(
                "challenge",
                "is not a text of 1 to 1024 bytes; send the token as a JSON string",
            )),
        };
    }
    if root.map.contains_key("video") && !root.map.contains_key("call") {
        return Err(Malformed::new(
            "call",
            "is missing: this is a meeting-history webhook; register this address for call history only",
        ));
    }
    let call = root.object("call")?;
    let call_id = call.text("id", MAX_ID_CHARS)?;
    let tenant_code = call.text("tenant_code", MAX_TEXT_CHARS)?;
    let details = match call.map.get("details") {
        Some(Value::Array(details)) => details,
        Some(_) => {
            return Err(call.wrong(
                "details",
                "is not a list; send one entry for each leg of the call",
            ));
        }
        None => {
            return Err(call.wrong(
                "details",
                "is missing; send one entry for each leg of the call",
            ));
        }
    };
    if details.len() > MAX_BULK {
        let reason = format!(
            "has {} entries; send at most {MAX_BULK} legs of a call at once",
            details.len()
        );
        return Err(call.wrong("details", &reason));
    }
    let legs = details
        .iter()
        .enumerate()
        .map(|(index, detail)| {
            leg(
                &Object::new(detail, &format!("call.details[{index}]"))?,
                call_id.as_deref(),
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Webhook::Calls(Delivery { tenant_code, legs }))
}

fn leg(detail: &Object<'_>, call_id: Option<&str>) -> Result<Leg, Malformed> {
    let id = match detail.text("id", MAX_ID_CHARS)? {
        Some(id) => id,
        None => {
            return Err(detail.wrong(
                "id",
                "is missing; send the leg's ID, calls are told apart by it",
            ));
        }
    };
    let call_type = match detail.text("call_type", MAX_ID_CHARS)? {
        Some(kind) => kind,
        None => return Err(detail.wrong("call_type", "is missing; send for example INCOMING_CALL")),
    };
    let direction = direction(&call_type);
    let number = match direction {
        Direction::Outgoing => detail.text("to_number", MAX_TEXT_CHARS)?,
        Direction::Incoming => detail.text("from_number", MAX_TEXT_CHARS)?,
        Direction::Internal => None,
    };
    let queued = detail.time("queueing_starts_at")?;
    Ok(Leg {
        id,
        call_id: call_id.map(str::to_owned),
        call_type,
        direction,
        started_at: detail.time("dial_starts_at")?.or(queued),
        answered_at: detail.time("dial_answered_at")?,
        ended_at: detail.time("dial_ends_at")?,
        number,
        circuit_number: detail.text("circuit_number", MAX_TEXT_CHARS)?,
        circuit_name: detail.text("circuit_name", MAX_TEXT_CHARS)?,
    })
}

/// Which way a leg went. A type that the platform invents later counts as incoming, where most of them belong.
fn direction(call_type: &str) -> Direction {
    match call_type {
        "OUTGOING_CALL" | "PREDICTIVE_DIAL" | "OUTGOING_TRANSFER" => Direction::Outgoing,
        kind if kind.starts_with("EXTENSION") => Direction::Internal,
        _ => Direction::Incoming,
    }
}

/// A JSON object that knows where it stands.
struct Object<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

// === impl Object ===

impl<'a> Object<'a> {
    fn new(value: &'a Value, path: &str) -> Result<Self, Malformed> {
        match value.as_object() {
            Some(map) => Ok(Self {
                map,
                path: path.to_owned(),
            }),
            None => Err(Malformed::new(
                path,
                "is not a JSON object; send the platform's own format",
            )),
        }
    }

    fn object(&self, key: &str) -> Result<Self, Malformed> {
        match self.map.get(key) {
            Some(value) => Object::new(value, key),
            None => Err(Malformed::new(
                key,
                "is missing; send the platform's call-history format",
            )),
        }
    }

    /// A text, cut to a length, without control characters; empty, null and missing are all `None`.
    fn text(&self, key: &str, max: usize) -> Result<Option<String>, Malformed> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                let text: String = text.chars().filter(|c| !c.is_control()).collect();
                let text = text.trim();
                if key == "id" && text.chars().count() > max {
                    return Err(self.wrong(
                        key,
                        "is longer than 100 characters; send the platform's own ID",
                    ));
                }
                Ok((!text.is_empty()).then(|| text.chars().take(max).collect()))
            }
            Some(_) => Err(self.wrong(key, "is neither text nor null; send it as a JSON string")),
        }
    }

    fn time(&self, key: &str) -> Result<Option<Timestamp>, Malformed> {
        const WRONG: &str = "is not a time with an offset; send ISO 8601, for example 2026-11-23T07:26:06+00:00, or null";
        match self.text(key, MAX_TEXT_CHARS)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| self.wrong(key, WRONG)),
        }
    }

    fn wrong(&self, key: &str, reason: &str) -> Malformed {
        Malformed::new(&format!("{}.{key}", self.path), reason)
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
    use serde_json::json;

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
    fn the_handshake_is_a_challenge_without_a_call() {
        let handshake = br#"{"challenge":"0af1","team":"sales"}"#;
        assert_eq!(read(handshake), Ok(Webhook::Challenge("0af1".to_owned())));
        let both = json!({"challenge": "0af1", "call": {"details": []}}).to_string();
        assert!(matches!(read(both.as_bytes()), Ok(Webhook::Calls(_))));
        assert!(refusal(br#"{"challenge":7}"#).starts_with("challenge is not a text"));
    }

    #[test]
    fn a_refusal_names_the_field() {
        let table: [(Vec<u8>, &str); 10] = [
            (b"{".to_vec(), "body is not JSON"),
            (b"[]".to_vec(), "body is not a JSON object"),
            (b"{}".to_vec(), "call is missing"),
            (br#"{"call":[]}"#.to_vec(), "call is not a JSON object"),
            (
                br#"{"video":{}}"#.to_vec(),
                "call is missing: this is a meeting-history webhook",
            ),
            (br#"{"call":{}}"#.to_vec(), "call.details is missing"),
            (
                payload(json!([{"id": "d", "call_type": "X"}, 3])),
                "call.details[1] is not a JSON object",
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
                "call.details[0].dial_ends_at is not a time with an offset",
            ),
        ];
        for (body, says) in table {
            let said = refusal(&body);
            assert!(said.starts_with(says), "{said}");
        }
    }
}
