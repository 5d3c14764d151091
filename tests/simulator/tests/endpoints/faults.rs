//! Tests of deliberate faults and the admin endpoint.

use salesforce_simulator::{Effect, Fault};
use serde_json::{Value as Json, json};

use crate::*;

#[tokio::test]
async fn faults_break_answers_in_every_way() {
    let sim = start().await;
    let token = session(&sim).await;
    let strike = async |fault: Fault| {
        sim.fault(fault.once());
        let request = client(&sim)
            .get(format!("{}/services/data/v50.0/sobjects", sim.url()))
            .bearer_auth(&token);
        request.send().await
    };
    assert_eq!(strike(Fault::status(503)).await.unwrap().status(), 503);
    let locked = strike(Fault::error("UNABLE_TO_LOCK_ROW")).await.unwrap();
    assert_eq!(
        locked.json::<Json>().await.unwrap()[0]["errorCode"],
        "UNABLE_TO_LOCK_ROW"
    );
    assert!(
        strike(Fault::html(200))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .starts_with("<html>")
    );
    assert!(
        strike(Fault::new(Effect::Garbage))
            .await
            .unwrap()
            .json::<Json>()
            .await
            .is_err()
    );
    assert!(strike(Fault::reset()).await.is_err());
    assert!(
        strike(Fault::new(Effect::Truncated))
            .await
            .unwrap()
            .bytes()
            .await
            .is_err()
    );
    let bomb = strike(Fault::new(Effect::GzipBomb { megabytes: 3 }))
        .await
        .unwrap();
    assert_eq!(bomb.bytes().await.unwrap().len(), 3 << 20);
    let headless = strike(Fault::new(Effect::MissingHeader(
        "Sforce-Limit-Info".into(),
    )))
    .await
    .unwrap();
    assert!(headless.status() == 200 && headless.headers().get("sforce-limit-info").is_none());
    let drip = strike(Fault::new(Effect::Drip {
        bytes: 4_000,
        every_ms: 1,
    }))
    .await
    .unwrap();
    assert!(drip.json::<Json>().await.unwrap()["sobjects"].is_array());
    assert_eq!(
        strike(Fault::status(503).on_path("/elsewhere"))
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(sim.counters().faults, 9);
}

#[tokio::test]
async fn down_is_down_and_up_again_at_the_same_address() {
    let sim = start().await;
    let token = session(&sim).await;
    sim.set_down(true).await;
    let request = || {
        client(&sim)
            .get(format!("{}/services/data/v50.0/sobjects", sim.url()))
            .bearer_auth(&token)
    };
    assert!(request().send().await.unwrap_err().is_connect());
    sim.set_down(false).await;
    assert_eq!(request().send().await.unwrap().status(), 200);
    let address = sim.address();
    sim.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_admin_endpoint_changes_everything() {
    let sim = start().await;
    let token = session(&sim).await;
    let http = client(&sim);
    let admin = async |method: &str, path: &str, body: Json| -> Json {
        let method = method.parse().unwrap();
        let request = http.request(method, format!("{}/__admin/{path}", sim.url()));
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        request.send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(
        admin("GET", "", Json::Null).await["orgs"][0]["name"],
        "Acme"
    );
    let ids = admin(
        "POST",
        "orgs/Acme/records/Contact",
        json!([{"LastName": "Ito"}, {"LastName": "Abe"}]),
    )
    .await;
    assert_eq!(ids["ids"].as_array().unwrap().len(), 2);
    assert_eq!(
        query(&sim, &token, "SELECT COUNT() FROM Contact").await.1["totalSize"],
        3
    );
    admin("PATCH", "orgs/Acme", json!({"personAccounts": true})).await;
    assert_eq!(
        query(&sim, &token, "SELECT IsPersonAccount FROM Account")
            .await
            .0,
        200
    );
    assert_eq!(
        query(&sim, &token, "SELECT COUNT() FROM Contact").await.1["totalSize"],
        3
    );
    admin("PATCH", &format!("users/{USER}"), json!({"active": false})).await;
    assert_eq!(query(&sim, &token, "SELECT Id FROM Contact").await.0, 401);
    admin("PATCH", &format!("users/{USER}"), json!({"active": true})).await;
    admin(
        "POST",
        "faults",
        json!({"effect": {"status": {"status": 420}}, "times": 1}),
    )
    .await;
    assert_eq!(get(&sim, &token, "sobjects").await.status(), 420);
    admin("PUT", "orgs/Acme/usage", json!({"used": 110_000})).await;
    assert_eq!(get(&sim, &token, "sobjects").await.status(), 403);
    admin("POST", "clock", json!({"advance": "25h"})).await;
    assert_eq!(get(&sim, &token, "sobjects").await.status(), 401);
    assert!(
        admin("PATCH", "orgs/Nope", json!({})).await["error"]
            .as_str()
            .unwrap()
            .contains("Nope")
    );
    let shown = admin("GET", "orgs/Acme", Json::Null).await.to_string();
    assert!(!shown.contains("T0k"));
    assert_eq!(
        admin("GET", "counters", Json::Null).await["byKind"]["soapLogin"],
        1
    );
}
