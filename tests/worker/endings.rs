//! Tests of all endings of a run, by exit code and report.

use salesforce_simulator::Fault;
use switchboard::directory::model::LookupState;
use switchboard::run::Outcome;

use crate::bed::{Bed, after_calls, contacts, numbers};

async fn open(bed: &Bed) -> usize {
    let pending = |state: LookupState| state == LookupState::Pending;
    let history = bed.history().await;
    history.iter().filter(|call| pending(call.lookup)).count()
}

/// A tenant with 300 calls and short URLs, so that a run has about twenty requests.
async fn bed(latency_ms: u64) -> Bed {
    let numbers = numbers(300);
    let mut bed = Bed::start(contacts(&numbers), latency_ms).await;
    bed.settings["urlLength"] = serde_json::json!({"bytes": 3_900, "refused": 4_000});
    bed.calls_from(&numbers).await;
    bed
}

/// Checks that the next run finishes the work.
async fn finishes(bed: &Bed) {
    let ended = bed.run("sync").await;
    assert_eq!(ended.code, Some(0), "{:?}", ended.report);
    assert_eq!(open(bed).await, 0);
    let history = bed.history().await;
    let named = history.iter().filter(|call| call.contact.is_some()).count();
    assert_eq!(named, 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_the_request_in_flight_and_hands_the_rest_back() {
    let bed = bed(50).await;
    let child = bed.spawn("sync");
    after_calls(&bed.salesforce, 2).await;
    let pid = child.id().unwrap().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .unwrap();
    let ended = bed.ended(child).await;
    let report = ended.report.unwrap();
    assert_eq!(
        (ended.code, report.outcome),
        (Some(4), Outcome::Interrupted)
    );
    assert!(report.numbers > 0 && report.numbers < 300, "{report:?}");
    assert_eq!(open(&bed).await as u64, 300 - report.calls);
    finishes(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_is_replaced_once() {
    let bed = bed(20).await;
    let child = bed.spawn("sync");
    after_calls(&bed.salesforce, 3).await;
    bed.salesforce.revoke_all_sessions();
    let ended = bed.ended(child).await;
    assert_eq!(ended.code, Some(0), "{:?}", ended.report);
    assert_eq!(bed.salesforce.counters().logins.len(), 2);
    assert_eq!(open(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_that_is_used_up_ends_with_3_and_keeps_what_was_found() {
    let mut bed = bed(0).await;
    bed.settings["maxApiCalls"] = 5.into();
    let ended = bed.run("sync").await;
    let report = ended.report.unwrap();
    assert_eq!(
        (ended.code, report.outcome),
        (Some(3), Outcome::BudgetExhausted)
    );
    assert_eq!(
        (report.api_calls, bed.salesforce.counters().api_calls()),
        (5, 5)
    );
    assert_eq!(open(&bed).await as u64, 300 - report.calls);
    bed.settings["maxApiCalls"] = serde_json::Value::Null;
    finishes(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_without_calls_left_ends_with_1_and_the_next_run_goes_on() {
    let bed = bed(0).await;
    let fault = Fault::error("REQUEST_LIMIT_EXCEEDED").on_path("*/composite");
    bed.salesforce.fault(fault.after_passing(4));
    let ended = bed.run("sync").await;
    let report = ended.report.unwrap();
    assert_eq!((ended.code, report.outcome), (Some(1), Outcome::Failed));
    assert_eq!(report.error.unwrap().code.as_str(), "RequestLimitExceeded");
    assert!(report.numbers > 0 && !report.login_refused);
    bed.salesforce.clear_faults();
    finishes(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforce_down_for_a_while_ends_with_1_and_the_next_run_goes_on() {
    let bed = bed(0).await;
    let fault = Fault::status(503).on_path("*/composite").after_passing(4);
    bed.salesforce.fault(fault);
    let ended = bed.run("sync").await;
    let report = ended.report.unwrap();
    assert_eq!((ended.code, report.outcome), (Some(1), Outcome::Failed));
    assert!(report.numbers > 0, "{report:?}");
    assert_eq!(open(&bed).await as u64, 300 - report.calls);
    bed.salesforce.clear_faults();
    finishes(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_used_end_with_2() {
    let mut bed = bed(0).await;
    bed.settings["version"] = "v9".into();
    let ended = bed.run("sync").await;
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.report.unwrap().error.unwrap().code.as_str(),
        "SettingsInvalid"
    );
    assert_eq!(open(&bed).await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_again_and_again_costs_no_more_than_the_allowance() {
    let mut bed = bed(0).await;
    bed.settings["maxApiCalls"] = 2.into();
    bed.salesforce
        .fault(Fault::status(503).on_path("*/composite"));
    let ended = bed.run("sync").await;
    assert_eq!(ended.code, Some(1), "{:?}", ended.report);
    let asked = bed.salesforce.requests();
    let asked = asked
        .iter()
        .filter(|asked| asked.path.ends_with("/composite"));
    assert_eq!(
        asked.count(),
        2,
        "three more would be tried without an allowance"
    );
    bed.salesforce.clear_faults();
    bed.settings["maxApiCalls"] = serde_json::Value::Null;
    finishes(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_allowance_nobody_logs_in() {
    let mut bed = bed(0).await;
    bed.settings["maxApiCalls"] = 0.into();
    let ended = bed.run("sync").await;
    assert_eq!(ended.code, Some(3), "{:?}", ended.report);
    assert_eq!(bed.salesforce.counters().logins.len(), 0);
    assert_eq!(open(&bed).await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_goes_away_ends_with_1_and_the_next_run_goes_on() {
    let mut bed = bed(50).await;
    let child = bed.spawn("sync");
    after_calls(&bed.salesforce, 3).await;
    bed.stop_directory().await;
    let ended = bed.ended(child).await;
    let report = ended.report.unwrap();
    assert_eq!((ended.code, report.outcome), (Some(1), Outcome::Failed));
    assert_eq!(report.error.unwrap().code.as_str(), "DirectoryUnavailable");
    assert!(report.numbers < 300);
    bed.start_directory().await;
    finishes(&bed).await;
}
