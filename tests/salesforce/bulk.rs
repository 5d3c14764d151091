//! Tests of bulk queries, from the job to the last row.

use std::time::Duration;

use jiff::SignedDuration;
use salesforce_simulator::{BulkOutcome, BulkSwitches, Effect, Fault, Flood, Simulator};
use serde::Deserialize;
use switchboard::salesforce::{
    Connection, Error, JobRows, JobState, Meaning, Patience, Place, QueryJob,
};

use crate::{USER, acme, connect, connect_with, password, start};

const QUERY: &str = "SELECT Id, LastName, Phone, Account.Name, IsDeleted FROM Contact";

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "LastName")]
    last_name: String,
    #[serde(rename = "Account.Name")]
    account: Option<String>,
    #[serde(rename = "IsDeleted")]
    is_deleted: bool,
}

fn quick() -> Patience {
    Patience {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(5),
        in_all: Duration::from_secs(20),
    }
}

fn set(simulator: &Simulator, change: impl FnOnce(&mut BulkSwitches)) {
    simulator
        .edit(|world| change(&mut world.switches.bulk))
        .unwrap();
}

async fn done(connection: &Connection) -> Result<QueryJob, Error> {
    let job = connection.create_query_job(QUERY, false).await?;
    connection.wait_for_query_job(&job.id, quick()).await
}

async fn all(mut rows: JobRows<Row>) -> Result<Vec<Row>, Error> {
    let mut all = Vec::new();
    while let Some(row) = rows.next().await? {
        all.push(row);
    }
    Ok(all)
}

#[tokio::test]
async fn all_records_come_once_and_cost_a_call_a_page() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    connection.session().await.unwrap();
    let before = simulator.counters().api_calls();
    let job = done(&connection).await.unwrap();
    assert_eq!((job.state, job.records), (JobState::Complete, Some(2_501)));
    let rows = connection.query_job_rows(&job, Place::default());
    let rows = all(rows.rows_of_a_page(1_000)).await.unwrap();
    assert_eq!(rows.len(), 2_501);
    let ids: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), 2_501);
    let neil = rows.iter().find(|row| row.last_name == "O'Neil").unwrap();
    assert_eq!(
        (neil.account.as_deref(), neil.is_deleted),
        (Some("Acme KK"), false)
    );
    connection.end_query_job(&job).await.unwrap();
    // Made, two questions, three pages, deleted.
    assert_eq!(simulator.counters().api_calls() - before, 7);
    assert_eq!(connection.spent().calls, 7);
    assert!(connection.usage().is_some());
    let gone = connection.query_job(&job.id).await.unwrap_err();
    assert_eq!(gone.meaning(), Meaning::CursorExpired);
    connection.end_query_job(&job).await.unwrap();
}

#[tokio::test]
async fn refusals_say_whether_there_is_another_way() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let refused = async || done(&connection).await.unwrap_err().meaning();
    for (code, meaning) in [
        ("INVALIDENTITY", Meaning::BulkUnavailable),
        ("API_ERROR", Meaning::BulkUnavailable),
        ("FEATURENOTENABLED", Meaning::BulkUnavailable),
        ("LIMIT_EXCEEDED", Meaning::BulkLimitExceeded),
        ("REQUEST_LIMIT_EXCEEDED", Meaning::RequestLimitExceeded),
    ] {
        simulator.fault(Fault::error(code).on_path("*/jobs/query").once());
        assert_eq!(refused().await, meaning, "{code}");
    }
    set(&simulator, |bulk| bulk.jobs_a_day = 0);
    assert_eq!(refused().await, Meaning::BulkLimitExceeded);
    set(&simulator, |bulk| {
        bulk.jobs_a_day = 10;
        bulk.kilobytes_a_day = 0;
    });
    assert_eq!(refused().await, Meaning::BulkLimitExceeded);
    simulator.edit_org("Acme", |org| org.bulk = false).unwrap();
    assert_eq!(refused().await, Meaning::BulkUnavailable);
    simulator.edit_org("Acme", |org| org.bulk = true).unwrap();
    let compound = connection
        .create_query_job("SELECT MailingAddress FROM Contact", false)
        .await;
    assert_eq!(compound.unwrap_err().meaning(), Meaning::RequestRejected);
    let old = connect_with(&simulator, password(), "46.0".parse().unwrap());
    let calls = simulator.counters().api_calls();
    assert_eq!(
        done(&old).await.unwrap_err().meaning(),
        Meaning::BulkUnavailable
    );
    assert_eq!(simulator.counters().api_calls(), calls, "nothing is asked");
}

