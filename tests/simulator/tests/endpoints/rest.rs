//! Tests of the REST API.

use jiff::SignedDuration;
use reqwest::Response;
use salesforce_simulator::Record;
use serde_json::{Value as Json, json};

use crate::*;

#[tokio::test]
async fn the_daily_allocation_is_told_and_ends() {
    let sim = start().await;
    let token = session(&sim).await;
    sim.edit_org("Acme", |org| org.daily_limit = Some(3))
        .unwrap();
    let limit = |response: &Response| {
        response.headers()["sforce-limit-info"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(limit(&get(&sim, &token, "sobjects").await), "api-usage=1/3");
    assert_eq!(limit(&get(&sim, &token, "nope").await), "api-usage=2/3");
    get(&sim, &token, "sobjects").await;
    let over = get(&sim, &token, "sobjects").await;
    assert_eq!(
        (over.status().as_u16(), limit(&over).as_str()),
        (403, "api-usage=3/3")
    );
    let body: Json = over.json().await.unwrap();
    assert_eq!(
        body,
        json!([{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
    );
    let versions = client(&sim)
        .get(format!("{}/services/data/", sim.url()))
        .send()
        .await
        .unwrap();
    assert!(versions.headers().get("sforce-limit-info").is_none());
    let versions: Json = versions.json().await.unwrap();
    assert!(versions.as_array().unwrap().contains(
        &json!({"label": "Winter '21", "url": "/services/data/v50.0", "version": "50.0"})
    ));
    sim.advance(SignedDuration::from_hours(24) + SignedDuration::from_mins(1));
    let token = session(&sim).await;
    assert_eq!(get(&sim, &token, "sobjects").await.status(), 200);
}

#[tokio::test]
async fn pages_follow_one_another_and_each_is_a_call() {
    let sim = start().await;
    let many = (0..4_500).map(|n| Record::person("X").phone(&format!("0{n}")));
    sim.edit_org("Acme", |org| {
        many.for_each(|record| drop(org.insert("Contact", record).unwrap()))
    })
    .unwrap();
    let token = session(&sim).await;
    let (_, first) = query(&sim, &token, "SELECT Id FROM Contact").await;
    assert_eq!(first["totalSize"], 4_501);
    assert_eq!(first["done"], false);
    assert_eq!(first["records"].as_array().unwrap().len(), 2_000);
    let next = first["nextRecordsUrl"].as_str().unwrap().to_owned();
    assert!(
        next.starts_with("/services/data/v50.0/query/01g") && next.ends_with("-2000"),
        "{next}"
    );
    let fetch = async |path: String| -> Json {
        client(&sim)
            .get(format!("{}{path}", sim.url()))
            .bearer_auth(&token)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let second = fetch(next.clone()).await;
    let third = fetch(second["nextRecordsUrl"].as_str().unwrap().to_owned()).await;
    assert_eq!(
        (
            third["done"].as_bool(),
            third["records"].as_array().unwrap().len()
        ),
        (Some(true), 501)
    );
    assert!(third.get("nextRecordsUrl").is_none());
    assert_eq!(sim.counters().api_calls(), 3);
    sim.advance(SignedDuration::from_hours(49));
    let token = session(&sim).await;
    let late = client(&sim)
        .get(format!("{}{next}", sim.url()))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(
        late.json::<Json>().await.unwrap()[0]["errorCode"],
        "INVALID_QUERY_LOCATOR"
    );
}

#[tokio::test]
async fn a_composite_is_one_call_and_a_batch_is_many() {
    let sim = start().await;
    let token = session(&sim).await;
    let post = async |path: &str, body: Json| -> (u16, Json) {
        let url = format!("{}/services/data/v50.0/{path}", sim.url());
        let response = client(&sim)
            .post(url)
            .bearer_auth(&token)
            .json(&body)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let sub = |id: &str, soql: &str| {
        let q: String = url::form_urlencoded::byte_serialize(soql.as_bytes()).collect();
        json!({"method": "GET", "url": format!("/services/data/v50.0/query?q={q}"), "referenceId": id})
    };
    let three = json!({"compositeRequest": [
        sub("contacts", "SELECT Id, Account.Name FROM Contact WHERE Phone IN ('03-1234-5678')"),
        sub("leads", "SELECT Id FROM Lead WHERE Phone = '0312345678'"),
        sub("broken", "SELECT Nope FROM Lead"),
    ]});
    let (status, body) = post("composite", three).await;
    assert_eq!(status, 200);
    let responses = body["compositeResponse"].as_array().unwrap();
    assert_eq!(
        responses[0]["body"]["records"][0]["Account"]["Name"],
        "Acme KK"
    );
    assert_eq!(responses[1]["body"]["totalSize"], 1);
    assert_eq!(responses[2]["httpStatusCode"], 400);
    assert_eq!(responses[2]["referenceId"], "broken");
    assert_eq!(responses[2]["body"][0]["errorCode"], "INVALID_FIELD");
    assert_eq!(
        (
            sim.counters().api_calls(),
            sim.counters().composite_queries.clone()
        ),
        (1, vec![3])
    );
    let six: Vec<Json> = (0..6)
        .map(|n| sub(&format!("r{n}"), "SELECT Id FROM Lead"))
        .collect();
    assert_eq!(
        post("composite", json!({"compositeRequest": six})).await.0,
        400
    );
    let long = sub(
        "long",
        &format!(
            "SELECT Id FROM Lead WHERE Phone IN ('{}')",
            "1','".repeat(4_000)
        ),
    );
    let (_, body) = post("composite", json!({"compositeRequest": [long.clone()]})).await;
    assert_eq!(body["compositeResponse"][0]["httpStatusCode"], 414);
    sim.edit(|world| world.switches.subrequest_uri_limit = None)
        .unwrap();
    let (_, body) = post("composite", json!({"compositeRequest": [long]})).await;
    assert_eq!(
        body["compositeResponse"][0]["httpStatusCode"], 200,
        "{body}"
    );
    sim.reset_counters();
    let batch = json!({"haltOnError": true, "batchRequests": [
        {"method": "GET", "url": "v50.0/sobjects/Contact"},
        {"method": "GET", "url": "v50.0/sobjects/Nope"},
        {"method": "GET", "url": "v50.0/sobjects/Contact"},
    ]});
    let (_, body) = post("composite/batch", batch).await;
    let codes: Vec<u64> = body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["statusCode"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (body["hasErrors"].as_bool(), codes),
        (Some(true), vec![200, 404, 412])
    );
    assert_eq!(sim.counters().api_calls(), 3);
}

#[tokio::test]
async fn rest_refusals_are_spelled_as_in_the_facts() {
    let sim = start().await;
    let token = session(&sim).await;
    let error = async |path: &str| {
        let response = get(&sim, &token, path).await;
        let status = response.status().as_u16();
        let body: Json = response.json().await.unwrap();
        (
            status,
            body[0]["errorCode"].as_str().unwrap().to_owned(),
            body[0]["message"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(
        error("nope").await,
        (
            404,
            "NOT_FOUND".into(),
            "The requested resource does not exist".into()
        )
    );
    assert_eq!(
        error("limits").await,
        (
            403,
            "API_DISABLED_FOR_ORG".into(),
            "limits resource is not enabled".into()
        )
    );
    assert_eq!(
        error("query/01gnonsense-2000").await.1,
        "INVALID_QUERY_LOCATOR"
    );
    assert_eq!(error("sobjects/Contact/xyz").await.1, "MALFORMED_ID");
    assert_eq!(
        query(&sim, &token, "SELECT Id FORM Contact").await.1[0]["message"],
        "unexpected token: 'FORM'"
    );
    sim.edit_org("Acme", |org| org.api = false).unwrap();
    let message = "The REST API is not enabled for this Organization.";
    assert_eq!(
        error("sobjects").await,
        (403, "API_DISABLED_FOR_ORG".into(), message.into())
    );
    sim.edit_org("Acme", |org| org.api = true).unwrap();
    sim.edit_user(USER, |user| user.rest_session_refused = true)
        .unwrap();
    let message = "This session is not valid for use with the REST API";
    assert_eq!(
        error("sobjects").await,
        (401, "INVALID_SESSION_ID".into(), message.into())
    );
    sim.edit_user(USER, |user| user.rest_session_refused = false)
        .unwrap();
    sim.edit_org("Acme", |org| {
        org.profile_mut("Integration")
            .unwrap()
            .grants
            .permissions
            .remove("ApiEnabled")
    })
    .unwrap();
    assert_eq!(
        error("sobjects").await,
        (
            403,
            "API_CURRENTLY_DISABLED".into(),
            "API is disabled for this User".into()
        )
    );
    let old = client(&sim)
        .get(format!("{}/services/data/v30.0/sobjects", sim.url()))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(old.status(), 410);
    let long = get(&sim, &token, &format!("query?q={}", "x".repeat(17_000))).await;
    assert_eq!(long.status(), 414);
    assert!(
        long.text()
            .await
            .unwrap()
            .contains("<h1>Bad Message 414</h1>")
    );
}

#[tokio::test]
async fn records_are_written_by_those_who_may() {
    let sim = start().await;
    let token = session(&sim).await;
    let url = format!("{}/services/data/v50.0/sobjects/Task", sim.url());
    let create = async |body: Json| {
        let response = client(&sim)
            .post(&url)
            .bearer_auth(&token)
            .json(&body)
            .send()
            .await
            .unwrap();
        (
            response.status().as_u16(),
            response.json::<Json>().await.unwrap(),
        )
    };
    let (status, body) =
        create(json!({"Subject": "Call", "Status": "Completed", "CallDurationInSeconds": 12}))
            .await;
    assert_eq!(
        (status, body["success"].as_bool(), body["errors"].clone()),
        (201, Some(true), json!([]))
    );
    assert!(body["id"].as_str().unwrap().starts_with("00T"));
    assert_eq!(
        create(json!({"Nope": 1})).await.1[0]["errorCode"],
        "INVALID_FIELD"
    );
    assert_eq!(
        create(json!({"IsClosed": true})).await.1[0]["errorCode"],
        "INVALID_FIELD_FOR_INSERT_UPDATE"
    );
    let describe = get(&sim, &token, "sobjects/Task/describe").await;
    let modified = describe.headers()["last-modified"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(describe.json::<Json>().await.unwrap()["createable"], true);
    let request = client(&sim)
        .get(format!("{url}/describe"))
        .bearer_auth(&token)
        .header("If-Modified-Since", modified);
    assert_eq!(request.send().await.unwrap().status(), 304);
    sim.edit_org("Acme", |org| {
        org.profile_mut("Integration")
            .unwrap()
            .grants
            .permissions
            .remove("EditTask")
    })
    .unwrap();
    let describe: Json = get(&sim, &token, "sobjects/Task/describe")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(describe["createable"], false);
    assert_eq!(create(json!({"Subject": "x"})).await.0, 403);
    assert_eq!(
        sim.read(|world| world.org_named("Acme").unwrap().count("Task")),
        1
    );
}

#[tokio::test]
async fn five_queries_of_the_greatest_length_are_answered_by_index() {
    let sim = start().await;
    let many = (0..20_000).map(|n| Record::person("X").phone(&format!("03{n:08}")));
    sim.edit_org("Acme", |org| {
        many.for_each(|record| drop(org.insert("Contact", record).unwrap()))
    })
    .unwrap();
    sim.edit(|world| world.switches.subrequest_uri_limit = None)
        .unwrap();
    let token = session(&sim).await;
    let list: Vec<String> = (0..7_000).map(|n| format!("'03{:08}'", n * 2)).collect();
    let soql = format!("SELECT Id FROM Contact WHERE Phone IN ({})", list.join(","));
    assert!(soql.len() > 90_000 && soql.len() <= 100_000);
    let q: String = url::form_urlencoded::byte_serialize(soql.as_bytes()).collect();
    let subs: Vec<Json> = (0..5)
        .map(|n| json!({"method": "GET", "url": format!("/services/data/v50.0/query?q={q}"), "referenceId": format!("r{n}")}))
        .collect();
    let url = format!("{}/services/data/v50.0/composite", sim.url());
    let request = client(&sim)
        .post(url)
        .bearer_auth(&token)
        .json(&json!({"compositeRequest": subs}));
    let start = std::time::Instant::now();
    let body: Json = request.send().await.unwrap().json().await.unwrap();
    println!(
        "five queries of 100 kB over 20,000 contacts: {:?}",
        start.elapsed()
    );
    for response in body["compositeResponse"].as_array().unwrap() {
        assert_eq!(response["body"]["totalSize"], 7_000);
        assert_eq!(response["body"]["records"].as_array().unwrap().len(), 2_000);
    }
    assert_eq!(sim.used("Acme").unwrap(), 1);
}
