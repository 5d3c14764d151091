//! Tests of the simulator over real TLS, from a client's view.

// Clippy does not recognise the helpers of an integration test as test code.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bulk;
mod changes;
mod faults;
mod login;
mod requests;
mod rest;

use reqwest::{Certificate, Client, Method, Response, StatusCode};
use salesforce_simulator::{Org, Record, Simulator, User, World};
use serde_json::Value as Json;

pub(crate) const USER: &str = "i@acme.example";

pub(crate) fn acme() -> Org {
    Org::enterprise("Acme")
        .user(User::integration(USER).password("p<&\"").token("T0k"))
        .user(User::administrator("admin@acme.example").password("a"))
        .account(Record::account("Acme KK").phone("03-1234-5678"))
        .contact(
            Record::person("Sato")
                .phone("03-1234-5678")
                .of_account("Acme KK"),
        )
        .lead(
            Record::person("Abe")
                .set("Company", "Gamma")
                .phone("0312345678"),
        )
}

pub(crate) async fn start() -> Simulator {
    Simulator::start(World::new().org(acme())).await.unwrap()
}

pub(crate) fn client(sim: &Simulator) -> Client {
    let ca = Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Sends a request to this path, with a body of JSON if there is one.
pub(crate) async fn send(
    sim: &Simulator,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Json>,
) -> Response {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = client(sim)
        .request(method, format!("{}{path}", sim.url()))
        .bearer_auth(token);
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.unwrap()
}

pub(crate) async fn soap(
    sim: &Simulator,
    version: &str,
    username: &str,
    secret: &str,
) -> (StatusCode, String) {
    let escaped = secret.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
         <login xmlns=\"urn:partner.soap.sforce.com\"><username>{username}</username><password>{escaped}</password></login>\
         </e:Body></e:Envelope>"
    );
    let url = format!("{}/services/Soap/u/{version}", sim.url());
    let request = client(sim)
        .post(url)
        .header("Content-Type", "text/xml")
        .header("SOAPAction", "\"\"")
        .body(body);
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

pub(crate) fn between<'t>(text: &'t str, tag: &str) -> &'t str {
    let open = format!("<{tag}>");
    let start = text
        .find(&open)
        .unwrap_or_else(|| panic!("no {tag} in {text}"))
        + open.len();
    &text[start..start + text[start..].find("</").unwrap()]
}

pub(crate) async fn login(sim: &Simulator, username: &str, secret: &str) -> String {
    let (status, text) = soap(sim, "50.0", username, secret).await;
    assert_eq!(status, 200, "{text}");
    between(&text, "sessionId").to_owned()
}

pub(crate) async fn session(sim: &Simulator) -> String {
    login(sim, USER, "p<&\"T0k").await
}

pub(crate) async fn get(sim: &Simulator, token: &str, path: &str) -> Response {
    client(sim)
        .get(format!("{}/services/data/v50.0/{path}", sim.url()))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
}

pub(crate) async fn query(sim: &Simulator, token: &str, soql: &str) -> (StatusCode, Json) {
    let url = format!("{}/services/data/v50.0/query", sim.url());
    let response = client(sim)
        .get(url)
        .query(&[("q", soql)])
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    (response.status(), response.json().await.unwrap())
}
