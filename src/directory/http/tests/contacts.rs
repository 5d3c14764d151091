//! Editing, removing and exporting contacts.

use secrecy::ExposeSecret as _;

use super::*;
use crate::directory::model::{CallsQuery, ContactEdit, LookupState};

on_each_database! {
    a_removed_contact_is_gone_and_its_calls_stay,
    the_export_holds_every_contact_in_the_platforms_layout,
}

fn named(company: Option<&str>, person: &str) -> ContactEdit {
    ContactEdit {
        company_name: company.map(str::to_owned),
        person_name: Some(person.to_owned()),
    }
}

async fn a_removed_contact_is_gone_and_its_calls_stay(on: Backend) {
    let directory = Directory::start(on).await;
    let leg = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    directory.ingest().ingest(&payload([leg])).await.unwrap();
    let worker = directory.worker();
    let write = write(WritePolicy::Overwrite, found("+81312345678", "Sato"));
    worker.write_contacts(&write).await.unwrap();
    worker.done(&done("d1", "+81312345678")).await.unwrap();
    let admin = token("acme", Purpose::Admin);
    let other = token("globex", Purpose::Admin);
    for (token, left) in [(&other, 1), (&admin, 0), (&admin, 0)] {
        let path = "/v1/contacts/03-1234-5678";
        let reply = directory
            .raw("DELETE", path, Some(token.expose_secret()), "")
            .await;
        assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        let contact = directory.lookup().contact("0312345678").await.unwrap();
        assert_eq!(usize::from(contact.is_some()), left);
    }
    let query = CallsQuery::default();
    let call = directory
        .lookup()
        .calls(&query)
        .await
        .unwrap()
        .calls
        .remove(0);
    assert_eq!((call.lookup, call.contact), (LookupState::Done, None));
}

async fn the_export_holds_every_contact_in_the_platforms_layout(on: Backend) {
    let directory = Directory::start(on).await;
    let admin = directory.admin();
    let evil = named(Some("Acme, \"KK\""), "=1+2");
    admin.put_contact("0312345678", &evil).await.unwrap();
    let sato = named(None, "佐藤");
    admin.put_contact("+1 312 555 0100", &sato).await.unwrap();
    let numbers = 1_000..2_500;
    for start in numbers.clone().step_by(250) {
        let contacts = (start..start + 250)
            .map(|n| found(&format!("+8131111{n:04}"), "Many"))
            .collect();
        let policy = WritePolicy::OnlyMissing;
        let request = WriteContactsRequest::new(policy, contacts);
        directory.worker().write_contacts(&request).await.unwrap();
    }
    let token = token("acme", Purpose::Lookup);
    let reply = directory
        .raw("GET", "/v1/contacts.csv", Some(token.expose_secret()), "")
        .await;
    assert_eq!(reply.status, 200);
    assert!(reply.content_type.unwrap().starts_with("text/csv"));
    let lines: Vec<_> = reply.body.split("\r\n").collect();
    assert_eq!(lines[0], "取引先会社名,取引先担当者名,電話番号,カテゴリー");
    assert_eq!(lines[1], ",佐藤,+13125550100,");
    let many: Vec<_> = numbers
        .map(|n| format!("Acme KK,Many,031111{n:04},"))
        .collect();
    assert_eq!(lines[2..1_502], many);
    assert_eq!(
        lines[1_502..],
        ["\"Acme, \"\"KK\"\"\",'=1+2,0312345678,", ""]
    );
}
