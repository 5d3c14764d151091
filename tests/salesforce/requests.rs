//! Tests of queries, sessions and faults.

use salesforce_simulator::{Effect, Fault};
use serde_json::Value;
use switchboard::salesforce::{Meaning, Subrequest, probe};

use crate::{USER, acme, connect, password, start};

#[tokio::test]
async fn queries_page_and_composites_cost_one_call() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let first = connection
        .query::<Value>("SELECT Id FROM Contact")
        .await
        .unwrap();
    assert_eq!((first.records.len(), first.total_size), (2_000, 2_501));
    let second = connection
        .query_next::<Value>(&first.next.unwrap())
        .await
        .unwrap();
    assert_eq!((second.records.len(), second.next.is_none()), (501, true));
    let plus = connection
        .query::<Value>("SELECT LastName FROM Contact WHERE Phone = '+81312345678'")
        .await
        .unwrap();
    assert_eq!(plus.records[0]["LastName"], "O'Neil");
    let before = simulator.counters().api_calls();
    let answers = connection
        .composite(&[
            Subrequest::query(
                "contacts",
                "SELECT Name FROM Contact WHERE LastName = 'O\\'Neil'",
            ),
            Subrequest::query("nonsense", "SELECT Name FORM Contact"),
        ])
        .await
        .unwrap();
    assert_eq!(answers[0].page::<Value>().unwrap().total_size, 1);
    assert_eq!(
        answers[1].page::<Value>().unwrap_err().meaning(),
        Meaning::RequestRejected
    );
    assert_eq!(simulator.counters().api_calls() - before, 1);
}

#[tokio::test]
async fn a_revoked_session_costs_one_login_whoever_notices() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    probe(&connection, &[]).await.unwrap();
    simulator.revoke_all_sessions();
    let many = (0..20).map(|_| connection.query::<Value>("SELECT Id FROM Contact LIMIT 1"));
    assert!(
        futures::future::join_all(many)
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(simulator.counters().logins_ok(), 2);
    simulator.revoke_all_sessions();
    assert_eq!(
        probe(&connection.without_login(), &[])
            .await
            .unwrap_err()
            .meaning(),
        Meaning::LoginWithheld
    );
    simulator
        .edit_user(USER, |user| user.active = false)
        .unwrap();
    assert_eq!(
        probe(&connection, &[]).await.unwrap_err().meaning(),
        Meaning::InvalidLogin
    );
}

#[tokio::test]
async fn faults_are_repeated_or_named() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let query = || connection.query::<Value>("SELECT Id FROM Contact LIMIT 1");
    query().await.unwrap();
    for fault in [
        Fault::status(503),
        Fault::status(502),
        Fault::reset(),
        Fault::error("UNABLE_TO_LOCK_ROW"),
        Fault::new(Effect::Truncated),
    ] {
        simulator.fault(fault.on_path("*/query*").times(2));
        query().await.unwrap();
    }
    let named = [
        (Fault::html(200), Meaning::UnexpectedAnswer),
        (Fault::new(Effect::Garbage), Meaning::UnexpectedAnswer),
        (
            Fault::new(Effect::Empty { status: 200 }),
            Meaning::UnexpectedAnswer,
        ),
        (
            Fault::new(Effect::GzipBomb { megabytes: 8 }),
            Meaning::UnexpectedAnswer,
        ),
        (
            Fault::new(Effect::Redirect("https://evil.example/".to_owned())),
            Meaning::UnexpectedAnswer,
        ),
        (Fault::delay(5_000), Meaning::Unreachable),
        (Fault::error("QUERY_TIMEOUT"), Meaning::QueryTimeout),
        (Fault::status(420), Meaning::Unreachable),
    ];
    for (fault, meaning) in named {
        simulator.fault(fault.on_path("*/query*"));
        let error = query().await.unwrap_err();
        assert_eq!(error.meaning(), meaning, "{error}");
        simulator.clear_faults();
    }
    query().await.unwrap();
    simulator.set_down(true).await;
    assert_eq!(query().await.unwrap_err().meaning(), Meaning::Unreachable);
    simulator.set_down(false).await;
    query().await.unwrap();
    assert_eq!(simulator.counters().logins_ok(), 1);
}
