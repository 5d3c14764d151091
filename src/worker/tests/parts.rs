//! Runs in which one question of a composite request fails: its numbers are never taken for unknown
//! to Salesforce.

use salesforce_simulator::{Fault, Org, Record, User};

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use crate::directory::model::LookupState;
use crate::run::{Outcome, RunKind};

async fn bed() -> (Bed, Played) {
    let user = User::integration(USER)
        .password(PASSWORD)
        .token(SECURITY_TOKEN);
    let sato = Record::person("Sato").phone("03-1234-5678");
    let played = Played::start(Org::enterprise("acme").user(user).contact(sato)).await;
    let mut bed = Bed::start(&played.url()).await;
    let ca = bed.folder().join("ca.pem");
    std::fs::write(&ca, played.ca_pem()).unwrap();
    bed.ca_bundle = Some(ca);
    bed.calls_from(0, &["0312345678", "0399999999"]).await;
    (bed, played)
}

#[tokio::test]
async fn a_question_that_fails_once_is_asked_again_and_finds_its_numbers() {
    for fault in [
        Fault::part(0, 500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"),
        Fault::part(0, 503, "SERVER_UNAVAILABLE", "Server is unavailable"),
        Fault::part(0, 401, "INVALID_SESSION_ID", "Session expired or invalid"),
    ] {
        let (bed, played) = bed().await;
        played.fault(fault.once());
        let report = bed.succeed(RunKind::Sync).await;
        assert_eq!((report.matched.contact, report.unmatched), (1, 1));
        let names: Vec<_> = bed
            .history()
            .await
            .into_iter()
            .map(|call| call.contact.and_then(|contact| contact.person_name))
            .collect();
        assert_eq!(names, [Some("Sato".to_owned()), None]);
    }
}

#[tokio::test]
async fn a_run_whose_quota_ends_inside_an_answer_stops_and_marks_nothing_as_unknown() {
    let (bed, played) = bed().await;
    let message = "TotalRequests Limit exceeded.";
    played.fault(Fault::part(1, 403, "REQUEST_LIMIT_EXCEEDED", message));
    let report = bed.run(RunKind::Sync).await;
    assert_ne!(report.outcome, Outcome::Succeeded);
    assert_eq!(report.error.unwrap().code, "RequestLimitExceeded");
    assert_eq!((report.unmatched, report.written), (0, 0));
    let history = bed.history().await;
    assert!(
        history.iter().all(|call| call.lookup != LookupState::Done),
        "{history:?}"
    );
}
