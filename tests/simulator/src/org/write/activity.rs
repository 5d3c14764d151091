//! What a task that is done leaves on the records that it is about.

use super::{Writer, is_true};
use crate::org::{Org, Row, system};
use crate::schema::{ObjectType, Value};

impl Org {
    /// Moves `LastActivityDate` of who and what a closed task is about, and of the person's
    /// account. Of their stamps `SystemModstamp` alone moves, and only with the date (facts:
    /// Salesforce changes A1).
    pub(super) fn remember(&mut self, task: &Row, object: &ObjectType, by: &Writer<'_>) {
        if object.name != "Task" || !is_true(task, object, "IsClosed") {
            return;
        }
        let of = |row: &Row, object: &ObjectType, field: &str| {
            let id = object.field(field).and_then(|ix| row.get(ix).as_text());
            id.map(str::to_owned)
        };
        let day = match object.field("ActivityDate").map(|ix| task.get(ix)) {
            Some(Value::Date(day)) => *day,
            _ => by.now.to_zoned(jiff::tz::TimeZone::UTC).date(),
        };
        let mut about: Vec<String> = ["WhoId", "WhatId"]
            .into_iter()
            .filter_map(|field| of(task, object, field))
            .collect();
        let person = about.first().and_then(|id| self.stored(id));
        let schema = self.schema.clone();
        about.extend(person.and_then(|(name, row)| of(&row, schema.object(&name)?, "AccountId")));
        for id in about {
            let Some((name, mut row)) = self.stored(&id).filter(|(_, row)| !row.deleted) else {
                continue;
            };
            let last = schema
                .object(&name)
                .and_then(|object| object.field("LastActivityDate"));
            let Some(last) = last else { continue };
            if matches!(row.get(last), Value::Date(before) if *before >= day) {
                continue;
            }
            row.set(last, Value::Date(day));
            row.set(system::SYSTEM_MODSTAMP, by.stamp());
            self.put(&name, row, by.commits_at);
        }
    }
}