#[tokio::test]
async fn a_job_is_waited_for_through_what_passes() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let on_poll = |fault: Fault| fault.on_path("*/jobs/query/*").once();
    simulator.fault(on_poll(Fault::error("TXN_SECURITY_METERING_ERROR")));
    simulator.fault(on_poll(Fault::status(406)));
    simulator.fault(on_poll(Fault::status(420)));
    simulator.fault(on_poll(Fault::reset()));
    assert_eq!(done(&connection).await.unwrap().state, JobState::Complete);
    // A session that ends while a job runs costs one log-in, not the job.
    let job = connection.create_query_job(QUERY, false).await.unwrap();
    simulator.revoke_all_sessions();
    connection
        .wait_for_query_job(&job.id, quick())
        .await
        .unwrap();
    assert_eq!(simulator.counters().logins_ok(), 2);
    for (outcome, words) in [
        (
            BulkOutcome::Failed("contact support: 123".into()),
            "contact support: 123",
        ),
        (BulkOutcome::FailedSilently, "does not say why"),
        (BulkOutcome::Aborted, "was aborted"),
    ] {
        set(&simulator, |bulk| bulk.outcome = outcome);
        let error = done(&connection).await.unwrap_err();
        assert_eq!(error.meaning(), Meaning::BulkJobFailed);
        assert!(error.message().contains(words), "{error}");
    }
    // It is not waited for without end, and can be ended.
    set(&simulator, |bulk| bulk.outcome = BulkOutcome::Endless);
    let job = connection.create_query_job(QUERY, false).await.unwrap();
    let short = Patience {
        in_all: Duration::from_millis(20),
        ..quick()
    };
    let job = connection.wait_for_query_job(&job.id, short).await.unwrap();
    assert_eq!(job.state, JobState::Running);
    let few = connection.calls_at_most(Some(connection.spent().calls));
    let before = connection.spent().calls;
    let state = few
        .wait_for_query_job(&job.id, quick())
        .await
        .unwrap()
        .state;
    assert_eq!(
        (state, connection.spent().calls - before),
        (JobState::Running, 1)
    );
    connection.end_query_job(&job).await.unwrap();
    assert_eq!(
        connection.query_job(&job.id).await.unwrap_err().meaning(),
        Meaning::CursorExpired
    );
}

