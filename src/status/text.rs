//! The answer for people. Whatever comes from outside stays on its line and moves no cursor.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::time::{distance, span, when};
use super::view::{self, Failing, Integration, Look, State};
use crate::cli::width;
use crate::plain_text::plain;

/// Keys of a run that have a place of their own; all other ones are its counts.
const NO_COUNTS: [&str; 6] = ["kind", "where", "job", "startedAt", "finishedAt", "outcome"];

/// Counts in the order in which they are read; the API server sorts them by name. Unknown ones
/// follow.
const COUNTS: [&str; 10] = [
    "calls",
    "numbers",
    "matched",
    "contact",
    "account",
    "lead",
    "unmatched",
    "written",
    "skipped",
    "apiCalls",
];

/// The whole answer: the one integration, or a table of all and the first that is not Ready.
pub(crate) fn text(look: &Look, with_namespace: bool) -> String {
    let mut page = Page::default();
    match look.integrations.as_slice() {
        [one] => details(&mut page, one, look.now),
        many => {
            table(&mut page, look, with_namespace);
            let not_ready: Vec<&Integration> = many
                .iter()
                .filter(|integration| integration.state != State::Ready)
                .collect();
            page.line("");
            page.line(&match not_ready.len() {
                0 => format!("All {} are Ready. A name shows one of them.", many.len()),
                count => format!(
                    "{count} of {} are not Ready. The first of them; a name shows another one:",
                    many.len()
                ),
            });
            if let Some(first) = not_ready.first() {
                page.line("");
                details(&mut page, first, look.now);
            }
        }
    }
    for what in &look.left_out {
        page.line("");
        page.line(&format!("Left out: {what}"));
    }
    page.0
}

/// Lines of text.
#[derive(Default)]
struct Page(String);

// === impl Page ===

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(plain(text).trim_end());
        self.0.push('\n');
    }

    /// A heading, after an empty line.
    fn part(&mut self, heading: &str) {
        self.0.push('\n');
        self.line(heading);
    }

    /// A label and its text.
    fn field(&mut self, label: &str, text: &str) {
        self.line(&format!("  {label:<12}{text}"));
    }

    /// Columns as wide as their widest cell.
    fn columns<const N: usize>(&mut self, indent: &str, rows: &[[String; N]]) {
        let rows: Vec<[String; N]> = rows
            .iter()
            .map(|row| row.each_ref().map(|cell| plain(cell)))
            .collect();
        let mut widths = [0; N];
        for row in &rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        for row in &rows {
            let mut line = indent.to_owned();
            for (cell, widest) in row.iter().zip(widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(widest.saturating_sub(width(cell)) + 2));
            }
            self.line(&line);
        }
    }
}

fn table(page: &mut Page, look: &Look, with_namespace: bool) {
    let heading = ["NAME", "READY", "REASON", "ORG", "LAST RUN", "NEXT RUN"];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(look.integrations.iter().map(|of| {
        let distance_of = |pointer| {
            of.status_time(pointer)
                .map_or_else(|| "-".to_owned(), |at| distance(at, look.now))
        };
        [
            match with_namespace {
                true => format!("{}/{}", of.namespace, of.name),
                false => of.name.clone(),
            },
            of.state.as_str().to_owned(),
            of.reason.clone().unwrap_or_else(|| "-".to_owned()),
            of.status_text("/organization/name")
                .unwrap_or("-")
                .to_owned(),
            distance_of("/lastRun/finishedAt"),
            distance_of("/nextRun"),
        ]
    }));
    page.columns("", &rows);
}

fn details(page: &mut Page, of: &Integration, now: Timestamp) {
    page.line(&headline(of));
    about(page, of);
    if !of.conditions.is_empty() {
        page.part("Conditions");
        let rows: Vec<[String; 5]> = of
            .conditions
            .iter()
            .map(|condition| {
                [
                    condition.type_.clone(),
                    condition.status.clone(),
                    condition.reason.clone(),
                    condition
                        .since
                        .map_or_else(|| "-".to_owned(), |since| distance(since, now)),
                    condition.message.clone(),
                ]
            })
            .collect();
        page.columns("  ", &rows);
    }
    if let Some(first) = &of.failing {
        failing(page, first, now);
    }
    runs(page, of, now);
    names(page, of, now);
    requests(page, of, now);
    if !of.warnings().is_empty() {
        page.part("Warnings");
        for warning in of.warnings() {
            entry(page, warning, "");
        }
    }
    if !of.errors().is_empty() {
        page.part("Last errors, newest first");
        for error in of.errors() {
            entry(page, error, &seen(error, now));
        }
    }
    if let Some(events) = of.events.as_ref().filter(|events| !events.is_empty()) {
        page.part("Last Events, newest first");
        for event in events {
            let at = event
                .at
                .map_or_else(|| "-".to_owned(), |at| distance(at, now));
            let times = match event.count {
                ..=1 => String::new(),
                count => format!(", {count} times"),
            };
            page.line(&format!(
                "  {} ({at}{times}): {}",
                event.reason, event.message
            ));
        }
    }
}

