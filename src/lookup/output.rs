//! The results as text. Names come from outside: none of them may control a terminal, break a line,
//! or become a formula in a spreadsheet.

use serde_json::{Value, json};

use super::{Explanation, Format, NumberResult, Outcome};
use crate::cli::width;
use crate::plain_text::{csv as csv_text, plain};
use crate::resolve::Record;

/// API calls per number with the product document's own method: one query for each of Contact,
/// Account and Lead.
const CALLS_PER_NUMBER: u64 = 3;

/// The complete text for standard output.
pub(crate) fn text(outcome: &Outcome, format: Format) -> String {
    match format {
        Format::Table => table(outcome),
        Format::Json => json_lines(outcome),
        Format::Csv => csv(outcome),
    }
}

/// The cost, in a sentence.
pub(crate) fn cost(outcome: &Outcome) -> String {
    let asked = outcome.asked();
    let second = outcome.second;
    let calls = outcome.api_calls.saturating_sub(second.api_calls);
    let first = format!(
        "{} of {} numbers asked, {} found, {} API {} in {:.1} s ({} at {CALLS_PER_NUMBER} a number)",
        asked,
        outcome.lines.len(),
        outcome.matched(),
        calls,
        calls_in_words(calls),
        outcome.took.as_secs_f64(),
        asked as u64 * CALLS_PER_NUMBER,
    );
    if second.asked == 0 {
        return first;
    }
    format!(
        "{first}; of these {} found by a second question about {} to the search index, {} more API {}",
        second.found,
        second.asked,
        second.api_calls,
        calls_in_words(second.api_calls),
    )
}

fn calls_in_words(calls: u64) -> &'static str {
    if calls == 1 { "call" } else { "calls" }
}

fn e164(line: &NumberResult) -> Option<&str> {
    line.number.as_ref().ok().map(|number| number.as_str())
}

// === JSON ===

fn json_lines(outcome: &Outcome) -> String {
    let mut text = String::new();
    for line in &outcome.lines {
        text.push_str(&json_line(line).to_string());
        text.push('\n');
    }
    let mut summary = json!({"summary": {
        "numbers": outcome.lines.len(),
        "asked": outcome.asked(),
        "matched": outcome.matched(),
        "apiCalls": outcome.api_calls,
        "seconds": (outcome.took.as_secs_f64() * 1_000.0).round() / 1_000.0,
    }});
    if outcome.second.asked > 0 {
        summary["summary"]["secondQuestion"] = json!({
            "asked": outcome.second.asked,
            "found": outcome.second.found,
            "apiCalls": outcome.second.api_calls,
        });
    }
    text.push_str(&summary.to_string());
    text.push('\n');
    text
}

fn json_line(line: &NumberResult) -> Value {
    let mut value = json!({
        "number": line.text,
        "e164": e164(line),
        "match": line.found(),
        "reason": line.reason(),
    });
    if let Some(explanation) = &line.explanation {
        value["explain"] = json!({
            "spellings": explanation.spellings,
            "records": explanation.records.iter().map(record).collect::<Vec<_>>(),
            "rule": explanation.rule.to_string(),
            "alternatives": explanation.alternatives,
        });
    }
    value
}

fn record(record: &Record) -> Value {
    json!({
        "object": record.object,
        "id": record.id,
        "company": record.company,
        "person": record.person,
        "title": record.title,
        "owner": record.owner,
        "modified": record.modified,
        "phones": record.phones,
    })
}

// === CSV ===

fn csv(outcome: &Outcome) -> String {
    let mut text = String::from("number,e164,object,id,company,person,link,reason\r\n");
    for line in &outcome.lines {
        let found = line.found();
        let numbers = [Some(line.text.as_str()), e164(line)];
        let texts = [
            found.map(|found| found.object.as_str()),
            found.map(|found| found.id.as_str()),
            found.and_then(|found| found.company.as_deref()),
            found.and_then(|found| found.person.as_deref()),
            found.and_then(|found| found.link.as_deref()),
            line.reason(),
        ];
        let numbers = numbers.map(|number| csv_text::number(number.unwrap_or_default()));
        let texts = texts.map(|text| csv_text::field(text.unwrap_or_default()));
        let fields = [numbers.as_slice(), texts.as_slice()].concat();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

// === Table ===

fn table(outcome: &Outcome) -> String {
    let heading = ["NUMBER", "E164", "OBJECT", "COMPANY", "PERSON", "LINK"].map(str::to_owned);
    let rows: Vec<[String; 6]> = outcome.lines.iter().map(row).collect();
    let mut widths = heading.each_ref().map(|cell| width(cell));
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let mut text = String::new();
    push_row(&mut text, &heading, &widths);
    for (row, line) in rows.iter().zip(&outcome.lines) {
        push_row(&mut text, row, &widths);
        if let Some(explanation) = &line.explanation {
            explain(&mut text, explanation);
        }
    }
    text
}

fn row(line: &NumberResult) -> [String; 6] {
    let number = plain(&line.text);
    let e164 = e164(line).unwrap_or("-").to_owned();
    let cell = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), plain);
    match (line.found(), line.reason_in_words()) {
        (Some(found), _) => [
            number,
            e164,
            found.object.to_string(),
            cell(found.company.as_deref()),
            cell(found.person.as_deref()),
            cell(found.link.as_deref().or(Some(&found.id))),
        ],
        (None, reason) => {
            let said = match reason {
                Some(reason) => format!("not asked: {reason}"),
                None => "no record".to_owned(),
            };
            [
                number,
                e164,
                "-".to_owned(),
                said,
                "-".to_owned(),
                "-".to_owned(),
            ]
        }
    }
}

fn explain(text: &mut String, explanation: &Explanation) {
    let beside = match explanation.alternatives {
        0 => String::new(),
        others => format!("; {others} more, the best of them below"),
    };
    text.push_str(&format!("    {}{beside}\n", explanation.rule));
    text.push_str(&format!(
        "    asked for {}\n",
        explanation.spellings.join(" | ")
    ));
    for record in &explanation.records {
        let names = [&record.company, &record.person, &record.title];
        let names: Vec<String> = names
            .into_iter()
            .flatten()
            .map(|name| plain(name))
            .collect();
        let modified = record
            .modified
            .map_or_else(|| "unknown".to_owned(), |time| time.to_string());
        let phones: Vec<String> = record.phones.iter().map(|phone| plain(phone)).collect();
        let owner = record
            .owner
            .as_deref()
            .map_or_else(String::new, |owner| format!(", owner {}", plain(owner)));
        text.push_str(&format!(
            "    saw {} {} ({}){owner}, changed {modified}, phones {}\n",
            record.object,
            plain(&record.id),
            names.join(", "),
            phones.join(" | "),
        ));
    }
}

fn push_row(text: &mut String, cells: &[String; 6], widths: &[usize; 6]) {
    let mut line = String::new();
    for (cell, widest) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(widest.saturating_sub(width(cell)) + 2));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
