//! Tests of Bulk API 2.0 queries.

use jiff::SignedDuration;
use reqwest::{Response, StatusCode};
use salesforce_simulator::{BulkOutcome, Effect, Fault, Record};
use serde_json::{Value as Json, json};

use crate::*;

const QUERY: &str = "SELECT Id, LastName, Account.Name, IsDeleted, SystemModstamp FROM \
                     Contact ORDER BY LastName";

async fn ask(
    sim: &Simulator,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Json>,
) -> Response {
    send(sim, token, method, &format!("/services/data/{path}"), body).await
}

async fn create(sim: &Simulator, token: &str, query: &str) -> Response {
    let body = json!({"operation": "query", "query": query});
    ask(sim, token, "POST", "v60.0/jobs/query", Some(body)).await
}

async fn made(sim: &Simulator, token: &str, query: &str) -> String {
    let job: Json = create(sim, token, query).await.json().await.unwrap();
    job["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{job}"))
        .to_owned()
}

async fn state(sim: &Simulator, token: &str, id: &str) -> Json {
    let path = format!("v60.0/jobs/query/{id}");
    ask(sim, token, "GET", &path, None)
        .await
        .json()
        .await
        .unwrap()
}

async fn done(sim: &Simulator, token: &str, query: &str) -> String {
    let id = made(sim, token, query).await;
    while state(sim, token, &id).await["state"] != "JobComplete" {}
    id
}

