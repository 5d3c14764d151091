//! Runs before the first request to Salesforce, and runs that cannot reach it.

use super::bed::Bed;
use crate::directory::model::LookupState;
use crate::run::{Outcome, RunKind, SettingsError};
use crate::shutdown::Shutdown;
use crate::worker::failure::Failure;
use crate::worker::prepare;

/// URL at which nothing listens.
const NOWHERE: &str = "https://localhost:1";

#[tokio::test]
async fn a_run_with_nothing_to_do_succeeds_and_asks_nobody() {
    let bed = Bed::start(NOWHERE).await;
    for kind in [RunKind::Sync, RunKind::Lookup] {
        let report = bed.succeed(kind).await;
        assert_eq!((report.calls, report.numbers, report.api_calls), (0, 0, 0));
    }
}

#[tokio::test]
async fn what_is_no_customers_number_is_settled_with_its_reason_and_never_sent() {
    let bed = Bed::start(NOWHERE).await;
    bed.calls_from(0, &["110", "Anonymous", "#9110", "1001"])
        .await;
    let report = bed.succeed(RunKind::Lookup).await;
    assert_eq!((report.numbers, report.api_calls), (0, 0));
    let history = bed.history().await;
    assert_eq!(history.len(), 4);
    assert!(
        history
            .iter()
            .all(|call| call.lookup != LookupState::Pending),
        "{history:?}"
    );
    assert_eq!(
        history[0].not_looked_up.as_deref(),
        Some("it is an emergency number")
    );
}

#[tokio::test]
async fn without_salesforce_the_run_fails_and_hands_its_calls_back() {
    let mut bed = Bed::start(NOWHERE).await;
    bed.calls_from(0, &["0312345678", "110"]).await;
    let report = bed.run(RunKind::Sync).await;
    assert_eq!(report.outcome, Outcome::Failed);
    let error = report.error.unwrap();
    assert_eq!(error.code, "Unreachable", "{error:?}");
    assert!(!report.login_refused);
    assert_eq!(
        (report.calls, report.numbers),
        (1, 0),
        "the emergency call is settled"
    );
    assert_eq!(bed.history().await[0].lookup, LookupState::Pending);

    // Another worker need not wait until the lease has expired.
    bed.settings["salesforce"]["loginUrl"] = "https://evil.example".into();
    let mut options = bed.options();
    options.holder = Some("another".to_owned());
    let run = prepare(RunKind::Sync, &options).unwrap();
    let report = run.execute(&Shutdown::new()).await;
    assert_eq!(report.error.unwrap().code, "HostNotAllowed");
}

#[tokio::test]
async fn a_run_that_was_told_to_stop_takes_nothing_on() {
    let bed = Bed::start(NOWHERE).await;
    bed.calls_from(0, &["0312345678"]).await;
    let stop = Shutdown::new();
    stop.stop();
    let report = bed.run_until(RunKind::Lookup, &stop).await;
    assert_eq!(report.outcome, Outcome::Interrupted);
    assert_eq!(report.error.unwrap().code, "Interrupted");
    assert_eq!(bed.history().await[0].lookup, LookupState::Pending);
}

#[tokio::test]
async fn a_directory_that_refuses_and_one_that_is_gone_are_told_apart() {
    let mut bed = Bed::start(NOWHERE).await;
    let token = bed.folder().join("token");
    let good = std::fs::read_to_string(&token).unwrap();
    std::fs::write(&token, "not-a-token").unwrap();
    let report = bed.run(RunKind::Sync).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.error.unwrap().code, "DirectoryRefused");

    std::fs::write(&token, good).unwrap();
    bed.stop_directory().await;
    let report = bed.run(RunKind::Sync).await;
    assert_eq!(report.error.unwrap().code, "DirectoryUnavailable");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named() {
    let bed = Bed::start(NOWHERE).await;
    let refused = |options: &_| match prepare(RunKind::Sync, options) {
        Err(Failure::Settings(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the run begins"),
    };
    let mut options = bed.options();
    options.settings = None;
    assert!(matches!(refused(&options), SettingsError::Missing));
    options = bed.options();
    options.credentials_dir = bed.folder().join("nowhere");
    assert!(matches!(refused(&options), SettingsError::File { .. }));
    options = bed.options();
    options.directory_token_file = bed.folder().join("nowhere");
    assert!(matches!(refused(&options), SettingsError::File { .. }));
    options = bed.options();
    options.ca_bundle = Some(bed.folder().join("password"));
    assert!(matches!(refused(&options), SettingsError::Dial(_)));
}
