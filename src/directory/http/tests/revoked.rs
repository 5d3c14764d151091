//! Revoked tokens: refused with a sentence, from now on, by every replica, and of one company only.

use secrecy::ExposeSecret as _;

use super::*;
use crate::directory::model::CallsQuery;

on_each_database! {
    older_tokens_are_refused_newer_ones_and_those_of_others_are_not,
    what_is_revoked_stays_so_after_a_restart,
}

/// When the tokens of these tests were issued, in seconds.
const ISSUED: i64 = 1_700_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(ISSUED + second).unwrap()
}

fn issued(second: i64, company: &str, purpose: Purpose) -> SecretString {
    let claims = Claims {
        issued_at: at(second),
        ..claims(company, purpose)
    };
    TokenKeys::parse(KEY).unwrap().mint(&claims).unwrap()
}

async fn status(directory: &Directory, token: &SecretString) -> u16 {
    let asked = directory.raw("GET", "/v1/calls", Some(token.expose_secret()), "");
    asked.await.status
}

async fn revoke(directory: &Directory, second: i64) {
    let client = Client::with_http(
        directory.http.clone(),
        &directory.base,
        issued(1_000, "acme", Purpose::Controller),
    );
    let answered = client.unwrap().revoke_tokens_before(at(second)).await;
    assert_eq!(answered.unwrap(), at(second));
}

async fn older_tokens_are_refused_newer_ones_and_those_of_others_are_not(on: Backend) {
    let directory = Directory::start(on).await;
    let leaked = issued(0, "acme", Purpose::Lookup);
    assert_eq!(status(&directory, &leaked).await, 200);
    revoke(&directory, 10).await;
    let reply = directory
        .raw("GET", "/v1/calls", Some(leaked.expose_secret()), "")
        .await;
    assert_eq!(
        (reply.status, reply.authenticate.as_deref()),
        (401, Some("Bearer"))
    );
    assert_eq!(reply.json()["code"], "token-revoked");
    let detail = reply.json()["detail"].to_string();
    assert!(
        detail.contains("revoked") && detail.contains("newest token"),
        "{detail}"
    );
    for purpose in [Purpose::Ingest, Purpose::Worker, Purpose::Admin] {
        let old = issued(9, "acme", purpose);
        assert_eq!(status(&directory, &old).await, 401, "{purpose}");
    }
    for (second, company) in [(10, "acme"), (11, "acme"), (0, "globex")] {
        let good = issued(second, company, Purpose::Lookup);
        assert_eq!(status(&directory, &good).await, 200, "{second} {company}");
    }
    directory.stop().await;
}

async fn what_is_revoked_stays_so_after_a_restart(on: Backend) {
    let directory = Directory::start(on).await;
    revoke(&directory, 10).await;
    let directory = directory.restart().await;
    let leaked = issued(0, "acme", Purpose::Lookup);
    assert_eq!(status(&directory, &leaked).await, 401);
    directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap_err();
    directory.stop().await;
}

#[tokio::test]
async fn another_replica_refuses_them_within_moments() {
    let folder = TempDir::new().unwrap();
    let database = Backend::Postgres.fresh(&folder);
    let first = Directory::start_on(folder, database.clone()).await;
    let second = Directory::start_on(TempDir::new().unwrap(), database).await;
    let leaked = issued(0, "acme", Purpose::Lookup);
    assert_eq!(status(&second, &leaked).await, 200);
    revoke(&first, 10).await;
    eventually(async || status(&second, &leaked).await == 401).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn only_the_controller_revokes_and_not_what_is_still_to_come() {
    let directory = Directory::start(Backend::Sqlite).await;
    let asked = async |purpose, body: &str| {
        let token = issued(0, "acme", purpose);
        let path = "/v1/tokens/not-before";
        let reply = directory.raw("PUT", path, Some(token.expose_secret()), body);
        let reply = reply.await;
        (reply.status, reply.body)
    };
    let body = json!({"notBefore": at(0)}).to_string();
    for purpose in [
        Purpose::Ingest,
        Purpose::Lookup,
        Purpose::Worker,
        Purpose::Admin,
    ] {
        assert_eq!(asked(purpose, &body).await.0, 403, "{purpose}");
    }
    let ahead = Timestamp::now() + Duration::from_secs(700);
    let (status, said) = asked(
        Purpose::Controller,
        &json!({"notBefore": ahead}).to_string(),
    )
    .await;
    assert_eq!(status, 400);
    assert!(said.contains("compare the clocks"), "{said}");
    assert_eq!(asked(Purpose::Controller, "{}").await.0, 400);
    directory.stop().await;
}
