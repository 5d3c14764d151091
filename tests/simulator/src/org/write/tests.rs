//! Tests: records are written by the rules, and refused with the reason.

use serde_json::json;

use super::*;
use crate::org::World;

fn org() -> Org {
    let mut world =
        World::new().org(Org::enterprise("Acme").with(|org| org.person_accounts = true));
    world.prepare(Timestamp::now()).unwrap();
    world.orgs.remove(0)
}

#[test]
fn a_contact_gets_its_name_its_account_and_its_stamps() {
    let mut org = org();
    let account = org.insert("Account", Record::account("Acme KK")).unwrap();
    let record = Record::person("Sato")
        .first("Taro")
        .of_account("acme kk")
        .modified("2026-01-01T00:00:00Z");
    org.insert("Contact", record).unwrap();
    let contact = &org.all("Contact")[0];
    assert_eq!(contact["Name"], "Taro Sato");
    assert_eq!(contact["AccountId"], json!(account));
    assert_eq!(contact["LastModifiedDate"], "2026-01-01T00:00:00.000+0000");
}

#[test]
fn a_person_account_brings_its_contact() {
    let mut org = org();
    org.insert(
        "Account",
        Record::person_account("Hanako", "Ito").set("PersonMobilePhone", "090-1"),
    )
    .unwrap();
    let account = &org.all("Account")[0];
    let contact = &org.all("Contact")[0];
    assert_eq!(account["Name"], "Hanako Ito");
    assert_eq!(account["PersonContactId"], contact["Id"]);
    assert_eq!(contact["MobilePhone"], "090-1");
    assert_eq!(contact["IsPersonAccount"], true);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut org = org();
    assert!(
        org.insert("Contact", json!({"FirstName": "x"}))
            .unwrap_err()
            .contains("[LastName]")
    );
    assert!(
        org.insert("Contact", json!({"LastName": "x", "Nope": 1}))
            .unwrap_err()
            .contains("No such column 'Nope'")
    );
    assert!(
        org.insert("Contact", json!({"LastName": "x", "Phone": "1".repeat(41)}))
            .unwrap_err()
            .contains("too large")
    );
    assert!(
        org.insert("Contact", json!({"LastName": "x", "Account": "nobody"}))
            .is_err()
    );
    assert!(org.insert("User", json!({})).is_err());
}

#[test]
fn deleted_records_are_gone_for_everyone() {
    let mut org = org();
    let id = org.insert("Contact", Record::person("Sato")).unwrap();
    assert!(org.delete(&id));
    assert!(!org.delete(&id));
    assert_eq!(org.count("Contact"), 0);
    assert!(org.update(&id, json!({"Phone": "1"})).is_err());
}

#[test]
fn a_task_that_is_done_is_the_last_activity_of_who_it_is_about() {
    let mut org = org();
    org.insert("Account", Record::account("Acme KK")).unwrap();
    let sato = Record::person("Sato").of_account("Acme KK");
    let sato = org
        .insert("Contact", sato.modified("2026-01-01T00:00:00Z"))
        .unwrap();
    let mut by = Writer::test("2026-11-30T12:00:00.7Z".parse().unwrap());
    let task = |status: &str, day: &str| {
        let task = json!({"WhoId": sato, "Status": status, "ActivityDate": day});
        task.as_object().unwrap().clone()
    };
    let seen = |org: &Org| {
        let of = |row: &Json| {
            let fields = ["LastActivityDate", "SystemModstamp", "LastModifiedDate"];
            fields.map(|field| row[field].as_str().unwrap_or("null").to_owned())
        };
        (of(&org.all("Account")[0]), of(&org.all("Contact")[0]))
    };
    let before = seen(&org);
    assert_eq!(before.1[0], "null");
    let open = org
        .create("Task", &task("Not Started", "2026-11-29"), &by)
        .unwrap();
    assert_eq!(seen(&org), before, "it is still to be done");
    org.modify(&open, &task("Completed", "2026-11-29"), &by)
        .unwrap();
    let (of_account, of_contact) = seen(&org);
    let (day, stamp) = ("2026-11-29", "2026-11-30T12:00:00.000+0000");
    assert_eq!(of_contact, [day, stamp, "2026-01-01T00:00:00.000+0000"]);
    assert_eq!(of_account[..2], [day, stamp]);
    assert_eq!(of_account[2], before.0[2], "nobody has written it");
    by.now = "2026-11-30T13:00:00Z".parse().unwrap();
    org.create("Task", &task("Completed", "2026-11-28"), &by)
        .unwrap();
    assert_eq!(seen(&org).1, of_contact, "an earlier day is not the last");
}