/// Name and state in one line.
fn headline(of: &Integration) -> String {
    let reason = of.reason.as_deref().unwrap_or_default();
    let state = match of.state {
        State::Ready => "Ready".to_owned(),
        State::NotReady if of.stalled => {
            format!("not Ready ({reason}); nothing changes until somebody acts")
        }
        State::NotReady => format!("not Ready ({reason})"),
        State::Outdated => format!(
            "the controller has not seen the latest change yet; before it, {}",
            match reason {
                "Ready" => "it was Ready".to_owned(),
                other => format!("it was not Ready ({other})"),
            }
        ),
        State::NotSeen => {
            "no controller has looked at it yet; does one run, and does it work in this namespace?"
                .to_owned()
        }
        State::Deleted => "it is being deleted".to_owned(),
    };
    format!("{}/{}: {state}", of.namespace, of.name)
}

fn about(page: &mut Page, of: &Integration) {
    page.line("");
    if let Some(company) = of.spec_text("/companyId") {
        page.field("Company ID", company);
    }
    if let Some(id) = of.status_text("/organization/id") {
        let mut org = match of.status_text("/organization/name") {
            Some(name) => format!("{name} ({id})"),
            None => id.to_owned(),
        };
        if let Some(edition) = of.status_text("/organization/edition") {
            org.push_str(&format!(", {edition}"));
        }
        if let Some(instance) = of.status_text("/organization/instance") {
            org.push_str(&format!(", instance {instance}"));
        }
        if of.status("/organization/sandbox") == Some(&Value::Bool(true)) {
            org.push_str(", sandbox");
        }
        page.field("Org", &org);
    }
    if let Some(user) = of.status_text("/connection/username") {
        page.field("User", user);
    }
}

fn failing(page: &mut Page, first: &Failing, now: Timestamp) {
    let condition = &first.condition;
    let since = condition
        .since
        .map_or_else(String::new, |since| format!(" since {}", when(since, now)));
    page.part(&format!(
        "First to put right: {} is {}{since}",
        condition.type_, condition.status
    ));
    page.line(&format!("  {}: {}", condition.reason, condition.message));
    if let Some(cause) = &first.cause {
        page.line(&format!("  Cause: {cause}"));
    }
    let remedy = first.remedy.as_deref().unwrap_or("Nothing to do.");
    page.line(&format!("  What to do: {remedy}"));
    if let Some(runbook) = &first.runbook {
        page.line(&format!("  Runbook: {runbook}"));
    }
}

fn runs(page: &mut Page, of: &Integration, now: Timestamp) {
    page.part("Runs");
    page.field(
        "Retrieval",
        of.spec_text("/contacts/retrieval").unwrap_or("-"),
    );
    match of.last_run() {
        None => page.field("Last run", "none yet"),
        Some(run) => {
            let text = |key: &str| run.get(key).and_then(Value::as_str).unwrap_or("-");
            let (started, finished) = (
                view::time(run.get("startedAt")),
                view::time(run.get("finishedAt")),
            );
            let mut line = format!("{} {}", text("kind"), text("outcome"));
            if let Some(finished) = finished {
                line.push_str(&format!(", ended {}", when(finished, now)));
                let took = started.map(|started| finished.as_second() - started.as_second());
                if let Some(took) = took.and_then(|took| u64::try_from(took).ok()) {
                    line.push_str(&format!(", took {}", span(took)));
                }
            }
            match text("where") {
                "Resident" => line.push_str(", in the controller"),
                _ => line.push_str(&format!(", Job {}", text("job"))),
            }
            page.field("Last run", &line);
            let counts = counts(run);
            if !counts.is_empty() {
                page.field("", &counts);
            }
        }
    }
    let next = of
        .status_time("/nextRun")
        .map_or_else(|| "none is due".to_owned(), |at| when(at, now));
    page.field("Next run", &next);
    for cron_job in of.cron_jobs.iter().flatten() {
        let mut line = format!("{} at \"{}\"", cron_job.name, cron_job.schedule);
        if let Some(time_zone) = &cron_job.time_zone {
            line.push_str(&format!(" {time_zone}"));
        }
        if cron_job.suspended {
            line.push_str(", suspended");
        }
        match cron_job.active {
            0 => {}
            active => line.push_str(&format!(", {active} running")),
        }
        if let Some(at) = cron_job.last_start {
            line.push_str(&format!(", last started {}", when(at, now)));
        }
        page.field("CronJob", &line);
    }
    if let Some(at) = of.status_time("/connection/nextAttemptAt") {
        page.field("Next proof", &when(at, now));
    }
}

