//! Tests of results that break off, lie, or do not end.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::json;

use super::http::{rest_error, salesforce};
use super::{Asked, Played, Reply, password};
use crate::salesforce::answers::error::Error;
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::connection::retry::RetryPolicy;
use crate::salesforce::rest::bulk::{JobState, Place, QueryJob};

const ID: &str = "7500000000000001AA";

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "Id")]
    id: u32,
}

fn rows(range: std::ops::Range<u32>) -> String {
    let lines = range.map(|id| format!("\"{id}\",\"line\nbreak\"\n"));
    format!("\"Id\",\"Name\"\n{}", lines.collect::<String>())
}

fn results(body: impl Into<Vec<u8>>, count: u32, locator: &str) -> Reply {
    Reply::Answer {
        status: 200,
        headers: vec![("Content-Type".to_owned(), "text/csv".to_owned())],
        body: body.into(),
    }
    .with("Sforce-NumberOfRecords", &count.to_string())
    .with("Sforce-Locator", locator)
}

/// A page of which only so many bytes come.
fn broken(body: &str, bytes: usize) -> Reply {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nSforce-NumberOfRecords: 100\r\nSforce-Locator: null\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Reply::Raw([head.as_bytes(), &body.as_bytes()[..bytes]].concat())
}

fn job(records: Option<u64>) -> QueryJob {
    QueryJob::complete(ID.parse().unwrap(), records)
}

