//! Tests of log-ins and sessions.

use jiff::SignedDuration;
use reqwest::{Certificate, Client};
use salesforce_simulator::{ConnectedApp, HostRole, Simulator, User, World};
use serde_json::{Value as Json, json};

use crate::*;

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

#[tokio::test]
async fn an_envelope_names_its_operation_as_the_wsdl_does() {
    let sim = start().await;
    let url = format!("{}/services/Soap/u/60.0", sim.url());
    let ask = async |kind: &str, login: &str| {
        let body = format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>{login}</e:Body></e:Envelope>"
        );
        let request = client(&sim)
            .post(&url)
            .header("Content-Type", kind)
            .header("SOAPAction", "login");
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let plain = "<login><username>u</username><password>p</password></login>";
    let (status, text) = ask("text/xml", plain).await;
    assert_eq!(status, 500);
    assert!(
        text.contains("No operation available for request {}login"),
        "{text}"
    );
    let enterprise = "<n:login xmlns:n=\"urn:enterprise.soap.sforce.com\"/>";
    let (status, text) = ask("text/xml; charset=utf-8", enterprise).await;
    assert_eq!(status, 500);
    assert!(
        text.contains("{urn:enterprise.soap.sforce.com}login"),
        "{text}"
    );
    assert_eq!(ask("application/json", plain).await.0, 415);
    assert!(sim.counters().logins.is_empty(), "nobody tried to log in");
}
