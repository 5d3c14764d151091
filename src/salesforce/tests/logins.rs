//! Tests of log-ins: each is sent once, responses are read in every spelling, and refusals get
//! their exact meaning.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use jsonwebtoken::dangerous::insecure_decode;
use serde_json::json;

use super::{Played, Reply, fault, login_response, password};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::credentials::Credentials;
use crate::salesforce::credentials::environment::Environment;
use crate::salesforce::{Error, LoginGate, LoginWithheld};

const KEY_PKCS1: &str = include_str!("data/rsa-pkcs1.pem");
pub(super) const KEY_PKCS8: &str = include_str!("data/rsa-pkcs8.pem");

pub(super) fn oauth_password() -> Credentials {
    Credentials::OauthPassword {
        username: "a+b@acme.example".to_owned(),
        password: "p&ss".into(),
        security_token: Some("TOK".into()),
        client_id: "id".to_owned(),
        client_secret: "s=cret".into(),
    }
}

pub(super) fn jwt(key: &str) -> Credentials {
    Credentials::JwtBearer {
        username: "a@acme.example".to_owned(),
        client_id: "id".to_owned(),
        private_key: key.into(),
    }
}

pub(super) fn client_credentials() -> Credentials {
    Credentials::ClientCredentials {
        client_id: "id".to_owned(),
        client_secret: "secret99".into(),
    }
}

#[tokio::test]
async fn soap_login_tells_who_and_where() {
    let played = Played::start(|asked| {
        let base = format!("http://{}/", asked.header("host")).parse().unwrap();
        Reply::xml(200, login_response(&base, ""))
    })
    .await;
    let connection = played.connection(password());
    let session = connection.session().await.unwrap();
    assert_eq!(session.organization_id, "00DA0000006Vm9rMAC");
    assert_eq!(session.organization_name.as_deref(), Some("Acme & Co"));
    assert_eq!(session.instance_url, played.url);
    assert_eq!(
        (
            session.sandbox,
            session.person_accounts,
            session.seconds_valid
        ),
        (Some(false), Some(false), Some(7200))
    );
    let asked = &played.asked()[0];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/services/Soap/u/50.0")
    );
    assert_eq!(asked.header("soapaction"), "login");
    assert!(
        asked.header("content-type").starts_with("text/xml"),
        "{asked:?}"
    );
    assert!(asked.header("user-agent").starts_with("switchboard/"));
    assert!(
        asked
            .header("sforce-call-options")
            .starts_with("client=switchboard/")
    );
    assert!(
        asked
            .body
            .contains("hunter2&amp;&lt;&gt;TOKEN77</urn:password>"),
        "{}",
        asked.body
    );
}

#[tokio::test]
async fn soap_login_is_read_in_other_dialects() {
    let bodies = [
        // Only the required fields, other prefixes, another order, a byte-order mark.
        "\u{feff}<S:Envelope xmlns:S='s'><S:Body><ns:loginResponse xmlns:ns='n'><ns:result><ns:sessionId>00DA0000006Vm9r!AQ</ns:sessionId>\
         <ns:passwordExpired>0</ns:passwordExpired></ns:result></ns:loginResponse></S:Body></S:Envelope>",
        "<?xml version='1.0'?><!-- hello --><env:Envelope xmlns:env='s'><env:Header/><env:Body><loginResponse xmlns='urn:enterprise.soap.sforce.com'>\
         <result><sessionId><![CDATA[00DA0000006Vm9r!AQ]]></sessionId><serverUrl/></result></loginResponse></env:Body></env:Envelope>",
    ];
    for body in bodies {
        let played = Played::start(move |_| Reply::xml(200, body)).await;
        let session = played.connection(password()).session().await.unwrap();
        assert_eq!(
            session.organization_id,
            "00DA0000006Vm9rMAA".replace("MAA", &session.organization_id[15..])
        );
        assert_eq!(session.organization_id.len(), 18);
        assert_eq!(session.instance_url, played.url);
        assert_eq!(
            session.username.as_deref(),
            Some("integration@acme.example")
        );
    }
}

#[tokio::test]
async fn an_expired_password_is_a_failure_although_it_is_answered_200() {
    let played = Played::start(|asked| {
        let base = format!("http://{}/", asked.header("host")).parse().unwrap();
        Reply::xml(
            200,
            login_response(&base, "").replace("<passwordExpired>false", "<passwordExpired>true"),
        )
    })
    .await;
    let error = played.connection(password()).session().await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::PasswordExpired);
    assert!(error.refused_login());
}

