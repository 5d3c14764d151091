//! The table of docs/miitel.md: every sentence of the product document has a test that is there.

use std::collections::BTreeSet;

use crate::root;

/// The heading of the table.
const HEADING: &str = "\n## The document, sentence by sentence\n";

/// One row of the table.
struct Row {
    /// The section of docs/facts/phone-platform.md.
    section: String,
    sentence: String,
    /// The tests, as `FILE::NAME`.
    tests: Vec<String>,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_default()
}

fn rows() -> Vec<Row> {
    let page = read("docs/miitel.md");
    let (_, table) = page.split_once(HEADING).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, sentence, _, tests] = cells[..] else {
            unreachable!("four cells a row: {line}");
        };
        Row {
            section: section.to_owned(),
            sentence: sentence.to_owned(),
            tests: tests
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect(),
        }
    })
    .collect()
}

/// Whether the file has a test function of this name.
fn is_test(text: &str, name: &str) -> bool {
    let Some(at) = text.find(&format!("fn {name}(")) else {
        return false;
    };
    let before = text[..at].trim_end_matches("async ").trim_end();
    before
        .lines()
        .last()
        .is_some_and(|line| line.trim().starts_with("#[test") || line.contains("#[tokio::test"))
}

#[test]
fn every_sentence_of_the_document_has_a_test_that_is_there() {
    for row in rows() {
        assert!(!row.tests.is_empty(), "{}: no test", row.sentence);
        for test in &row.tests {
            let (file, name) = test.split_once("::").unwrap();
            assert!(
                is_test(&read(file), name),
                "{}: {file} has no test {name}",
                row.sentence
            );
        }
    }
}

#[test]
fn no_section_of_the_document_is_left_out() {
    let facts = read("docs/facts/phone-platform.md");
    let asked_for: BTreeSet<&str> = facts
        .split("\n### ")
        .skip(1)
        .filter(|section| section.contains("[P]"))
        .filter_map(|section| section.split(' ').next())
        .collect();
    assert!(asked_for.len() > 7, "{asked_for:?}");
    let rows = rows();
    let told: BTreeSet<&str> = rows.iter().map(|row| row.section.as_str()).collect();
    assert_eq!(told, asked_for);
}

#[test]
fn a_test_is_told_from_a_function_that_is_none() {
    let text = "#[tokio::test(flavor = \"x\")]\nasync fn a() {}\n\n    #[test]\n    fn b() {}\n\nfn c() {}\n";
    assert!(is_test(text, "a") && is_test(text, "b"));
    assert!(!is_test(text, "c") && !is_test(text, "d"));
}
