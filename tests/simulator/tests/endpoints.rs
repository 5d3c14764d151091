//! The simulator over real TLS: what a client sees.

// The helpers of an integration test are not recognised as test code.
#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::SignedDuration;
use reqwest::{Certificate, Client, Response, StatusCode};
use salesforce_simulator::{
    ConnectedApp, Effect, Fault, HostRole, Org, Record, Simulator, User, World,
};
use serde_json::{Value as Json, json};

const USER: &str = "i@acme.example";

fn acme() -> Org {
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

async fn start() -> Simulator {
    Simulator::start(World::new().org(acme())).await.unwrap()
}

fn client(sim: &Simulator) -> Client {
    let ca = Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

async fn soap(
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

fn between<'t>(text: &'t str, tag: &str) -> &'t str {
    let open = format!("<{tag}>");
    let start = text
        .find(&open)
        .unwrap_or_else(|| panic!("no {tag} in {text}"))
        + open.len();
    &text[start..start + text[start..].find("</").unwrap()]
}

async fn login(sim: &Simulator, username: &str, secret: &str) -> String {
    let (status, text) = soap(sim, "50.0", username, secret).await;
    assert_eq!(status, 200, "{text}");
    between(&text, "sessionId").to_owned()
}

async fn session(sim: &Simulator) -> String {
    login(sim, USER, "p<&\"T0k").await
}

async fn get(sim: &Simulator, token: &str, path: &str) -> Response {
    client(sim)
        .get(format!("{}/services/data/v50.0/{path}", sim.url()))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
}

async fn query(sim: &Simulator, token: &str, soql: &str) -> (StatusCode, Json) {
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

#[tokio::test]
async fn soap_login_tells_org_and_session_and_a_query_runs_on_it() {
    let sim = start().await;
    let (status, text) = soap(&sim, "50.0", USER, "p<&\"T0k").await;
    assert_eq!(status, 200);
    assert_eq!(between(&text, "sandbox"), "false");
    assert_eq!(between(&text, "orgHasPersonAccounts"), "false");
    assert_eq!(between(&text, "organizationName"), "Acme");
    assert_eq!(between(&text, "sessionSecondsValid"), "7200");
    let org15 = &between(&text, "organizationId")[..15];
    assert_eq!(
        between(&text, "serverUrl"),
        format!("{}/services/Soap/u/50.0/{org15}", sim.url())
    );
    let (status, body) = query(
        &sim,
        between(&text, "sessionId"),
        "SELECT Id, Account.Name FROM Contact",
    )
    .await;
    assert_eq!(
        (
            status.as_u16(),
            body["totalSize"].as_u64(),
            body["done"].as_bool()
        ),
        (200, Some(1), Some(true))
    );
    assert_eq!(body["records"][0]["Account"]["Name"], "Acme KK");
    assert_eq!(sim.counters().logins_ok(), 1);
    assert_eq!(sim.counters().api_calls(), 1);
}

#[tokio::test]
async fn soap_refusals_are_spelled_as_captured() {
    let sim = start().await;
    let (status, text) = soap(&sim, "50.0", USER, "wrong").await;
    assert_eq!(status, 500);
    assert_eq!(between(&text, "faultcode"), "INVALID_LOGIN");
    assert_eq!(
        between(&text, "faultstring"),
        "INVALID_LOGIN: Invalid username, password, security token; or user locked out."
    );
    assert_eq!(between(&text, "sf:exceptionCode"), "INVALID_LOGIN");
    assert!(text.contains("<sf:LoginFault xsi:type=\"sf:LoginFault\">"));
    let (_, text) = soap(&sim, "50.0", USER, "p<&\"").await;
    assert_eq!(
        between(&text, "sf:exceptionCode"),
        "LOGIN_MUST_USE_SECURITY_TOKEN"
    );
    assert!(text.contains("Are you at a new location?"));
    for version in ["65.0", "30.0", "v50.0", "99.0"] {
        let (status, text) = soap(&sim, version, USER, "p<&\"T0k").await;
        assert_eq!(
            (status.as_u16(), between(&text, "faultcode")),
            (500, "sf:UNSUPPORTED_API_VERSION"),
            "{version}"
        );
    }
    let causes: Vec<String> = sim
        .counters()
        .logins
        .into_iter()
        .map(|login| login.cause)
        .collect();
    assert_eq!(causes, ["wrong password or token", "token needed"]);
}

#[tokio::test]
async fn every_state_of_a_user_has_its_refusal() {
    let sim = start().await;
    let code = async |change: fn(&mut User)| {
        let before = sim.read(|world| {
            world
                .org_named("Acme")
                .unwrap()
                .user_named(USER)
                .unwrap()
                .clone()
        });
        sim.edit_user(USER, change).unwrap();
        let (_, text) = soap(&sim, "50.0", USER, "p<&\"T0k").await;
        sim.edit_user(USER, |user| *user = before).unwrap();
        between(&text, "sf:exceptionCode").to_owned()
    };
    assert_eq!(code(|user| user.active = false).await, "INVALID_LOGIN");
    assert_eq!(code(|user| user.frozen = true).await, "INVALID_LOGIN");
    assert_eq!(code(|user| user.locked = true).await, "INVALID_LOGIN");
    assert_eq!(
        code(|user| user.login_ip_ranges = vec!["10.0.0.0/8".into()]).await,
        "LOGIN_DURING_RESTRICTED_DOMAIN"
    );
    assert_eq!(
        code(|user| user.profile = "None".into()).await,
        "API_CURRENTLY_DISABLED"
    );
    sim.edit_org("Acme", |org| org.soap_login = false).unwrap();
    assert_eq!(code(|_| ()).await, "INSUFFICIENT_ACCESS");
    sim.edit_org("Acme", |org| org.api = false).unwrap();
    assert_eq!(code(|_| ()).await, "API_DISABLED_FOR_ORG");
}

#[tokio::test]
async fn an_expired_password_logs_in_and_can_do_nothing() {
    let sim = start().await;
    sim.edit_user(USER, |user| user.password_expired = true)
        .unwrap();
    let (status, text) = soap(&sim, "50.0", USER, "p<&\"T0k").await;
    assert_eq!(
        (status.as_u16(), between(&text, "passwordExpired")),
        (200, "true")
    );
    let (status, body) = query(&sim, between(&text, "sessionId"), "SELECT Id FROM Contact").await;
    assert_eq!(status, 403);
    assert_eq!(
        body[0]["errorCode"],
        "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"
    );
}

#[tokio::test]
async fn ten_failures_lock_for_a_quarter_of_an_hour() {
    let sim = start().await;
    for _ in 0..10 {
        soap(&sim, "50.0", USER, "wrong").await;
    }
    assert!(sim.is_locked(USER));
    assert_eq!(soap(&sim, "50.0", USER, "p<&\"T0k").await.0, 500);
    assert_eq!(sim.counters().logins.last().unwrap().cause, "user locked");
    sim.advance(SignedDuration::from_mins(15));
    session(&sim).await;
    assert_eq!(sim.failed_logins(USER), 0);
}

#[tokio::test]
async fn sessions_expire_are_revoked_and_end_with_the_user() {
    let sim = start().await;
    let token = session(&sim).await;
    sim.advance(SignedDuration::from_mins(119));
    assert_eq!(get(&sim, &token, "sobjects").await.status(), 200);
    sim.advance(SignedDuration::from_mins(121));
    let expired = get(&sim, &token, "sobjects").await;
    assert_eq!(
        (
            expired.status().as_u16(),
            expired.headers()["www-authenticate"].to_str().unwrap()
        ),
        (401, "Token")
    );
    let body: Json = expired.json().await.unwrap();
    assert_eq!(
        body,
        json!([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
    );
    let token = session(&sim).await;
    assert_eq!(sim.revoke_sessions(USER), 1);
    assert_eq!(get(&sim, &token, "sobjects").await.status(), 401);
    let token = session(&sim).await;
    sim.edit_user(USER, |user| user.active = false).unwrap();
    assert_eq!(get(&sim, &token, "sobjects").await.status(), 401);
}

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
async fn oauth_refusals_and_grants() {
    let app = ConnectedApp::new("key", "secret").run_as(USER);
    let world = World::new()
        .org(acme().app(app))
        .host("login.test", HostRole::Production)
        .host("acme.test", HostRole::MyDomain("Acme".into()));
    let sim = Simulator::start(world).await.unwrap();
    let address = sim.address();
    let ca = Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    let builder = Client::builder().tls_certs_only([ca]).no_proxy();
    let http = builder
        .resolve("login.test", address)
        .resolve("acme.test", address)
        .build()
        .unwrap();
    let token = async |host: &str, form: &[(&str, &str)]| {
        let response = http
            .post(format!("{}/services/oauth2/token", sim.url_of(host)))
            .form(form)
            .send()
            .await
            .unwrap();
        (
            response.status().as_u16(),
            response.json::<Json>().await.unwrap(),
        )
    };
    let app = [("client_id", "key"), ("client_secret", "secret")];
    let password = |secret| {
        [
            app[0],
            app[1],
            ("grant_type", "password"),
            ("username", USER),
            ("password", secret),
        ]
    };
    let (status, body) = token("login.test", &password("p<&\"T0k")).await;
    assert_eq!((status, body["token_type"].as_str()), (200, Some("Bearer")));
    assert!(body.get("expires_in").is_none() && body["id"].as_str().unwrap().contains("/id/00D"));
    assert_eq!(body["instance_url"], sim.url_of("login.test"));
    let failure = (
        400,
        json!({"error": "invalid_grant", "error_description": "authentication failure"}),
    );
    assert_eq!(token("login.test", &password("nope")).await, failure);
    sim.edit_org("Acme", |org| org.oauth_password = false)
        .unwrap();
    assert_eq!(token("login.test", &password("p<&\"T0k")).await, failure);
    let credentials = [app[0], app[1], ("grant_type", "client_credentials")];
    let (_, wrong_host) = token("login.test", &credentials).await;
    assert_eq!(
        wrong_host["error_description"],
        "request not supported on this domain"
    );
    let (status, body) = token("acme.test", &credentials).await;
    assert_eq!(status, 200);
    let bearer = body["access_token"].as_str().unwrap();
    let userinfo = http
        .get(format!(
            "{}/services/oauth2/userinfo",
            sim.url_of("acme.test")
        ))
        .bearer_auth(bearer)
        .send()
        .await
        .unwrap();
    assert_eq!(
        userinfo.json::<Json>().await.unwrap()["preferred_username"],
        USER
    );
    sim.revoke_all_sessions();
    let stale = http
        .get(format!(
            "{}/services/oauth2/userinfo",
            sim.url_of("acme.test")
        ))
        .bearer_auth(bearer)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            stale.status().as_u16(),
            stale.text().await.unwrap().as_str()
        ),
        (403, "Bad_OAuth_Token")
    );
    let wrong = [
        ("client_id", "key"),
        ("client_secret", "x"),
        ("grant_type", "client_credentials"),
    ];
    assert_eq!(
        token("acme.test", &wrong).await.1["error"],
        "invalid_client"
    );
    sim.edit_org("Acme", |org| org.apps[0].run_as = None)
        .unwrap();
    assert_eq!(
        token("acme.test", &credentials).await.1["error_description"],
        "no client credentials user enabled"
    );
}

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

#[tokio::test]
async fn a_jwt_is_verified_for_real() {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};

    let rsa = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let (key, stranger) = (rsa(), rsa());
    let certificate = CertificateParams::new(vec!["app".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let sim = Simulator::start(
        World::new().org(acme().app(ConnectedApp::new("key", "s").certificate(&certificate.pem()))),
    )
    .await
    .unwrap();
    let url = format!("{}/services/oauth2/token", sim.url());
    let http = client(&sim);
    let ask = async |key: &KeyPair, claims: Json| -> (u16, Json) {
        let key = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
        let assertion = encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ];
        let response = http.post(&url).form(&form).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let soon = sim.now().as_second() + 180;
    let claims =
        json!({"iss": "key", "sub": USER, "aud": "https://login.salesforce.com", "exp": soon});
    let with = |field: &str, value: Json| {
        let mut claims = claims.clone();
        claims[field] = value;
        claims
    };
    let (status, body) = ask(&key, claims.clone()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        query(
            &sim,
            body["access_token"].as_str().unwrap(),
            "SELECT Id FROM Lead"
        )
        .await
        .0,
        200
    );
    assert_eq!(ask(&key, with("exp", json!(soon.to_string()))).await.0, 200);
    for (key, claims, description) in [
        (&stranger, claims.clone(), "invalid assertion"),
        (
            &key,
            with("aud", json!("https://test.salesforce.com")),
            "audience is invalid",
        ),
        (
            &key,
            with("exp", json!(soon - 600)),
            "expired authorization code",
        ),
        (
            &key,
            with("sub", json!("nobody@acme.example")),
            "user hasn't approved this consumer",
        ),
        (
            &key,
            with("iss", json!("other")),
            "client identifier invalid",
        ),
    ] {
        let (status, body) = ask(key, claims).await;
        assert_eq!(
            (status, body["error_description"].as_str()),
            (400, Some(description))
        );
    }
    sim.edit_org("Acme", |org| org.apps[0].approved_users.clear())
        .unwrap();
    assert_eq!(
        ask(&key, claims.clone()).await.1["error_description"],
        "user hasn't approved this consumer"
    );
    sim.edit_org("Acme", |org| org.apps[0].approved_users.push("*".into()))
        .unwrap();
    sim.edit_user(USER, |user| user.active = false).unwrap();
    assert_eq!(
        ask(&key, claims).await.1["error_description"],
        "inactive user"
    );
}
