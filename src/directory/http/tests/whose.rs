//! Whose data it is, over HTTP: claims, erasure, export, the audit, and who may ask for them.

use secrecy::ExposeSecret as _;

use super::*;
use crate::directory::ClientError;
use crate::directory::model::company::{Belonging, CompanySettings, EraseCompanyRequest, Owner};
use crate::directory::model::privacy::{AuditQuery, NumberRequest};
use crate::directory::model::{CallsQuery, ContactEdit};

on_each_database! {
    a_number_is_exported_erased_and_does_not_come_back,
    a_company_is_claimed_erased_and_its_tokens_are_refused,
    what_was_read_as_csv_and_edited_is_in_the_audit,
}

const NUMBER: &str = "0312345678";

impl Directory {
    fn privacy(&self) -> Client {
        self.client("acme", Purpose::Privacy)
    }

    /// A client with a token that was issued this many seconds from now.
    fn now(&self, purpose: Purpose, seconds: i64) -> Client {
        let issued_at = Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
        let claims = Claims {
            issued_at,
            ..claims("acme", purpose)
        };
        let token = TokenKeys::parse(KEY).unwrap().mint(&claims).unwrap();
        let client = Client::with_http(self.http.clone(), &self.base, token).unwrap();
        client.with_retry(Retry {
            attempts: 1,
            ..Retry::default()
        })
    }
}

fn named(number: &str) -> NumberRequest {
    NumberRequest {
        number: number.into(),
        region: None,
    }
}

fn owner(uid: &str, name: &str) -> Owner {
    Owner {
        uid: uid.into(),
        namespace: "acme".into(),
        name: name.into(),
    }
}

fn code(error: &ClientError) -> (u16, &str) {
    match error {
        ClientError::Refused { problem, .. } => (problem.status, problem.code.as_str()),
        other => panic!("{other:?}"),
    }
}

fn delivered() -> Value {
    payload([
        call("a", "03-1234-5678", "2026-11-01T00:00:00Z"),
        call("b", "0398765432", "2026-11-02T00:00:00Z"),
    ])
}

async fn a_number_is_exported_erased_and_does_not_come_back(on: Backend) {
    let directory = Directory::start(on).await;
    directory.ingest().ingest(&delivered()).await.unwrap();
    let sato = write(WritePolicy::Overwrite, found("+81312345678", "Sato"));
    directory.worker().write_contacts(&sato).await.unwrap();

    let export = directory
        .privacy()
        .export_number(&named(NUMBER))
        .await
        .unwrap();
    assert_eq!(export.e164.as_ref().unwrap().as_str(), "+81312345678");
    assert_eq!(export.calls.len(), 1);
    assert_eq!(export.contact.unwrap().person_name.as_deref(), Some("Sato"));
    assert!(export.asked_at.is_some() && export.erased_at.is_none());

    let erased = directory
        .privacy()
        .erase_number(&named("+81 3-1234-5678"))
        .await
        .unwrap();
    assert_eq!((erased.calls, erased.contacts, erased.others), (1, 1, 1));
    assert_eq!(erased.number_hash, export.number_hash);
    let receipt = directory.ingest().ingest(&delivered()).await.unwrap();
    assert_eq!((receipt.received, receipt.added, receipt.erased), (2, 0, 1));
    let receipt = directory.worker().write_contacts(&sato).await.unwrap();
    assert_eq!((receipt.written(), receipt.kept()), (0, 1));
    let history = directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap();
    let ids: Vec<_> = history.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["b"]);

    // Who looks it up, and who edits it, is told why.
    let reply = directory
        .raw(
            "GET",
            "/v1/contacts/0312345678",
            Some(token("acme", Purpose::Lookup).expose_secret()),
            "",
        )
        .await;
    assert_eq!(
        (reply.status, &reply.json()["code"]),
        (404, &json!("erased"))
    );
    let edit = ContactEdit {
        person_name: Some("Sato".into()),
        ..ContactEdit::default()
    };
    let error = directory
        .admin()
        .put_contact(NUMBER, &edit)
        .await
        .unwrap_err();
    assert_eq!(code(&error), (409, "erased"));

    let export = directory
        .privacy()
        .export_number(&named(NUMBER))
        .await
        .unwrap();
    assert!(export.erased_at.is_some() && export.calls.is_empty() && export.contact.is_none());
    let restored = directory
        .privacy()
        .restore_number(&named(NUMBER))
        .await
        .unwrap();
    assert!(restored.was_erased);
    let receipt = directory.ingest().ingest(&delivered()).await.unwrap();
    assert_eq!((receipt.added, receipt.erased), (1, 0));
    // It holds after a restart, and the audit is in it.
    directory
        .privacy()
        .erase_number(&named(NUMBER))
        .await
        .unwrap();
    let directory = directory.restart().await;
    let receipt = directory.ingest().ingest(&delivered()).await.unwrap();
    assert_eq!(receipt.erased, 1);
    let query = AuditQuery {
        number_hash: Some(erased.number_hash),
        ..AuditQuery::default()
    };
    let page = directory.privacy().audit(&query).await.unwrap();
    let told: Vec<_> = page
        .entries
        .iter()
        .map(|entry| entry.action.as_str())
        .collect();
    let expected = [
        "number-erased",
        "number-restored",
        "number-exported",
        "number-erased",
        "number-exported",
    ];
    assert_eq!(told, expected);
    assert!(!serde_json::to_string(&page).unwrap().contains("12345678"));
    for wrong in ["", "   ", &"1".repeat(201)] {
        let error = directory
            .privacy()
            .erase_number(&named(wrong))
            .await
            .unwrap_err();
        assert_eq!(code(&error), (400, "malformed"), "{wrong:?}");
    }
    directory.stop().await;
}