#[tokio::test]
async fn a_refused_login_is_sent_once_however_often_it_is_asked_for() {
    let played =
        Played::start(|_| Reply::xml(500, fault("INVALID_LOGIN", "Invalid username, password")))
            .await;
    let connection = played.connection(password());
    let many = (0..50).map(|_| {
        let connection = connection.clone();
        tokio::spawn(async move { connection.session().await.unwrap_err().meaning() })
    });
    for task in futures::future::join_all(many).await {
        assert_eq!(task.unwrap(), Meaning::InvalidLogin);
    }
    assert!(
        connection
            .query::<serde_json::Value>("SELECT Id FROM Contact")
            .await
            .is_err()
    );
    assert_eq!((played.asked().len(), connection.spent().logins), (1, 1));
    connection.allow_login_again();
    assert!(connection.session().await.is_err());
    assert_eq!(connection.spent().logins, 2);
}

#[tokio::test]
async fn one_login_serves_all_who_wait_and_outlives_who_gives_up() {
    let played = Played::start(|asked| {
        let base = format!("http://{}/", asked.header("host")).parse().unwrap();
        Reply::xml(200, login_response(&base, ""))
    })
    .await;
    let connection = played.connection(password());
    assert_eq!(
        connection
            .without_login()
            .session()
            .await
            .unwrap_err()
            .meaning(),
        Meaning::LoginWithheld
    );
    // This caller polls once and gives up.
    let hurried = futures::FutureExt::now_or_never(connection.session());
    assert!(hurried.is_none());
    let many = (0..20).map(|_| connection.session());
    assert!(
        futures::future::join_all(many)
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert!(connection.has_session());
    assert!(connection.without_login().session().await.is_ok());
    assert_eq!(connection.spent().logins, 1);
}

#[tokio::test]
async fn a_login_is_never_repeated_whatever_goes_wrong() {
    for (reply, meaning) in [
        (
            Reply::text(503, "text/html", "<html><title>down</title></html>"),
            Meaning::Unreachable,
        ),
        (Reply::text(500, "text/html", ""), Meaning::SalesforceError),
        (Reply::Raw(Vec::new()), Meaning::Unreachable),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec()),
            Meaning::Unreachable,
        ),
        (Reply::Hang, Meaning::Unreachable),
        (Reply::Drip, Meaning::Unreachable),
        (
            Reply::text(200, "text/html", "<html>portal</html>"),
            Meaning::UnexpectedAnswer,
        ),
        (
            Reply::xml(200, "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"),
            Meaning::UnexpectedAnswer,
        ),
    ] {
        for credentials in [password(), client_credentials()] {
            let reply = reply.clone();
            let played = Played::start(move |_| reply.clone()).await;
            let connection = played.connection(credentials);
            let error = connection.session().await.unwrap_err();
            assert_eq!(error.meaning(), meaning, "{error}");
            assert_eq!(
                (played.asked().len(), connection.spent().logins),
                (1, 1),
                "{error}"
            );
            assert!(!error.refused_login(), "{error}");
        }
    }
}

#[tokio::test]
async fn oauth_password_sends_a_form_and_reads_the_ids() {
    let played = Played::start(|asked| {
        let instance = format!("http://{}", asked.header("host"));
        let id = "https://login.salesforce.com/id/00DA0000006Vm9rMAC/0050000000000001AA";
        Reply::json(200, json!({"access_token": "00DA0000006Vm9r!x", "instance_url": instance, "id": id, "issued_at": 17, "unknown": {}}))
    })
    .await;
    let session = played.connection(oauth_password()).session().await.unwrap();
    assert_eq!(
        (session.organization_id.as_str(), session.user_id.as_str()),
        ("00DA0000006Vm9rMAC", "0050000000000001AA")
    );
    let asked = &played.asked()[0];
    assert_eq!(asked.path, "/services/oauth2/token");
    assert_eq!(
        asked.body,
        "grant_type=password&client_id=id&client_secret=s%3Dcret&username=a%2Bb%40acme.example&password=p%26ssTOK"
    );
}

#[tokio::test]
async fn jwt_bearer_signs_for_the_environment_and_three_minutes() {
    let escaped = KEY_PKCS8.replace('\n', "\\n");
    for key in [KEY_PKCS1, KEY_PKCS8, &escaped] {
        let played =
            Played::start(|_| Reply::json(200, json!({"access_token": "00DA0000006Vm9r!x"}))).await;
        let connection = played
            .connection(jwt(key))
            .environment(Environment::Sandbox);
        let before = jiff::Timestamp::now().as_second();
        connection.session().await.unwrap();
        let body = played.asked()[0].body.clone();
        let assertion = body
            .strip_prefix(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=",
            )
            .unwrap();
        let token = insecure_decode::<serde_json::Value>(assertion).unwrap();
        assert_eq!(token.header.alg, jsonwebtoken::Algorithm::RS256);
        assert_eq!(token.claims["aud"], "https://test.salesforce.com");
        assert_eq!(
            (&token.claims["iss"], &token.claims["sub"]),
            (&json!("id"), &json!("a@acme.example"))
        );
        let ahead = token.claims["exp"].as_i64().unwrap() - before;
        assert!((100..=180).contains(&ahead), "{ahead}");
    }
}

