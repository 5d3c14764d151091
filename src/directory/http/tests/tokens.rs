//! Calls every endpoint with every kind of wrong token.

use secrecy::ExposeSecret as _;

use super::*;

const ENDPOINTS: [(&str, &str, &[Purpose]); 33] = [
    ("POST", "/v1/webhooks/calls", &[Purpose::Ingest]),
    ("POST", "/v1/rings", &[Purpose::Ingest]),
    ("POST", "/v1/worker/rings/claim", &[Purpose::Worker]),
    ("POST", "/v1/worker/rings/settle", &[Purpose::Worker]),
    ("GET", "/v1/waiting", &[Purpose::Operator]),
    (
        "GET",
        "/v1/contacts/0312345678",
        &[Purpose::Lookup, Purpose::Admin],
    ),
    ("PUT", "/v1/contacts/0312345678", &[Purpose::Admin]),
    ("DELETE", "/v1/contacts/0312345678", &[Purpose::Admin]),
    (
        "GET",
        "/v1/contacts.csv",
        &[Purpose::Lookup, Purpose::Admin],
    ),
    ("GET", "/v1/calls", &[Purpose::Lookup, Purpose::Admin]),
    ("POST", "/v1/worker/calls/claim", &[Purpose::Worker]),
    ("POST", "/v1/worker/calls/done", &[Purpose::Worker]),
    ("POST", "/v1/worker/calls/release", &[Purpose::Worker]),
    ("POST", "/v1/worker/contacts", &[Purpose::Worker]),
    ("POST", "/v1/worker/numbers/again", &[Purpose::Worker]),
    ("POST", "/v1/numbers/erase", &[Purpose::Privacy]),
    ("POST", "/v1/numbers/export", &[Purpose::Privacy]),
    ("POST", "/v1/numbers/restore", &[Purpose::Privacy]),
    ("GET", "/v1/audit", &[Purpose::Privacy]),
    ("PUT", "/v1/company", &[Purpose::Controller]),
    ("GET", "/v1/company/book", &[Purpose::Controller]),
    ("POST", "/v1/company/erase", &[Purpose::Erase]),
    ("GET", "/v1/worker/follow", &[Purpose::Worker]),
    ("PUT", "/v1/worker/follow", &[Purpose::Worker]),
    ("POST", "/v1/worker/follow/numbers", &[Purpose::Worker]),
    ("POST", "/v1/worker/follow/records", &[Purpose::Worker]),
    ("GET", "/v1/worker/book", &[Purpose::Worker]),
    ("DELETE", "/v1/worker/book", &[Purpose::Worker]),
    ("POST", "/v1/worker/book/fill", &[Purpose::Worker]),
    ("POST", "/v1/worker/book/records", &[Purpose::Worker]),
    ("POST", "/v1/worker/book/finish", &[Purpose::Worker]),
    ("POST", "/v1/worker/book/holders", &[Purpose::Worker]),
    ("PUT", "/v1/tokens/not-before", &[Purpose::Controller]),
];

const PURPOSES: [Purpose; 8] = [
    Purpose::Ingest,
    Purpose::Lookup,
    Purpose::Worker,
    Purpose::Admin,
    Purpose::Controller,
    Purpose::Erase,
    Purpose::Privacy,
    Purpose::Operator,
];

/// A token with these claims; the operator's names no company.
fn minted(keys: &TokenKeys, claims: &Claims) -> SecretString {
    match claims.purpose {
        Purpose::Operator => keys.mint_operator(&crate::directory::OperatorClaims {
            issued_at: claims.issued_at,
            expires_at: claims.expires_at.unwrap_or(Timestamp::MAX),
        }),
        _ => keys.mint(claims),
    }
    .unwrap()
}

#[tokio::test]
async fn the_table_holds_every_endpoint_of_the_document() {
    let document: Value = serde_json::from_str(&crate::directory::openapi_json().unwrap()).unwrap();
    let mut described = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let concrete = path.replace("{number}", "0312345678");
            let (.., purposes) = ENDPOINTS
                .iter()
                .find(|(m, p, _)| m.eq_ignore_ascii_case(method) && *p == concrete)
                .unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            let schemes: Vec<_> = operation["security"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|scheme| scheme.as_object().unwrap().keys().cloned())
                .collect();
            assert_eq!(
                schemes,
                purposes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "{method} {path}"
            );
            described += 1;
        }
    }
    assert_eq!(described, ENDPOINTS.len());
}

on_each_database! {
    a_wrong_token_is_refused_everywhere_and_learns_nothing,
}