/// Where names come from, and what each way costs.
fn names(page: &mut Page, of: &Integration, now: Timestamp) {
    let Some(mode) = of.status_text("/addressBook/mode") else {
        return;
    };
    let number = |pointer: &str| of.status(pointer).and_then(Value::as_u64);
    let wanted = of.spec_text("/contacts/addressBook").unwrap_or(mode);
    page.part("Names");
    match wanted == mode {
        true => page.field("Mode", mode),
        false => page.field("Mode", &format!("{mode} for now, {wanted} is wanted")),
    }
    if let Some(records) = number("/addressBook/records") {
        let mut line = format!("{records} records");
        if let Some(numbers) = number("/addressBook/numbers") {
            line.push_str(&format!(" with {numbers} numbers"));
        }
        if let Some(bytes) = number("/addressBook/bytes") {
            line.push_str(&format!(", about {}", size(bytes)));
        }
        page.field("Address book", &line);
    }
    if let Some(rows) = number("/addressBook/filling/rows") {
        let line = match number("/addressBook/filling/of") {
            Some(all) => format!("{rows} of {all} records read"),
            None => format!("{rows} records read"),
        };
        page.field("Filling", &line);
    }
    if let Some(records) = number("/addressBook/orgRecords") {
        page.field("In the org", &format!("{records} records with a phone"));
    }
    if let Some(at) = of.status_time("/addressBook/watermark") {
        page.field("Changes", &format!("until {}", when(at, now)));
    }
    let costs = number("/addressBook/forecast/onDemand").zip(number("/addressBook/forecast/full"));
    if let Some((on_demand, full)) = costs {
        let line = format!("{on_demand} API requests a day with OnDemand, {full} with Full");
        page.field("Forecast", &line);
    }
}

/// Bytes in the unit in which they have two digits or more.
fn size(bytes: u64) -> String {
    match bytes {
        0..20_000 => format!("{bytes} bytes"),
        20_000..20_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// The counts of a run or of a group of counts.
fn counts(of: &Map<String, Value>) -> String {
    let place = |key: &str| COUNTS.iter().position(|count| *count == key);
    let mut counts: Vec<(&String, &Value)> = of
        .iter()
        .filter(|(key, _)| !NO_COUNTS.contains(&key.as_str()))
        .collect();
    counts.sort_by_key(|(key, _)| place(key).unwrap_or(COUNTS.len()));
    let told: Vec<String> = counts
        .into_iter()
        .filter_map(|(key, value)| count(key, value))
        .collect();
    told.join(", ")
}

/// One count, or those of a group; `None` for what is no count.
fn count(key: &str, value: &Value) -> Option<String> {
    let name = words(key);
    match value {
        Value::Number(number) => Some(format!("{name} {number}")),
        Value::Bool(flag) => Some(format!("{name} {flag}")),
        Value::Object(group) => {
            let counts = counts(group);
            (!counts.is_empty()).then(|| format!("{name} ({counts})"))
        }
        _ => None,
    }
}

/// A name such as `apiCalls` in words.
fn words(key: &str) -> String {
    key.chars()
        .flat_map(|letter| {
            let gap = letter.is_ascii_uppercase().then_some(' ');
            gap.into_iter().chain(letter.to_lowercase())
        })
        .collect()
}

fn requests(page: &mut Page, of: &Integration, now: Timestamp) {
    let number = |pointer: &str| of.status(pointer).and_then(Value::as_u64);
    let usage = number("/apiUsage/used").zip(number("/apiUsage/limit"));
    let neighbours = number("/organization/sharedWith/integrations").filter(|count| *count > 0);
    if usage.is_none() && of.budget.is_none() && neighbours.is_none() {
        return;
    }
    page.part("API requests of 24 hours");
    if let Some(budget) = &of.budget {
        let mut line = match budget.share {
            Some(share) => format!("{} of {share} used", budget.used),
            None => format!("{} used", budget.used),
        };
        if let Some(at) = budget.resumes_at {
            line.push_str(&format!(", a run waits until {}", when(at, now)));
        }
        page.field("Own share", &line);
    }
    if let Some((used, limit)) = usage {
        let mut line = format!("{used} of {limit} used by anyone");
        if let Some(at) = of.status_time("/apiUsage/observedAt") {
            line.push_str(&format!(", as of {}", when(at, now)));
        }
        page.field("Whole org", &line);
    }
    if let Some(count) = neighbours {
        let names: Vec<&str> = of
            .status("/organization/sharedWith/names")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let others = count.saturating_sub(names.len() as u64);
        let mut all: Vec<String> = names.into_iter().map(str::to_owned).collect();
        match (others, all.is_empty()) {
            (0, _) => {}
            (_, true) => all.push(format!("{others} in other namespaces")),
            (_, false) => all.push(format!("{others} more")),
        }
        page.field("Neighbours", &all.join(", "));
    }
}

/// A warning or an error with its remedy.
fn entry(page: &mut Page, of: &Value, seen: &str) {
    page.line(&format!(
        "  {}{seen}: {}",
        view::text(of, "code"),
        view::text(of, "message")
    ));
    page.line(&format!("    What to do: {}", view::text(of, "remedy")));
}

/// How often an error was seen, and when.
fn seen(error: &Value, now: Timestamp) -> String {
    let last = view::time(error.get("lastSeen"));
    let last = last.map_or_else(|| "-".to_owned(), |last| when(last, now));
    let count = error.get("count").and_then(Value::as_u64).unwrap_or(1);
    if count <= 1 {
        return format!(", {last}");
    }
    let first = view::time(error.get("firstSeen"));
    let first = first.map_or_else(|| "-".to_owned(), |first| when(first, now));
    format!(", {count} times from {first} to {last}")
}