#[tokio::test]
async fn a_broken_key_is_told_before_anything_is_sent() {
    let played = Played::start(|_| Reply::json(200, "{}")).await;
    for key in [
        "",
        "nonsense",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
        &KEY_PKCS8[..200],
    ] {
        let connection = played.connection(jwt(key));
        assert_eq!(
            connection.session().await.unwrap_err().meaning(),
            Meaning::InvalidPrivateKey,
            "{key}"
        );
        assert_eq!(connection.spent().logins, 0);
    }
    assert!(played.asked().is_empty());
}

#[tokio::test]
async fn client_credentials_name_no_user() {
    let played = Played::start(|_| {
        Reply::json(
            200,
            json!({"access_token": "00DA0000006Vm9r!x", "token_type": "Bearer"}),
        )
    })
    .await;
    let session = played
        .connection(client_credentials())
        .session()
        .await
        .unwrap();
    assert_eq!((session.username, session.user_id.as_str()), (None, ""));
    assert_eq!(
        played.asked()[0].body,
        "grant_type=client_credentials&client_id=id&client_secret=secret99"
    );
}

#[tokio::test]
async fn a_login_that_points_away_makes_no_connection() {
    for away in [
        "https://evil.example/",
        "http://169.254.169.254/",
        "https://10.0.0.1/",
        "https://login.salesforce.com.evil.example/",
    ] {
        let url: url::Url = away.parse().unwrap();
        let soap = login_response(&url, "");
        let token = json!({"access_token": "00DA0000006Vm9r!x", "instance_url": away});
        let played = Played::start(move |asked| {
            if asked.path.contains("Soap") {
                Reply::xml(200, &soap)
            } else {
                Reply::json(200, &token)
            }
        })
        .await;
        for credentials in [password(), client_credentials()] {
            let error = played.connection(credentials).session().await.unwrap_err();
            assert_eq!(error.meaning(), Meaning::HostNotAllowed, "{away}");
        }
    }
}

/// A gate that permits this number of log-ins.
struct Turnstile(AtomicUsize);

impl LoginGate for Turnstile {
    fn admit(&self) -> BoxFuture<'_, Result<(), LoginWithheld>> {
        let passes = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        let admitted = passes.map(drop).map_err(|_| LoginWithheld::NotOnRecord);
        std::future::ready(admitted).boxed()
    }
}

#[tokio::test]
async fn each_login_asks_the_gate_and_one_that_is_withheld_says_why_and_is_not_sent() {
    let played = Played::start(|asked| {
        if asked.path.contains("/Soap/") {
            let base = format!("http://{}/", asked.header("host")).parse().unwrap();
            Reply::xml(200, login_response(&base, ""))
        } else {
            Reply::json(200, "[]")
        }
    })
    .await;
    for credentials in [password(), client_credentials()] {
        let gate = Arc::new(Turnstile(AtomicUsize::new(0)));
        let connection = played.connection(credentials).login_gate(gate);
        let error = connection.session().await.unwrap_err();
        assert_eq!(error.meaning(), Meaning::LoginWithheld);
        assert!(
            error
                .message()
                .ends_with("the log-in could not be put on record."),
            "{error}"
        );
        assert!(!error.refused_login(), "the credential is not to blame");
        assert_eq!((played.asked().len(), connection.spent().logins), (0, 0));
    }

    let gate = Arc::new(Turnstile(AtomicUsize::new(1)));
    let connection = played.connection(password()).login_gate(gate);
    connection.session().await.unwrap();
    connection.versions().await.unwrap();
    assert_eq!(
        (played.count("/services/Soap"), connection.spent().logins),
        (1, 1)
    );
    let full = connection.logins_at_most(1);
    assert!(full.session().await.is_ok(), "there is a session");
}

#[tokio::test]
async fn a_connection_that_may_log_in_no_more_says_so() {
    let played = Played::start(|_| Reply::text(503, "text/html", "")).await;
    let connection = played.connection(password());
    let told = |error: Error| error.message();
    let never = connection.without_login().session().await.unwrap_err();
    assert!(told(never).ends_with("no log-in is allowed now."));
    assert!(connection.session().await.is_err());
    let used_up = connection.logins_at_most(1).session().await.unwrap_err();
    assert_eq!(used_up.meaning(), Meaning::LoginWithheld);
    assert!(told(used_up).contains("the 1 log-ins that were allowed are used up"));
    assert_eq!(played.asked().len(), 1);
}