async fn page(sim: &Simulator, token: &str, id: &str, parameters: &str) -> Response {
    let path = format!("v60.0/jobs/query/{id}/results?{parameters}");
    ask(sim, token, "GET", &path, None).await
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// Status, code and message of a refusal.
async fn refusal(response: Response) -> (StatusCode, String, String) {
    let status = response.status();
    let body: Json = response.json().await.unwrap();
    let text = |name: &str| body[0][name].as_str().unwrap_or_default().to_owned();
    (status, text("errorCode"), text("message"))
}

#[tokio::test]
async fn a_job_goes_through_its_states_and_brings_quoted_rows() {
    let sim = start().await;
    sim.edit_org("Acme", |org| {
        let at = "2026-11-23T10:35:14Z".parse().unwrap();
        let mut edit = org.at(at);
        let name = "Kato \"K\"\nof Osaka, Ltd.";
        edit.insert("Contact", Record::person(name)).unwrap();
    })
    .unwrap();
    let token = session(&sim).await;
    let before = sim.used("Acme").unwrap();
    let job: Json = create(&sim, &token, QUERY).await.json().await.unwrap();
    assert_eq!(
        (&job["state"], &job["object"], &job["apiVersion"]),
        (&json!("UploadComplete"), &json!("Contact"), &json!(60.0))
    );
    assert!(job["createdDate"].as_str().unwrap().ends_with("+0000"));
    let id = job["id"].as_str().unwrap();
    assert!(id.starts_with("750") && id.len() == 18, "{id}");
    assert_eq!(state(&sim, &token, id).await["state"], "InProgress");
    let (status, code, _) = refusal(page(&sim, &token, id, "").await).await;
    assert_eq!((status.as_u16(), code.as_str()), (400, "INVALIDJOBSTATE"));
    // What changes after the query ran is not in its results.
    sim.edit_org("Acme", |org| {
        org.at("2026-11-23T10:36:00Z".parse().unwrap())
            .insert("Contact", Record::person("Later"))
            .unwrap();
    })
    .unwrap();
    let ended = state(&sim, &token, id).await;
    assert_eq!(
        (
            &ended["state"],
            &ended["numberRecordsProcessed"],
            &ended["jobType"]
        ),
        (&json!("JobComplete"), &json!(2), &json!("V2Query"))
    );
    let results = page(&sim, &token, id, "").await;
    assert_eq!(header(&results, "content-type"), "text/csv");
    assert_eq!(
        (
            header(&results, "sforce-numberofrecords"),
            header(&results, "sforce-locator")
        ),
        ("2", "null")
    );
    let text = results.text().await.unwrap();
    let head = "\"Id\",\"LastName\",\"Account.Name\",\"IsDeleted\",\"SystemModstamp\"\n";
    assert!(text.starts_with(head), "{text}");
    let kato = "\"Kato \"\"K\"\"\nof Osaka, Ltd.\",\"\",\"false\",\"2026-11-23T10:35:14.000Z\"\n";
    assert!(text.contains(kato), "{text}");
    assert!(text.contains("\"Sato\",\"Acme KK\","), "{text}");
    assert_eq!(
        sim.used("Acme").unwrap() - before,
        5,
        "each request is a call"
    );

    sim.edit(|world| world.switches.bulk.zulu = false).unwrap();
    let again = done(&sim, &token, QUERY).await;
    let text = page(&sim, &token, &again, "").await.text().await.unwrap();
    assert!(text.contains("\"2026-11-23T10:35:14.000+0000\""), "{text}");
}

#[tokio::test]
async fn results_come_in_pages_by_locator() {
    let sim = start().await;
    sim.edit_org("Acme", |org| {
        let mut edit = org.at("2026-11-23T10:35:14Z".parse().unwrap());
        for number in 0..24 {
            edit.insert("Contact", Record::person(&format!("N{number:02}")))
                .unwrap();
        }
    })
    .unwrap();
    let token = session(&sim).await;
    let id = done(
        &sim,
        &token,
        "SELECT LastName FROM Contact ORDER BY LastName",
    )
    .await;
    let mut seen = String::new();
    let mut locator = String::new();
    let mut counts = Vec::new();
    while locator != "null" {
        let parameters = format!("maxRecords=10&locator={locator}");
        let results = page(&sim, &token, &id, &parameters).await;
        counts.push(header(&results, "sforce-numberofrecords").to_owned());
        locator = header(&results, "sforce-locator").to_owned();
        let text = results.text().await.unwrap();
        seen.push_str(text.strip_prefix("\"LastName\"\n").unwrap());
    }
    assert_eq!(counts, ["10", "10", "5"]);
    assert_eq!(seen.lines().count(), 25);
    // It may be read again, packed.
    let packed = client(&sim)
        .get(format!(
            "{}/services/data/v60.0/jobs/query/{id}/results?locator=MTA",
            sim.url()
        ))
        .header("Accept-Encoding", "gzip")
        .bearer_auth(&token);
    let packed = packed.send().await.unwrap();
    assert_eq!(header(&packed, "sforce-numberofrecords"), "15");
    assert_eq!(packed.text().await.unwrap().lines().count(), 16);
    for wrong in ["locator=MTAw", "locator=10", "locator=!"] {
        let (status, code, _) = refusal(page(&sim, &token, &id, wrong).await).await;
        assert_eq!(
            (status.as_u16(), code.as_str()),
            (400, "INVALID_QUERY_LOCATOR"),
            "{wrong}"
        );
    }
    // Fewer rows than the headers say.
    sim.fault(
        Fault::new(Effect::FewerRows { rows: 4 })
            .on_path("*/results")
            .once(),
    );
    let short = page(&sim, &token, &id, "").await;
    assert_eq!(header(&short, "sforce-numberofrecords"), "25");
    assert_eq!(short.text().await.unwrap().lines().count(), 22);
    sim.edit(|world| world.switches.bulk.locator_life = Some(SignedDuration::from_mins(5)))
        .unwrap();
    sim.advance(SignedDuration::from_mins(6));
    assert_eq!(page(&sim, &token, &id, "locator=MTA").await.status(), 400);
    assert_eq!(page(&sim, &token, &id, "").await.status(), 200);
    sim.advance(SignedDuration::from_hours(7 * 24));
    let token = session(&sim).await;
    let gone = refusal(page(&sim, &token, &id, "").await).await;
    assert_eq!((gone.0.as_u16(), gone.1.as_str()), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn old_versions_sort_columns_and_no_other_version_reads_a_job() {
    let sim = start().await;
    let token = session(&sim).await;
    let body = json!({"operation": "queryAll", "query": "SELECT Phone, LastName, Id FROM Contact",
        "columnDelimiter": "PIPE", "lineEnding": "CRLF"});
    let job = ask(&sim, &token, "POST", "v49.0/jobs/query", Some(body)).await;
    let job: Json = job.json().await.unwrap();
    assert_eq!(job["operation"], "queryAll");
    let path = format!("v49.0/jobs/query/{}", job["id"].as_str().unwrap());
    while ask(&sim, &token, "GET", &path, None)
        .await
        .json::<Json>()
        .await
        .unwrap()["state"]
        != "JobComplete"
    {}
    let results = format!("{path}/results");
    let text = ask(&sim, &token, "GET", &results, None)
        .await
        .text()
        .await
        .unwrap();
    assert!(
        text.starts_with("\"Id\"|\"LastName\"|\"Phone\"\r\n"),
        "{text}"
    );
    let other = ask(&sim, &token, "GET", &results.replace("v49", "v50"), None).await;
    assert_eq!(other.status(), 409);
    assert_eq!(
        ask(&sim, &token, "GET", "v46.0/jobs/query", None)
            .await
            .status(),
        404
    );
}

#[tokio::test]
async fn jobs_are_listed_aborted_and_deleted() {
    let sim = start().await;
    let token = session(&sim).await;
    let id = made(&sim, &token, QUERY).await;
    let path = format!("v60.0/jobs/query/{id}");
    let abort = || async {
        let body = Some(json!({"state": "Aborted"}));
        ask(&sim, &token, "PATCH", &path, body).await
    };
    let list: Json = ask(
        &sim,
        &token,
        "GET",
        "v60.0/jobs/query?jobType=V2Query",
        None,
    )
    .await
    .json()
    .await
    .unwrap();
    assert_eq!(list["records"][0]["id"], id.as_str());
    let other = login(&sim, "admin@acme.example", "a").await;
    assert_eq!(ask(&sim, &other, "GET", &path, None).await.status(), 404);
    state(&sim, &token, &id).await;
    let running = ask(&sim, &token, "DELETE", &path, None).await;
    assert_eq!(refusal(running).await.1, "INVALIDJOBSTATE");
    assert_eq!(
        abort().await.json::<Json>().await.unwrap()["state"],
        "Aborted"
    );
    assert_eq!(refusal(abort().await).await.1, "INVALIDJOBSTATE");
    assert_eq!(ask(&sim, &token, "DELETE", &path, None).await.status(), 204);
    assert_eq!(ask(&sim, &token, "GET", &path, None).await.status(), 404);
}

#[tokio::test]
async fn what_no_bulk_query_can_do_is_refused() {
    let sim = start().await;
    let token = session(&sim).await;
    for (query, code, words) in [
        (
            "SELECT MailingAddress FROM Contact",
            "FUNCTIONALITY_NOT_ENABLED",
            "compound data",
        ),
        (
            "SELECT COUNT() FROM Contact",
            "FUNCTIONALITY_NOT_ENABLED",
            "Aggregate",
        ),
        (
            "SELECT Id FROM Contact OFFSET 5",
            "FUNCTIONALITY_NOT_ENABLED",
            "Offset",
        ),
        (
            "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
            "FUNCTIONALITY_NOT_ENABLED",
            "Nested",
        ),
        (
            "SELECT Id FORM Contact",
            "MALFORMED_QUERY",
            "unexpected token",
        ),
        (
            "SELECT Fax99 FROM Contact",
            "INVALID_FIELD",
            "No such column",
        ),
    ] {
        let (status, got, message) = refusal(create(&sim, &token, query).await).await;
        assert_eq!((status.as_u16(), got.as_str()), (400, code), "{query}");
        assert!(message.contains(words), "{message}");
    }
    let set = |change: fn(&mut salesforce_simulator::BulkSwitches)| {
        sim.edit(|world| change(&mut world.switches.bulk)).unwrap();
    };
    set(|bulk| bulk.unsupported.push("Contact".into()));
    assert_eq!(
        refusal(create(&sim, &token, QUERY).await).await.1,
        "INVALIDENTITY"
    );
    set(|bulk| {
        bulk.unsupported.clear();
        bulk.jobs_a_day = 1;
    });
    assert!(create(&sim, &token, QUERY).await.status().is_success());
    let (_, code, message) = refusal(create(&sim, &token, QUERY).await).await;
    assert_eq!(code, "LIMIT_EXCEEDED");
    assert_eq!(
        message,
        "Max bulk v2 query jobs (1) per 24 hrs has been reached (1)"
    );
    sim.advance(SignedDuration::from_hours(25));
    let token = session(&sim).await;
    set(|bulk| bulk.kilobytes_a_day = 0);
    let (_, _, message) = refusal(create(&sim, &token, QUERY).await).await;
    assert!(
        message.ends_with("kb per 24 hrs has been exceeded"),
        "{message}"
    );
    sim.edit_org("Acme", |org| org.bulk = false).unwrap();
    assert_eq!(
        refusal(create(&sim, &token, QUERY).await).await.1,
        "FEATURENOTENABLED"
    );
}

#[tokio::test]
async fn jobs_end_as_the_switch_says() {
    let sim = start().await;
    let token = session(&sim).await;
    for (outcome, state_name, text) in [
        (
            BulkOutcome::Failed("retried".into()),
            "Failed",
            json!("retried"),
        ),
        (BulkOutcome::FailedSilently, "Failed", Json::Null),
        (BulkOutcome::Aborted, "Aborted", Json::Null),
        (BulkOutcome::Endless, "InProgress", Json::Null),
    ] {
        sim.edit(|world| world.switches.bulk.outcome = outcome)
            .unwrap();
        let id = made(&sim, &token, QUERY).await;
        state(&sim, &token, &id).await;
        let ended = state(&sim, &token, &id).await;
        assert_eq!(
            (&ended["state"], &ended["errorMessage"]),
            (&json!(state_name), &text)
        );
        assert_eq!(page(&sim, &token, &id, "").await.status(), 400);
    }
    sim.fault(
        Fault::error("TXN_SECURITY_METERING_ERROR")
            .on_path("*/jobs/query/*")
            .once(),
    );
    let refused = ask(&sim, &token, "GET", "v60.0/jobs/query/750", None).await;
    assert_eq!(refusal(refused).await.1, "TXN_SECURITY_METERING_ERROR");
}

#[tokio::test]
async fn nothing_found_is_a_header_or_nothing() {
    let sim = start().await;
    let token = session(&sim).await;
    let id = done(
        &sim,
        &token,
        "SELECT Id FROM Contact WHERE LastName = 'Nobody'",
    )
    .await;
    assert_eq!(
        page(&sim, &token, &id, "").await.text().await.unwrap(),
        "\"Id\"\n"
    );
    sim.edit(|world| world.switches.bulk.empty_header = false)
        .unwrap();
    let none = page(&sim, &token, &id, "").await;
    assert_eq!(header(&none, "sforce-numberofrecords"), "0");
    assert_eq!(none.text().await.unwrap(), "");
}
