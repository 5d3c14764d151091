//! docs/reasons.md: every reason with its meaning and its remedy, from the table that the program
//! itself uses. Next to them is the message that the controller wrote in the integration tests, as
//! kept in said.json (`UPDATE_GENERATED=1 cargo test --test it refusals`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use switchboard::api::conditions;
use switchboard::reason::{Chapter, PAGES, Reason, Remedy};

use crate::{assert_generated, root};

const HEAD: &str = "\
# Every reason, and what to do

<!-- Generated from the code by `make docs`; the texts stand in src/reason/own.rs, src/salesforce/answers/meaning.rs and src/salesforce/probe/warning_code.rs. -->

The reason of the condition `Ready` is the reason of the first condition that does not hold. The same codes stand in `status.errors`, in
the Events, in the metrics and in what `switchboard check` and `switchboard status` print. `switchboard explain CODE` shows an entry of this page in a
terminal ([in kubectl](kubectl.md)). How to read a status is told in [troubleshooting](troubleshooting.md).
";

#[test]
fn the_page_of_reasons_is_the_one_of_the_code() {
    assert_generated("docs/reasons.md", &page());
}

fn page() -> String {
    let said = said();
    let mut page = HEAD.to_owned();
    for chapter in Chapter::ALL {
        let _ = write!(page, "\n## {}\n", chapter.heading());
        for reason in Reason::all().filter(|reason| reason.chapter() == chapter) {
            entry(&mut page, reason, said.get(reason.code()));
        }
    }
    page
}

/// A code in a program, an Event or a metric links to its heading on the page: `docs/reasons.md#`
/// and the code in lower case.
#[test]
fn every_reason_has_a_heading_of_its_own_on_the_page() {
    let page = page();
    for reason in Reason::all() {
        let heading = format!("### {reason}");
        let times = page.lines().filter(|line| *line == heading).count();
        assert_eq!(times, 1, "{heading}");
    }
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    for code in headings {
        assert!(Reason::from_code(code).is_some(), "{code} is no reason");
    }
}

/// `switchboard explain` and `switchboard status` send their reader to this page of the repository.
#[test]
fn the_runbook_of_every_reason_is_there() {
    for reason in Reason::all() {
        let runbook = reason.runbook();
        let (page, anchor) = runbook.split_once('#').unwrap_or((&runbook, ""));
        let text = std::fs::read_to_string(root().join(page)).unwrap_or_default();
        assert!(!text.is_empty(), "{reason}: there is no page {page}");
        let named = text
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim().to_lowercase())
            .any(|heading| heading.replace(' ', "-") == anchor);
        assert!(
            anchor.is_empty() || named,
            "{reason}: {page} has no heading {anchor}"
        );
        assert_eq!(reason.runbook_url(), format!("{PAGES}{runbook}"));
    }
}

/// Every capitalised single word in backquotes on the worker's page is a reason, or a term of the
/// report or of Kubernetes.
#[test]
fn every_code_that_the_page_of_the_worker_names_has_a_page() {
    const NO_CODES: [&str; 5] = ["Failed", "Sync", "Lookup", "CronJob", "Job"];
    let page = std::fs::read_to_string(root().join("docs/worker.md")).unwrap();
    let mut codes = 0;
    for code in page.split('`').skip(1).step_by(2) {
        let one_word = code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let lower = code.bytes().any(|byte| byte.is_ascii_lowercase());
        if one_word && lower && code.starts_with(|first: char| first.is_ascii_uppercase()) {
            if NO_CODES.contains(&code) {
                continue;
            }
            assert!(Reason::from_code(code).is_some(), "{code} has no page");
            codes += 1;
        }
    }
    assert!(codes > 10, "only {codes} codes were found");
}

/// The description of the resource names the conditions in the order in which Ready summarises
/// them.
#[test]
fn the_resource_names_its_conditions_in_their_order() {
    let page = std::fs::read_to_string(root().join("crds/salesforceintegrations.yaml")).unwrap();
    let order = conditions::ORDER.join(", ");
    assert!(
        page.contains(&format!("{order}, Ready, and Stalled")),
        "{order}"
    );
}

fn entry(page: &mut String, reason: Reason, said: Option<&String>) {
    let _ = writeln!(page, "\n### {reason}\n\n{}", reason.in_words());
    match reason.remedy() {
        Remedy::Act(remedy) => {
            let _ = write!(page, "\n**What to do.** {remedy}\n");
        }
        Remedy::Nothing => {}
    }
    if let Some(when) = reason.tried_again() {
        let _ = write!(page, "\n**Tried again:** {when}.\n");
    }
    if let Some(message) = said {
        let _ = write!(page, "\n```\n{message}\n```\n");
    }
}

/// The messages of the controller in the integration tests, by reason.
fn said() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("tests/docs/said.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