async fn a_wrong_token_is_refused_everywhere_and_learns_nothing(on: Backend) {
    let directory = Directory::start(on).await;
    // A contact that a request could find.
    let edit = crate::directory::model::ContactEdit {
        person_name: Some("Sato".to_owned()),
        company_name: None,
    };
    directory
        .admin()
        .put_contact("0312345678", &edit)
        .await
        .unwrap();

    let keys = TokenKeys::parse(KEY).unwrap();
    let foreign = TokenKeys::parse("YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=").unwrap();
    let over = Some(Timestamp::now() - Duration::from_secs(3_600));
    for (method, path, purposes) in ENDPOINTS {
        let right = claims("acme", purposes[0]);
        let good = minted(&keys, &right).expose_secret().to_owned();
        let mut wrong = vec![
            (None, 401, "no-token"),
            (Some(String::new()), 401, "no-token"),
            (Some("x".to_owned()), 401, "token-invalid"),
            (Some(format!("{good}x")), 401, "token-invalid"),
            (
                Some(good.rsplit_once('.').unwrap().0.to_owned() + "."),
                401,
                "token-invalid",
            ),
            (
                Some(minted(&foreign, &right).expose_secret().to_owned()),
                401,
                "token-invalid",
            ),
            (
                Some(
                    minted(
                        &keys,
                        &Claims {
                            expires_at: over,
                            ..right.clone()
                        },
                    )
                    .expose_secret()
                    .to_owned(),
                ),
                401,
                "token-expired",
            ),
        ];
        for purpose in PURPOSES
            .into_iter()
            .filter(|purpose| !purposes.contains(purpose))
        {
            let claims = Claims {
                purpose,
                ..right.clone()
            };
            let token = minted(&keys, &claims);
            wrong.push((Some(token.expose_secret().to_owned()), 403, "wrong-purpose"));
        }
        for (token, status, code) in wrong {
            // The body is invalid, but the sender of a wrong token must not learn even that.
            let reply = directory
                .raw(method, path, token.as_deref(), "{rubbish")
                .await;
            let seen = (
                reply.status,
                reply.json()["code"].as_str().unwrap().to_owned(),
            );
            assert_eq!(seen, (status, code.to_owned()), "{method} {path} {token:?}");
            assert_eq!(
                reply.authenticate.as_deref(),
                (status == 401).then_some("Bearer")
            );
            assert!(!reply.body.contains("Sato"));
            if let Some(token) = token.filter(|token| token.len() > 1) {
                assert!(
                    !reply.body.contains(&token),
                    "a refusal does not repeat the token"
                );
            }
        }
        // A stream has no end; what it takes is in `waiting`.
        let purposes = purposes.iter().filter(|it| **it != Purpose::Operator);
        for purpose in purposes {
            let token = keys
                .mint(&Claims {
                    purpose: *purpose,
                    ..right.clone()
                })
                .unwrap();
            let reply = directory
                .raw(method, path, Some(token.expose_secret()), "{rubbish")
                .await;
            assert!(
                !matches!(reply.status, 401 | 403),
                "{method} {path} {purpose}: {}",
                reply.status
            );
        }
    }
}

#[tokio::test]
async fn what_needs_no_token_says_nothing_about_tenants() {
    let directory = Directory::start(Backend::Sqlite).await;
    for path in ["/healthz", "/readyz"] {
        let reply = directory.raw("GET", path, None, "").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok"));
    }
    let reply = directory.raw("GET", "/v1/openapi.json", None, "").await;
    assert_eq!(reply.body, crate::directory::openapi_json().unwrap());
    let reply = directory.raw("GET", "/v1/nothing", None, "").await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (404, Some("no-such-endpoint"))
    );
    let reply = directory.raw("DELETE", "/v1/calls", None, "").await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (405, Some("wrong-method"))
    );
}

#[tokio::test]
async fn keys_rotate_without_a_gap() {
    const NEW: &str = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";
    let directory = Directory::start(Backend::Sqlite).await;
    let file = directory.folder.path().join("keys");
    let old = token("acme", Purpose::Lookup);
    let new = TokenKeys::parse(NEW)
        .unwrap()
        .mint(&claims("acme", Purpose::Lookup))
        .unwrap();
    let asks = async |token: &SecretString| {
        let reply = directory.raw("GET", "/v1/calls", Some(token.expose_secret()), "");
        reply.await.status
    };
    let becomes = async |token: &SecretString, status: u16| {
        eventually(async || asks(token).await == status).await;
    };
    let refusals = r#"switchboard_directory_key_file_changes_total{outcome="refused"} 1"#;
    assert_eq!((asks(&old).await, asks(&new).await), (200, 401));
    std::fs::write(&file, "not a key").unwrap();
    eventually(async || {
        let metrics = directory.raw("GET", "/metrics", None, "").await;
        metrics.body.contains(refusals)
    })
    .await;
    assert_eq!(asks(&old).await, 200, "a slip refuses nobody");
    std::fs::write(&file, format!("{NEW}\n{KEY}\n")).unwrap();
    becomes(&new, 200).await;
    assert_eq!(asks(&old).await, 200, "both are good");
    std::fs::write(&file, NEW).unwrap();
    becomes(&old, 401).await;
    assert_eq!(asks(&new).await, 200);
}
