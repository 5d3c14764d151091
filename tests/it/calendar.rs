//! The calendar of the runs: what `status.nextRun` says is when Kubernetes' CronJob controller
//! starts a Job, in every time zone, and each day has one daily run. The controller's own cron
//! library is asked.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use switchboard::api::{SalesforceIntegrationSpec, Settings};
use switchboard::decide::rules::schedule::Cadence;
use switchboard_testbed::cron_calendar;

const FROM: &str = "2026-01-01T00:00:00Z";
const UNTIL: &str = "2029-01-01T00:00:00Z";

/// Times of day near the hours at which clocks change, and far from them.
const TIMES: &[&str] = &[
    "02:30", "00:00", "01:30", "03:00", "03:50", "04:15", "12:10", "22:30", "23:30",
];

fn settings(zone: &str, retrieval: &str, daily_at: &str, every: &str) -> Settings {
    let spec: SalesforceIntegrationSpec = serde_json::from_value(json!({
        "companyId": "acme",
        "salesforce": {"auth": {"password": {"username": "a@b", "secretRef": {"name": "s"}}}},
        "contacts": {"retrieval": retrieval, "dailyAt": daily_at, "lookupEvery": every, "timeZone": zone},
    }))
    .unwrap();
    Settings::read(&spec).unwrap()
}

/// A schedule in a zone, and when it is looked at.
struct Case {
    settings: Settings,
    cadence: Cadence,
    from: Timestamp,
    until: Timestamp,
}

impl Case {
    fn new(settings: Settings, window: Duration, from: Timestamp, until: Timestamp) -> Self {
        let cadence = Cadence::of(&settings, "d8f0", window, false).unwrap();
        Self {
            settings,
            cadence,
            from,
            until,
        }
    }

    fn line(&self) -> String {
        let (zone, cron) = (&self.settings.time_zone_name, self.cadence.cron());
        let (from, until) = (self.from.as_second(), self.until.as_second());
        format!("{zone}\t{cron}\t{from}\t{until}\n")
    }

    fn starts(&self) -> Vec<Timestamp> {
        let zone = &self.settings.time_zone;
        let next = |at: &Timestamp| self.cadence.next(*at, zone);
        std::iter::successors(next(&self.from), next)
            .take_while(|at| *at < self.until)
            .collect()
    }

    /// The starts as `cluster calendar` writes them.
    fn written(&self) -> String {
        let starts = self.starts();
        let mut text = starts[0].as_second().to_string();
        let steps: Vec<i64> = starts
            .windows(2)
            .map(|pair| pair[1].as_second() - pair[0].as_second())
            .collect();
        for same in steps.chunk_by(|a, b| a == b) {
            write!(text, " {}*{}", same[0], same.len()).unwrap();
        }
        text
    }
}

fn zones() -> Vec<(String, Vec<Timestamp>)> {
    let (from, until): (Timestamp, Timestamp) = (FROM.parse().unwrap(), UNTIL.parse().unwrap());
    let mut seen = BTreeSet::new();
    jiff::tz::db()
        .available()
        .filter_map(|name| TimeZone::get(name.as_str()).ok())
        .filter_map(|zone| Some((zone.iana_name()?.to_owned(), zone)))
        .filter(|(name, _)| seen.insert(name.clone()))
        .map(|(name, zone)| {
            let changes = zone.following(from).map(|change| change.timestamp());
            (name, changes.take_while(|at| *at < until).collect())
        })
        .collect()
}

async fn agrees_with_the_cronjob_controller(cases: &[Case]) {
    let lines: String = cases.iter().map(Case::line).collect();
    let told = cron_calendar(lines).await.unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told.len(), cases.len());
    let mut compared = 0;
    for (case, told) in cases.iter().zip(told) {
        // Go has no zone of this name, so the API server would refuse it.
        if !told.is_empty() {
            assert_eq!(case.written(), told, "{}", case.line());
            compared += 1;
        }
    }
    assert!(
        compared * 10 > cases.len() * 9,
        "only {compared} of {} zones",
        cases.len()
    );
}

#[tokio::test]
async fn each_day_has_the_daily_run_that_was_said_in_every_zone() {
    let (from, until) = (FROM.parse().unwrap(), UNTIL.parse().unwrap());
    let mut cases = vec![];
    // Many zones are one under several names, or change their clocks alike.
    let mut seen = BTreeSet::new();
    for (zone, changes) in zones() {
        let offset = TimeZone::get(&zone).unwrap().to_offset(from);
        let alike = !seen.insert((changes.clone(), offset.seconds()));
        let times = if changes.is_empty() || alike {
            &TIMES[..1]
        } else {
            TIMES
        };
        let mut crons = BTreeSet::new();
        for (at, window) in times.iter().zip([1, 30].into_iter().cycle()) {
            let settings = settings(&zone, "Daily", at, "5m");
            let case = Case::new(settings, Duration::from_secs(60 * window), from, until);
            if crons.insert(case.cadence.cron()) {
                cases.push(case);
            }
        }
    }
    assert!(cases.len() > 500, "{}", cases.len());
    for case in &cases {
        let zone = &case.settings.time_zone;
        let days: Vec<_> = case
            .starts()
            .iter()
            .map(|start| zone.to_datetime(*start).date())
            .collect();
        for pair in days.windows(2) {
            let next = pair[0].checked_add(1.day()).unwrap();
            assert_eq!(next, pair[1], "a day is lost or doubled: {}", case.line());
        }
    }
    agrees_with_the_cronjob_controller(&cases).await;
}

#[tokio::test]
async fn look_ups_after_calls_come_when_they_were_said_also_while_the_clock_changes() {
    let mut cases = vec![];
    for (zone, changes) in zones() {
        for (change, every) in changes
            .iter()
            .flat_map(|change| ["1m", "5m", "12m", "30m", "1h"].map(|every| (change, every)))
        {
            let (from, until) = (*change - 3.hours(), *change + 3.hours());
            let settings = settings(&zone, "AfterCall", "23:00", every);
            cases.push(Case::new(settings, Duration::ZERO, from, until));
        }
    }
    assert!(cases.len() > 1_000, "{}", cases.len());
    agrees_with_the_cronjob_controller(&cases).await;
}