/// Reads all rows of a job: their numbers, where reading ended, and how.
async fn read(played: &Played, records: Option<u64>) -> (Vec<u32>, Place, Result<(), Error>) {
    let connection = played.connection(password());
    let mut reading = connection.query_job_rows::<Row>(&job(records), Place::default());
    let mut seen = Vec::new();
    let ended = loop {
        match reading.next().await {
            Ok(Some(row)) => seen.push(row.id),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (seen, reading.place().clone(), ended)
}

async fn serve(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Played {
    salesforce(answer).await
}

#[tokio::test]
async fn a_page_that_breaks_off_is_asked_for_again_and_nothing_comes_twice() {
    let text = rows(0..100);
    let cuts = [text.len() / 2, text.len() - 1, 40];
    let played = serve(move |_, before| match cuts.get(before) {
        Some(cut) => broken(&text, *cut),
        None => results(text.clone(), 100, "null"),
    })
    .await;
    let (seen, place, ended) = read(&played, Some(100)).await;
    ended.unwrap();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    assert_eq!(
        (place.rows(), played.count("/services/data/v50.0/jobs")),
        (100, 4)
    );
}

#[tokio::test]
async fn rows_are_handed_on_before_their_page_is_whole() {
    let text = rows(0..100);
    let half = text.len() / 2;
    let played = serve(move |_, _| broken(&text, half)).await;
    let connection = played.connection(password()).retry(RetryPolicy::NONE);
    let mut reading = connection.query_job_rows::<Row>(&job(None), Place::default());
    let mut seen = 0;
    let error = loop {
        match reading.next().await {
            Ok(row) => assert_eq!(row.unwrap().id, seen),
            Err(error) => break error,
        }
        seen += 1;
    };
    assert_eq!(error.meaning(), Meaning::Unreachable, "{error}");
    assert!((40..60).contains(&seen), "{seen}");
    assert_eq!(reading.place().rows(), u64::from(seen));
}

#[tokio::test]
async fn reading_goes_on_where_it_ended() {
    let played = serve(|asked, _| match asked.path.split("locator=").nth(1) {
        None => results(rows(0..10), 10, "MTA"),
        Some("MTA") => results(rows(10..20), 10, "M%2f+="),
        Some("M%252f%2B%3D") => results(rows(20..25), 5, "null"),
        Some(_) => rest_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    })
    .await;
    let connection = played.connection(password());
    for stop in 0..=25_u32 {
        let mut reading = connection.query_job_rows::<Row>(&job(Some(25)), Place::default());
        for id in 0..stop {
            assert_eq!(reading.next().await.unwrap().unwrap().id, id);
        }
        let place = serde_json::to_string(reading.place()).unwrap();
        let place: Place = serde_json::from_str(&place).unwrap();
        assert_eq!(place.rows(), u64::from(stop));
        let mut reading = connection.query_job_rows::<Row>(&job(Some(25)), place);
        for id in stop..25 {
            assert_eq!(reading.next().await.unwrap().unwrap().id, id);
        }
        assert!(reading.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_short_result_is_never_a_success() {
    let text = rows(0..10);
    let cut = &text[..text.len() - 3];
    for (reply, records, words) in [
        (results(rows(0..7), 10, "null"), None, "10 rows brought 7"),
        (
            results(rows(0..10), 10, "null"),
            Some(11),
            "10 rows came of 11",
        ),
        (
            results(rows(0..10), 10, "null"),
            Some(9),
            "10 rows came of 9",
        ),
        (results(cut, 10, "null"), Some(10), "breaks off"),
        (
            Reply::text(200, "text/csv", rows(0..10)),
            None,
            "whether a page was the last",
        ),
        (
            Reply::text(200, "text/csv", rows(0..10)),
            Some(11),
            "10 rows came of 11",
        ),
        (
            Reply::text(204, "text/csv", ""),
            Some(11),
            "0 rows came of 11",
        ),
        (results(rows(0..0), 0, "MTA"), None, "leads nowhere"),
    ] {
        let played = serve(move |_, _| reply.clone()).await;
        let (_, _, ended) = read(&played, records).await;
        let error = ended.unwrap_err();
        assert_eq!(error.meaning(), Meaning::BulkJobFailed, "{words}: {error}");
        assert!(error.message().contains(words), "{error}");
    }
    // A page that leads back to itself.
    let played = serve(|_, _| results(rows(0..10), 10, "MTA")).await;
    let (seen, _, ended) = read(&played, None).await;
    assert_eq!(
        (seen.len(), ended.unwrap_err().meaning()),
        (20, Meaning::BulkJobFailed)
    );
    // What is whole is a success, whatever the headers leave out.
    for (reply, records) in [
        (results(rows(0..10), 10, "null"), None),
        (Reply::text(200, "text/csv", rows(0..10)), Some(10)),
        (
            Reply::text(200, "text/csv", rows(0..10)).with("Sforce-Locator", "null"),
            None,
        ),
    ] {
        let played = serve(move |_, _| reply.clone()).await;
        let (seen, _, ended) = read(&played, records).await;
        ended.unwrap();
        assert_eq!(seen.len(), 10);
    }
    let played = serve(|_, _| rest_error(500, "UNKNOWN_EXCEPTION", "")).await;
    let (seen, _, ended) = read(&played, Some(0)).await;
    ended.unwrap();
    assert_eq!((seen.len(), played.count("/services/data")), (0, 0));
}

#[tokio::test]
async fn results_have_bounds_packed_and_unpacked() {
    let pack = |text: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    };
    let packed = pack(rows(0..1_000).as_bytes());
    let reply = results(packed, 1_000, "null").with("Content-Encoding", "gzip");
    let (seen, _, ended) = read(&serve(move |_, _| reply.clone()).await, Some(1_000)).await;
    ended.unwrap();
    assert_eq!(seen.len(), 1_000);

    // Rows without end; the tests allow a megabyte.
    let many = rows(0..200_000);
    for (reply, words) in [
        (
            results(many.clone(), 200_000, "null"),
            "sent more than 1048576 bytes",
        ),
        (
            results(pack(many.as_bytes()), 200_000, "null").with("Content-Encoding", "gzip"),
            "sent more than 1048576 bytes",
        ),
        (
            results(format!("\"Id\"\n\"{}", "x".repeat(400_000)), 1, "null"),
            "a row has more than",
        ),
        (
            results("\"Name\"\n\"1\"\n", 1, "null"),
            "row 1 of the page is not of the shape",
        ),
        (
            results("\"Id\"\n\"secret one\"\n", 1, "null"),
            "row 1 of the page is not of the shape",
        ),
        (
            Reply::text(200, "text/html", "<html>Log in</html>"),
            "something else than CSV",
        ),
    ] {
        let played = serve(move |_, _| reply.clone()).await;
        let error = read(&played, None).await.2.unwrap_err();
        assert_eq!(error.meaning(), Meaning::UnexpectedAnswer, "{error}");
        assert!(error.message().contains(words), "{words}: {error}");
        assert!(!error.message().contains("secret"), "{error}");
        assert_eq!(played.count("/services/data"), 1, "{words}");
    }
}

#[tokio::test]
async fn a_body_that_drips_has_an_end() {
    let played = serve(|_, _| Reply::Drip).await;
    let error = read(&played, None).await.2.unwrap_err();
    assert_eq!(error.meaning(), Meaning::Unreachable, "{error}");
    assert!(
        error
            .message()
            .contains("did not finish its answer within 0.9 s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_job_or_a_locator_that_is_gone_means_anew() {
    for reply in [
        rest_error(404, "NOT_FOUND", "The requested resource does not exist"),
        rest_error(409, "INVALIDVERSION", "another version"),
        Reply::text(409, "text/plain", ""),
        rest_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    ] {
        let played = serve(move |_, _| reply.clone()).await;
        let error = read(&played, None).await.2.unwrap_err();
        assert_eq!(error.meaning(), Meaning::CursorExpired, "{error}");
        let error = played
            .connection(password())
            .query_job(&ID.parse().unwrap())
            .await;
        assert_eq!(error.unwrap_err().meaning(), Meaning::CursorExpired);
    }
}

#[tokio::test]
async fn a_new_job_is_asked_for_as_the_interface_wants_it() {
    let played = serve(|_, _| {
        Reply::json(
            200,
            json!({"id": ID, "state": "UploadComplete", "apiVersion": 50.0}),
        )
    })
    .await;
    let connection = played.connection(password());
    let job = connection
        .create_query_job("SELECT Id FROM Lead", true)
        .await
        .unwrap();
    assert_eq!(job.state, JobState::Running);
    let asked = played.asked().pop().unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/services/data/v50.0/jobs/query")
    );
    assert!(asked.header("content-type").starts_with("application/json"));
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        body,
        json!({"operation": "queryAll", "query": "SELECT Id FROM Lead"})
    );
    connection.end_query_job(&job).await.unwrap();
    let methods: Vec<String> = played
        .asked()
        .into_iter()
        .map(|asked| asked.method)
        .collect();
    assert_eq!(methods[methods.len() - 2..], ["PATCH", "DELETE"]);
}
