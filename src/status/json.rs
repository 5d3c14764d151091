//! The answer for programs. docs/kubectl.md describes it.

use serde_json::{Value, json};

use super::view::{Failing, Integration, Look, Note, Schedule, State};

/// Version of the JSON. It changes when a key is renamed or taken away, not when one is added.
pub(crate) const VERSION: u32 = 1;

/// The whole answer.
pub(crate) fn text(look: &Look) -> String {
    let integrations: Vec<Value> = look.integrations.iter().map(integration).collect();
    let answer = json!({
        "version": VERSION,
        "observedAt": look.now,
        "integrations": integrations,
        "leftOut": look.left_out,
    });
    format!("{answer:#}\n")
}

fn integration(of: &Integration) -> Value {
    let as_it_is = |pointer| of.status(pointer).cloned().unwrap_or_default();
    json!({
        "namespace": of.namespace,
        "name": of.name,
        "companyId": of.spec_text("/companyId"),
        "ready": of.state == State::Ready,
        "state": of.state.as_str(),
        "reason": of.reason,
        "stalled": of.stalled,
        "failing": of.failing.as_ref().map(failing),
        "conditions": of.conditions.iter().map(|condition| json!({
            "type": condition.type_,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "since": condition.since,
        })).collect::<Vec<_>>(),
        "organization": as_it_is("/organization"),
        "username": as_it_is("/connection/username"),
        "nextAttemptAt": as_it_is("/connection/nextAttemptAt"),
        "lastRun": as_it_is("/lastRun"),
        "nextRun": as_it_is("/nextRun"),
        "addressBook": as_it_is("/addressBook"),
        "apiUsage": as_it_is("/apiUsage"),
        "budget": of.budget.as_ref().map(|budget| json!({
            "share": budget.share,
            "used": budget.used,
            "resumesAt": budget.resumes_at,
        })),
        "warnings": of.warnings(),
        "errors": of.errors(),
        "cronJobs": of.cron_jobs.as_ref().map(|all| all.iter().map(schedule).collect::<Vec<_>>()),
        "events": of.events.as_ref().map(|all| all.iter().map(note).collect::<Vec<_>>()),
    })
}

fn failing(of: &Failing) -> Value {
    json!({
        "condition": of.condition.type_,
        "reason": of.condition.reason,
        "code": of.code,
        "message": of.condition.message,
        "since": of.condition.since,
        "cause": of.cause,
        "remedy": of.remedy,
        "runbook": of.runbook,
    })
}

fn schedule(of: &Schedule) -> Value {
    json!({
        "name": of.name,
        "schedule": of.schedule,
        "timeZone": of.time_zone,
        "suspended": of.suspended,
        "active": of.active,
        "lastStart": of.last_start,
    })
}

fn note(of: &Note) -> Value {
    json!({"at": of.at, "reason": of.reason, "message": of.message, "count": of.count})
}
