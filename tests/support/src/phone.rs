//! The parts of the phone platform that tests simulate.

use serde_json::{Value, json};

/// An incoming, answered and ended call, as MiiTel's webhook reports it
/// (facts: phone platform 2.1). `id` is decimal.
pub fn incoming_call(company: &str, id: &str, from: &str) -> Value {
    json!({"call": {
        "id": format!("00000000-0000-4000-8000-{id:0>12}"), "tenant_code": company,
        "details": [{
            "id": format!("00000000-0000-4000-9000-{id:0>12}"),
            "dial_starts_at": "2026-11-23T07:26:06+00:00", "dial_answered_at": "2026-11-23T07:26:09+00:00",
            "dial_ends_at": "2026-11-23T07:28:00+00:00",
            "queueing_starts_at": null, "queueing_answered_at": null, "queueing_ends_at": null,
            "call_type": "INCOMING_CALL", "circuit_number": "05000000000", "circuit_name": "Tokyo",
            "from_number": from, "to_number": null, "previous_id": null, "dtmf": null, "analysis": null,
            "participants": [], "tags": [], "comments": [], "keywords": [], "phrases": [],
            "speech_recognition": {"raw": "", "summary": ""}
        }]
    }})
}