async fn a_company_is_claimed_erased_and_its_tokens_are_refused(on: Backend) {
    let directory = Directory::start(on).await;
    let settings = |uid: &str, name: &str| CompanySettings {
        owner: owner(uid, name),
        adopt: None,
        had_tokens: false,
        retain_days: Some(30),
    };
    let controller = directory.now(Purpose::Controller, 0);
    let state = controller
        .claim_company(&settings("u1", "link"))
        .await
        .unwrap();
    assert_eq!(
        (state.belongs, state.retain_days),
        (Belonging::Ours, Some(30))
    );
    let old = directory.ingest();
    old.ingest(&delivered()).await.unwrap();
    let state = controller
        .claim_company(&settings("u2", "other"))
        .await
        .unwrap();
    assert_eq!(
        (state.belongs, state.other),
        (Belonging::Another, Some(owner("u1", "link")))
    );

    let request = |uid: &str| EraseCompanyRequest {
        owner: owner(uid, "link"),
        had_tokens: false,
        not_before: Timestamp::from_second(Timestamp::now().as_second()).unwrap(),
    };
    // Another purpose does not do, nor does the controller's own other one.
    for purpose in [
        Purpose::Controller,
        Purpose::Admin,
        Purpose::Worker,
        Purpose::Privacy,
    ] {
        let error = directory
            .now(purpose, 0)
            .erase_company(&request("u1"))
            .await
            .unwrap_err();
        assert_eq!(code(&error), (403, "wrong-purpose"), "{purpose}");
    }
    let eraser = directory.now(Purpose::Erase, 0);
    assert_eq!(
        eraser.erase_company(&request("u2")).await.unwrap().belongs,
        Belonging::Another
    );
    assert_eq!(
        directory
            .lookup()
            .calls(&CallsQuery::default())
            .await
            .unwrap()
            .calls
            .len(),
        2
    );
    let erased = eraser.erase_company(&request("u1")).await.unwrap();
    assert!(erased.done && erased.rows >= 2, "{erased:?}");
    let error = old.ingest(&delivered()).await.unwrap_err();
    assert_eq!(code(&error), (401, "token-revoked"));
    // A token of after the erasure brings nothing in either, before somebody claims the company.
    let new = directory.now(Purpose::Ingest, 5);
    let receipt = new.ingest(&delivered()).await.unwrap();
    assert_eq!((receipt.added, receipt.erased), (0, 2));
    let controller = directory.now(Purpose::Controller, 5);
    let state = controller
        .claim_company(&settings("u2", "other"))
        .await
        .unwrap();
    assert_eq!((state.belongs, state.other), (Belonging::Ours, None));
    assert_eq!(new.ingest(&delivered()).await.unwrap().added, 2);

    for (field, uid, name, days) in [
        ("owner.uid", "", "link", None),
        ("owner.name", "u1", " ", None),
        ("retainDays", "u1", "link", Some(0)),
        ("retainDays", "u1", "link", Some(10_000)),
    ] {
        let settings = CompanySettings {
            retain_days: days,
            ..settings(uid, name)
        };
        let error = controller.claim_company(&settings).await.unwrap_err();
        let ClientError::Refused { problem, .. } = error else {
            panic!("{error:?}")
        };
        assert!(
            problem.status == 400 && problem.detail.starts_with(field),
            "{problem:?}"
        );
    }
    directory.stop().await;
}

async fn what_was_read_as_csv_and_edited_is_in_the_audit(on: Backend) {
    let directory = Directory::start(on).await;
    let edit = ContactEdit {
        person_name: Some("Sato".into()),
        ..ContactEdit::default()
    };
    directory.admin().put_contact(NUMBER, &edit).await.unwrap();
    let lookup = token("acme", Purpose::Lookup);
    let read = directory.raw("GET", "/v1/contacts.csv", Some(lookup.expose_secret()), "");
    assert_eq!(read.await.status, 200);
    let page = directory
        .privacy()
        .audit(&AuditQuery::default())
        .await
        .unwrap();
    let told: Vec<_> = page
        .entries
        .iter()
        .map(|entry| (entry.action.as_str(), entry.purpose.as_str()))
        .collect();
    assert_eq!(
        told,
        [("contacts-exported", "lookup"), ("contact-edited", "admin")]
    );
    assert!(
        page.entries.iter().all(|entry| entry.key_id.len() == 12),
        "{page:?}"
    );
    assert!(page.entries[0].number_hash.is_none());
    // Page by page, and of one's own company only.
    let one = AuditQuery {
        limit: Some(1),
        ..AuditQuery::default()
    };
    let first = directory.privacy().audit(&one).await.unwrap();
    let next = AuditQuery {
        cursor: first.next_cursor,
        ..one
    };
    let second = directory.privacy().audit(&next).await.unwrap();
    assert_eq!(second.entries, page.entries[1..]);
    assert_eq!(second.next_cursor, None);
    let other = directory.client("globex", Purpose::Privacy);
    assert_eq!(
        other.audit(&AuditQuery::default()).await.unwrap().entries,
        []
    );
    directory.stop().await;
}
