//! The printed output.

use std::time::Duration;

use serde_json::Value;

use super::{Explanation, Format, NumberResult, Outcome, Resolution, Second, output};
use crate::phone::{Region, parse};
use crate::resolve::{Match, Object, Record, Rule};

fn line(text: &str, answer: Resolution) -> NumberResult {
    NumberResult {
        text: text.to_owned(),
        number: parse(text, &Region::JAPAN),
        answer,
        explanation: None,
    }
}

fn outcome() -> Outcome {
    let found = Match {
        object: Object::Contact,
        id: "003A".to_owned(),
        company: Some("=HYPERLINK(\"x\"), 株式会社".to_owned()),
        person: Some("佐藤\u{1b}[31m花子".to_owned()),
        title: None,
        owner: Some("Kato".to_owned()),
        alternatives: None,
        link: Some("https://acme.my.salesforce.com/003A".to_owned()),
    };
    Outcome {
        lines: vec![
            line("０３-1234-5678", Resolution::Found(found)),
            line("0399999999", Resolution::Unknown),
            line("110", Resolution::NotAsked),
            line("0312345670", Resolution::NotAsked),
        ],
        api_calls: 1,
        second: Second::default(),
        took: Duration::from_millis(1_234),
    }
}

#[test]
fn json_is_one_object_a_line_with_the_summary_last() {
    let text = output::text(&outcome(), Format::Json);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["e164"], "+81312345678");
    assert_eq!(lines[0]["match"]["object"], "Contact");
    assert_eq!(lines[0]["match"]["id"], "003A");
    assert_eq!(lines[0]["reason"], Value::Null);
    assert_eq!(
        (&lines[1]["match"], &lines[1]["reason"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&lines[2]["e164"], &lines[2]["reason"]),
        (&Value::Null, &"Emergency".into())
    );
    assert_eq!(lines[3]["reason"], "Interrupted");
    let summary = serde_json::json!({"numbers": 4, "asked": 2, "matched": 1, "apiCalls": 1, "seconds": 1.234});
    assert_eq!(lines[4]["summary"], summary);
}

#[test]
fn csv_escapes_what_a_spreadsheet_would_run() {
    let text = output::text(&outcome(), Format::Csv);
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[0], "number,e164,object,id,company,person,link,reason");
    assert!(
        lines[1].contains("\"'=HYPERLINK(\"\"x\"\"), 株式会社\""),
        "{}",
        lines[1]
    );
    assert!(lines[1].contains(",+81312345678,"), "{}", lines[1]);
    assert_eq!(lines[3], "110,,,,,,,Emergency");
}

#[test]
fn a_table_is_aligned_and_steers_no_terminal() {
    let text = output::text(&outcome(), Format::Table);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains("no record") && text.contains("not asked: it is an emergency number"));
    assert!(text.starts_with("NUMBER"));
}

#[test]
fn the_cost_stands_beside_the_product_documents_own() {
    let cost = output::cost(&outcome());
    assert_eq!(
        cost,
        "2 of 4 numbers asked, 1 found, 1 API call in 1.2 s (6 at 3 a number)"
    );
}

#[test]
fn an_explanation_says_what_was_asked_and_seen_and_which_rule_chose() {
    let mut outcome = outcome();
    outcome.lines[0].explanation = Some(Explanation {
        spellings: vec!["+81312345678".to_owned(), "03-1234-5678".to_owned()],
        records: vec![Record {
            object: Object::Contact,
            id: "003A".to_owned(),
            company: None,
            person: Some("Sato".to_owned()),
            title: Some("Head of Sales".to_owned()),
            owner: None,
            account: None,
            modified: None,
            phones: vec!["03-1234-5678".to_owned()],
            numbers: vec!["+81312345678".parse().unwrap()],
        }],
        alternatives: 3,
        rule: Rule::Newest,
    });
    let table = output::text(&outcome, Format::Table);
    assert!(table.contains("+81312345678 | 03-1234-5678"), "{table}");
    assert!(
        table.contains("saw Contact 003A (Sato, Head of Sales)"),
        "{table}"
    );
    let json = output::text(&outcome, Format::Json);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["explain"]["records"][0]["phones"][0], "03-1234-5678");
    assert_eq!(first["explain"]["rule"], Rule::Newest.to_string());
    assert_eq!(first["explain"]["alternatives"], 3);
    assert!(
        table.contains("; 3 more, the best of them below"),
        "{table}"
    );
}
