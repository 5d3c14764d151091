//! What a day costs in each mode.

use std::fmt::Write;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Format;
use super::org::{Failed, Org};
use crate::api::{Retrieval, Settings};
use crate::decide::book::forecast::{Activity, Forecast, Rhythm, forecast};
use crate::decide::rules::schedule::Cadence;
use crate::salesforce::{Page, Subrequest};

/// Calls of a day, where none are given.
const CALLS: [u64; 4] = [0, 100, 1_000, 10_000];
/// Days whose changes are counted.
const DAYS: i64 = 7;
/// How many of the callers Salesforce is taken not to know: one of so many.
const UNKNOWN: u64 = 2;
const DAY: u64 = 24 * 3_600;

pub(super) async fn plan(
    org: &mut Org,
    calls_a_day: Option<u64>,
    format: Format,
) -> Result<(String, String), Failed> {
    let changes = changes(org).await?;
    let rhythm = rhythm(&org.settings);
    let records = org.records();
    let days: Vec<(u64, Forecast)> = calls_a_day
        .map_or(CALLS.to_vec(), |calls| vec![calls])
        .into_iter()
        .map(|calls| {
            (
                calls,
                forecast(&rhythm, &day(&rhythm, calls, changes, records)),
            )
        })
        .collect();
    let text = match format {
        Format::Json => in_json(org, changes, &days),
        Format::Table | Format::Csv => in_words(org, changes, &days),
    };
    let note = format!(
        "counted by {}. Half of the callers are taken to be unknown to Salesforce; status.addressBook.forecast is made from the calls that there were",
        org.cost()
    );
    Ok((text, note))
}

/// Counts the records that changed in the last days, by one call. A kind of which Salesforce does
/// not tell counts as unchanged.
async fn changes(org: &mut Org) -> Result<u64, Failed> {
    let since = Timestamp::now()
        .checked_sub(SignedDuration::from_hours(24 * DAYS))
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let shape = org.resolver.shape();
    let kinds = org.counts.keys();
    let queries: Vec<_> = kinds
        .map(|object| (*object, shape.soql_count_since(*object, since)))
        .collect();
    let requests: Vec<Subrequest> = queries
        .iter()
        .map(|(object, soql)| Subrequest::query(object.as_str(), soql.as_str()))
        .collect();
    let answers = org.resolver.connection().composite(&requests).await?;
    let counted = answers.iter().filter_map(|answer| {
        let page: Page<serde::de::IgnoredAny> = answer.page().ok()?;
        Some(page.total_size)
    });
    Ok(counted.sum())
}

/// The time between runs, questions and proofs. Where nothing is retrieved, as if it were after
/// calls.
fn rhythm(settings: &Settings) -> Rhythm {
    let mut settings = settings.clone();
    if settings.retrieval == Retrieval::Disabled {
        settings.retrieval = Retrieval::AfterCall;
    }
    let cadence = Cadence::of(&settings, "", Duration::ZERO, false);
    Rhythm {
        runs: cadence.map_or(settings.interval, Cadence::period),
        follow: settings.follow.map(|(_, every)| every),
        interval: settings.interval,
        second_question: settings.second_question,
    }
}

/// A day with so many calls, each of another number.
fn day(rhythm: &Rhythm, calls: u64, changes: u64, records: u64) -> Activity {
    Activity {
        seconds: DAY,
        runs: calls.min(DAY / rhythm.runs.as_secs().max(1)),
        numbers: calls,
        unknown: calls / UNKNOWN,
        changes,
        changes_seconds: DAYS.unsigned_abs() * DAY,
        records: Some(records),
    }
}

fn in_words(org: &Org, changes: u64, days: &[(u64, Forecast)]) -> String {
    let mut text = String::new();
    let by_kind: Vec<String> = org
        .counts
        .iter()
        .map(|(object, count)| format!("{object} {count}"))
        .collect();
    let (records, by_kind) = (org.records(), by_kind.join(", "));
    let _ = writeln!(text, "Records with a phone  {records} ({by_kind})");
    let _ = writeln!(text, "Changed in {DAYS} days     {changes}");
    if let Some(fill) = days.first().and_then(|(_, costs)| costs.fill) {
        let _ = writeln!(text, "One fill              {fill} API calls");
    }
    text.push_str("\nAPI calls of a day, proofs of the connection included\n");
    let _ = writeln!(
        text,
        "{:>12}  {:>8}  {:>6}",
        "phone calls", "OnDemand", "Full"
    );
    for (calls, costs) in days {
        let Forecast {
            on_demand, full, ..
        } = costs;
        let _ = writeln!(text, "{calls:>12}  {on_demand:>8}  {full:>6}");
    }
    text
}

fn in_json(org: &Org, changes: u64, days: &[(u64, Forecast)]) -> String {
    let counts = org.counts.iter();
    let counts: serde_json::Map<_, _> = counts
        .map(|(object, count)| (object.to_string(), json!(count)))
        .collect();
    let fill = days.first().and_then(|(_, costs)| costs.fill);
    let days: Vec<_> = days
        .iter()
        .map(|(calls, costs)| json!({"calls": calls, "onDemand": costs.on_demand, "full": costs.full}))
        .collect();
    let answer = json!({
        "records": counts, "changes": {"count": changes, "days": DAYS}, "fill": fill, "days": days,
    });
    format!("{answer:#}\n")
}
