//! The address book as a worker and a softphone meet it.

use secrecy::ExposeSecret as _;

use super::*;
use crate::directory::model::book::{
    BeginFill, BookRecord, FillPart, FillStep, FinishFill, HoldersRequest, WriteRecords,
};
use crate::directory::model::{CallsQuery, ContactEdit};

on_each_database! {
    a_first_ring_has_a_name_from_the_book_until_the_book_is_gone,
    a_request_that_cannot_be_right_says_which_field,
}

fn record() -> BookRecord {
    BookRecord {
        object: RecordObject::Contact,
        record_id: "0035g00000Abcde".to_owned(),
        account_id: Some("0015g00000Abcde".to_owned()),
        company_name: Some("Acme".to_owned()),
        person_name: Some(" Sato ".to_owned()),
        title: None,
        owner_name: None,
        modified_at: None,
        numbers: vec!["+81312345678".parse().unwrap()],
    }
}

async fn a_first_ring_has_a_name_from_the_book_until_the_book_is_gone(on: Backend) {
    let directory = Directory::start(on).await;
    let (worker, lookup) = (directory.worker(), directory.lookup());
    let leg = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    directory.ingest().ingest(&payload([leg])).await.unwrap();
    assert_eq!(lookup.contact("0312345678").await.unwrap(), None);
    let change = WriteRecords {
        records: vec![record()],
        ..WriteRecords::default()
    };
    let receipt = worker.write_records(&change).await.unwrap();
    assert!(!receipt.taken, "the company has no address book");

    let begin = BeginFill {
        anew: false,
        instance: Some("https://acme.my.salesforce.com".to_owned()),
    };
    let generation = worker.begin_fill(&begin).await.unwrap().generation;
    let part = FillPart {
        object: RecordObject::Contact,
        job_id: Some("7505g00000Abcde".to_owned()),
        locator: None,
        rows: 1,
        within: 0,
        skipped: 0,
        of: Some(1),
        done: true,
    };
    let page = WriteRecords {
        fill: Some(FillStep {
            generation,
            parts: vec![part.clone()],
        }),
        ..change
    };
    assert!(worker.write_records(&page).await.unwrap().taken);
    let book = worker.book().await.unwrap();
    assert_eq!(book.fill.unwrap().parts, [part]);
    let finish = FinishFill { generation };
    assert!(worker.finish_fill(&finish).await.unwrap().done);

    let found = lookup.contact("03-1234-5678").await.unwrap().unwrap();
    assert_eq!(found.person_name.as_deref(), Some("Sato"));
    let link = "https://acme.my.salesforce.com/0035g00000Abcde";
    assert_eq!(found.link.as_deref(), Some(link));
    let page = lookup.calls(&CallsQuery::default()).await.unwrap();
    assert_eq!(page.calls[0].contact.as_ref(), Some(&found));
    let stranger = directory.client("globex", Purpose::Lookup);
    assert_eq!(stranger.contact("0312345678").await.unwrap(), None);
    let request = HoldersRequest {
        numbers: record().numbers,
    };
    let holders = worker.holders(&request).await.unwrap();
    assert_eq!(holders.records[0].record_id, record().record_id);

    let edit = ContactEdit {
        person_name: Some("By hand".to_owned()),
        company_name: None,
    };
    let admin = directory.admin();
    admin.put_contact("0312345678", &edit).await.unwrap();
    let found = lookup.contact("0312345678").await.unwrap().unwrap();
    assert_eq!(found.person_name.as_deref(), Some("By hand"));
    let token = token("acme", Purpose::Admin);
    let path = "/v1/contacts/0312345678";
    directory
        .raw("DELETE", path, Some(token.expose_secret()), "")
        .await;
    assert!(lookup.contact("0312345678").await.unwrap().is_some());
    assert!(worker.drop_book().await.unwrap().done);
    assert_eq!(lookup.contact("0312345678").await.unwrap(), None);
}

async fn a_request_that_cannot_be_right_says_which_field(on: Backend) {
    let directory = Directory::start(on).await;
    let token = token("acme", Purpose::Worker);
    let record = |id: &str| json!({"object": "Contact", "recordId": id, "numbers": []});
    let many: Vec<Value> = (0..51)
        .map(|n| json!(format!("+813123456{n:02}")))
        .collect();
    for (path, body, field) in [
        (
            "records",
            json!({"records": [record("0' OR '1")]}),
            "records[0].recordId",
        ),
        (
            "records",
            json!({"records": [record("003A"), record("003A")]}),
            "records[1].recordId",
        ),
        (
            "records",
            json!({"records": [record("003A")], "gone": ["003A"]}),
            "gone[0]",
        ),
        ("records", json!({"gone": vec!["003A"; 1_001]}), "gone"),
        (
            "records",
            json!({"accounts": [{"recordId": ""}]}),
            "accounts[0].recordId",
        ),
        (
            "records",
            json!({"records": [{"object": "Contact", "recordId": "003A", "numbers": many}]}),
            "records[0].numbers",
        ),
        (
            "records",
            json!({"records": [{"object": "Contact", "recordId": "003A", "numbers": [],
                "personName": "a\u{7}b"}]}),
            "records[0].personName",
        ),
        (
            "records",
            json!({"fill": {"generation": 1, "parts": vec![json!({"object": "Lead", "rows": 1}); 11]}}),
            "fill.parts",
        ),
        (
            "records",
            json!({"fill": {"generation": 1, "parts": [{"object": "Lead", "rows": 1,
                "locator": "x".repeat(1_001)}]}}),
            "fill.parts[0].locator",
        ),
        (
            "fill",
            json!({"instance": "javascript:alert(1)"}),
            "instance",
        ),
    ] {
        let path = format!("/v1/worker/book/{path}");
        let token = Some(token.expose_secret());
        let reply = directory.raw("POST", &path, token, &body.to_string()).await;
        assert_eq!(reply.status, 400, "{field}: {}", reply.body);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(field), "{field}: {detail}");
    }
}
