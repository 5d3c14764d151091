//! `/sobjects/X/updated` and `/deleted`: the Ids of what changed (facts: Salesforce changes A5).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::sobjects::visible;
use super::{Call, Outcome, RestError};
use crate::clock::json_datetime;
use crate::message::{Answer, Request};
use crate::org::{Row, system};
use crate::schema::Value;

/// How far back a window may begin.
const REACH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Answers with the Ids of records that changed in a window, whose ends are cut to minutes.
pub(super) fn changes(call: &Call<'_>, request: &Request, object: &str, deleted: bool) -> Outcome {
    let bound = |name: &str| {
        let text = request.parameter(name).unwrap_or_default();
        let text = text.replace("+0000", "Z").replace("+00:00", "Z");
        let at = text.parse::<Timestamp>().ok()?;
        Timestamp::from_second(at.as_second().div_euclid(60) * 60).ok()
    };
    let refuse = |message: &str| RestError::new(400, "INVALID_REPLICATION_DATE", message);
    let (Some(start), Some(end)) = (bound("start"), bound("end")) else {
        return Err(refuse("start and end must be dates"));
    };
    if end.duration_since(start) <= SignedDuration::from_mins(1) {
        return Err(refuse(
            "startDate must be at least one minute greater than endDate",
        ));
    }
    if call.now.duration_since(start) > REACH {
        return Err(refuse("startDate cannot be more than 30 days ago"));
    }
    call.read(true, |scope| {
        let object = visible(scope, object)?;
        let stamp = |row: &Row| match row.get(system::SYSTEM_MODSTAMP) {
            Value::DateTime(at) => *at,
            _ => Timestamp::MIN,
        };
        let rows = scope.org.table(object.name).map_or(&[][..], |table| table.rows());
        let found: Vec<&Row> = rows
            .iter()
            .filter(|row| row.deleted == deleted && (start..=end).contains(&stamp(row)))
            .filter(|row| scope.access.sees_row(scope.org, object, row))
            .collect();
        // A transaction that lasts holds it back at its own beginning.
        let running = scope.org.uncommitted.iter().map(|(_, _, row)| stamp(row)).min();
        let covered = running.map_or(end, |at| end.min(at)).min(call.now);
        let covered = json_datetime(covered);
        let body = if deleted {
            let records: Vec<Json> = found
                .iter()
                .map(|row| json!({"id": row.id(), "deletedDate": json_datetime(stamp(row))}))
                .collect();
            let earliest = json_datetime(call.now - REACH);
            json!({"deletedRecords": records, "earliestDateAvailable": earliest, "latestDateCovered": covered})
        } else {
            let ids: Vec<&str> = found.iter().map(|row| row.id()).collect();
            json!({"ids": ids, "latestDateCovered": covered})
        };
        Ok(Answer::json(200, body))
    })?
}