#[tokio::test]
async fn rows_come_whole_or_with_an_error() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let job = done(&connection).await.unwrap();
    let read = async |rows: u32| {
        let reading = connection.query_job_rows(&job, Place::default());
        all(reading.rows_of_a_page(rows)).await
    };
    let on_page = |effect| Fault::new(effect).on_path("*/results").once();
    for rows in [1, 700] {
        simulator.fault(on_page(Effect::FewerRows { rows }).after_passing(1));
        let short = read(1_000).await.unwrap_err();
        assert_eq!(short.meaning(), Meaning::BulkJobFailed, "{short}");
    }
    // What breaks off is asked for again.
    simulator.fault(on_page(Effect::Truncated));
    simulator.fault(on_page(Effect::Truncated));
    simulator.fault(
        Fault::status(420)
            .on_path("*/results")
            .after_passing(1)
            .once(),
    );
    assert_eq!(read(1_000).await.unwrap().len(), 2_501);
    // What is no CSV is not read, however much it is.
    simulator.fault(Fault::flood(Flood::Bytes, 100).on_path("*/results").once());
    assert_eq!(
        read(1_000).await.unwrap_err().meaning(),
        Meaning::UnexpectedAnswer
    );
    for (header, whole) in [("sforce-locator", true), ("sforce-numberofrecords", true)] {
        simulator.fault(on_page(Effect::MissingHeader(header.into())));
        assert_eq!(read(5_000).await.is_ok(), whole, "{header}");
    }
    simulator.fault(on_page(Effect::MissingHeader("sforce-locator".into())));
    assert_eq!(
        read(1_000).await.unwrap_err().meaning(),
        Meaning::BulkJobFailed
    );
    simulator.fault(on_page(Effect::MissingHeader("Sforce-Limit-Info".into())));
    assert_eq!(read(5_000).await.unwrap().len(), 2_501);
    // A session that ends between two pages.
    let reading = connection.query_job_rows::<Row>(&job, Place::default());
    let mut reading = reading.rows_of_a_page(1_000);
    for _ in 0..1_500 {
        reading.next().await.unwrap().unwrap();
    }
    simulator.revoke_sessions(USER);
    assert_eq!(all(reading).await.unwrap().len(), 1_001);
}

#[tokio::test]
async fn results_are_kept_for_days_and_then_read_anew() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let job = done(&connection).await.unwrap();
    let reading = connection.query_job_rows::<Row>(&job, Place::default());
    let mut reading = reading.rows_of_a_page(1_000);
    for _ in 0..1_200 {
        reading.next().await.unwrap().unwrap();
    }
    let place = reading.place().clone();
    assert_eq!(place.rows(), 1_200);
    drop(reading);
    // Another process goes on.
    let again = connect(&simulator, password());
    let job = again.query_job(&job.id).await.unwrap();
    let rest = again.query_job_rows::<Row>(&job, place.clone());
    assert_eq!(all(rest.rows_of_a_page(1_000)).await.unwrap().len(), 1_301);
    let other = connect_with(&simulator, password(), "60.0".parse().unwrap());
    let error = all(other.query_job_rows(&job, place.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.meaning(), Meaning::CursorExpired);
    simulator.advance(SignedDuration::from_hours(7 * 24));
    let error = all(again.query_job_rows(&job, place)).await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::CursorExpired);
}

#[tokio::test]
async fn old_versions_and_other_spellings_are_read_alike() {
    let simulator = start(acme()).await;
    for version in ["47.0", "49.0", "50.0", "60.0"] {
        let connection = connect_with(&simulator, password(), version.parse().unwrap());
        set(&simulator, |bulk| {
            bulk.counts_records = version == "49.0";
            bulk.counts_rows = version != "50.0";
            bulk.page_rows = 999;
        });
        let job = done(&connection).await.unwrap();
        let rows = all(connection.query_job_rows(&job, Place::default()))
            .await
            .unwrap();
        assert_eq!(rows.len(), 2_501, "{version}");
        let neil = rows.iter().filter(|row| row.last_name == "O'Neil");
        assert_eq!(neil.count(), 1);
    }
    let connection = connect(&simulator, password());
    for (empty_header, counts_records) in [(true, false), (false, false), (false, true)] {
        set(&simulator, |bulk| {
            (bulk.empty_header, bulk.counts_records) = (empty_header, counts_records);
        });
        let nobody = "SELECT Id FROM Contact WHERE LastName = 'Nobody'";
        let job = connection.create_query_job(nobody, true).await.unwrap();
        let job = connection
            .wait_for_query_job(&job.id, quick())
            .await
            .unwrap();
        let rows = all(connection.query_job_rows(&job, Place::default()))
            .await
            .unwrap();
        assert!(rows.is_empty());
    }
}
