//! Tests: statements against a small org, their results and their errors.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::project::{self, Answer};
use super::{QueryError, Scope, prepare};
use crate::org::access::Access;
use crate::org::{Org, Record, Sharing, User, World};
use crate::switches::Switches;

fn prepared(org: Org) -> Org {
    let mut world = World::new().org(org);
    world.prepare(Timestamp::now()).unwrap();
    world.orgs.remove(0)
}

fn acme() -> Org {
    prepared(
        Org::enterprise("Acme")
            .user(User::integration("i@acme"))
            .user(User::standard("s@acme"))
            .account(Record::account("Acme KK").phone("03-1234-5678"))
            .account(Record::account("Beta GmbH"))
            .contact(
                Record::person("Sato")
                    .first("Taro")
                    .phone("03-1111-2222")
                    .of_account("Acme KK")
                    .modified("2026-01-01T00:00:00Z"),
            )
            .contact(
                Record::person("Ito")
                    .mobile("090-1")
                    .of_account("Beta GmbH")
                    .modified("2026-02-01T00:00:00Z")
                    .owned_by("s@acme"),
            )
            .contact(
                Record::person("O'Neil")
                    .phone("(03)1111-2222")
                    .modified("2026-03-01T00:00:00Z"),
            )
            .lead(
                Record::person("Abe")
                    .set("Company", "Gamma")
                    .phone("0311112222"),
            ),
    )
}

fn ask(org: &Org, username: &str, text: &str) -> Result<Json, QueryError> {
    let switches = Switches::default();
    let access = Access::of(org, org.user_named(username).unwrap(), &switches);
    let scope = Scope {
        org,
        access: &access,
        switches: &switches,
        now: Timestamp::now(),
        all: false,
    };
    let plan = prepare(text, &scope)?;
    Ok(match project::run(&plan, &scope) {
        Answer::Count(count) => json!(count),
        Answer::Aggregate(row) => row,
        Answer::Rows(rows) => Json::from(project::records(&plan, &rows, &scope, "50.0")),
    })
}

fn names(text: &str) -> Vec<String> {
    let answer = ask(&acme(), "i@acme", text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    answer
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["LastName"].as_str().unwrap().to_owned())
        .collect()
}

fn refused(text: &str) -> (&'static str, String) {
    let error = ask(&acme(), "i@acme", text).expect_err(text);
    (error.code, error.message)
}

#[test]
fn conditions() {
    let from = "SELECT LastName FROM Contact WHERE";
    for (condition, expected) in [
        ("Phone = '03-1111-2222'", vec!["Sato"]),
        ("lastname = 'SATO'", vec!["Sato"]),
        ("LastName = 'O\\'Neil'", vec!["O'Neil"]),
        ("Phone != '03-1111-2222'", vec!["Ito", "O'Neil"]),
        ("Phone = null", vec!["Ito"]),
        ("Phone != null", vec!["Sato", "O'Neil"]),
        (
            "Phone IN ('03-1111-2222', '(03)1111-2222') OR MobilePhone IN ('090-1')",
            vec!["Sato", "Ito", "O'Neil"],
        ),
        ("Phone NOT IN ('03-1111-2222')", vec!["Ito", "O'Neil"]),
        ("Phone LIKE '%1111%'", vec!["Sato", "O'Neil"]),
        ("NOT Phone LIKE '03%'", vec!["Ito", "O'Neil"]),
        (
            "(Phone = null OR LastName = 'Sato') AND Account.Name = 'acme kk'",
            vec!["Sato"],
        ),
        ("Account.Name = null", vec!["O'Neil"]),
        (
            "LastModifiedDate >= 2026-02-01T00:00:00Z",
            vec!["Ito", "O'Neil"],
        ),
        (
            "LastModifiedDate > 2026-02-01T09:00:00+09:00",
            vec!["O'Neil"],
        ),
        (
            "CreatedDate = TODAY AND IsDeleted = false",
            vec!["Sato", "Ito", "O'Neil"],
        ),
        ("CreatedDate < LAST_N_DAYS:2", vec![]),
        (
            "AccountId IN (SELECT Id FROM Account WHERE Name LIKE 'Acme%')",
            vec!["Sato"],
        ),
        (
            "AccountId NOT IN (SELECT Id FROM Account WHERE Name LIKE 'Acme%')",
            vec!["Ito", "O'Neil"],
        ),
        ("Id IN (SELECT ConvertedContactId FROM Lead)", vec![]),
    ] {
        assert_eq!(
            names(&format!("{from} {condition}")),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn order_limit_offset() {
    assert_eq!(
        names("SELECT LastName FROM Contact ORDER BY LastName"),
        ["Ito", "O'Neil", "Sato"]
    );
    assert_eq!(
        names("SELECT LastName FROM Contact ORDER BY LastModifiedDate DESC LIMIT 2"),
        ["O'Neil", "Ito"]
    );
    assert_eq!(
        names("SELECT LastName FROM Contact ORDER BY LastName LIMIT 1 OFFSET 1"),
        ["O'Neil"]
    );
    assert_eq!(
        names("SELECT LastName FROM Contact ORDER BY MobilePhone, LastName DESC"),
        ["Sato", "O'Neil", "Ito"]
    );
    assert_eq!(
        names("SELECT LastName FROM Contact ORDER BY MobilePhone NULLS LAST, LastName"),
        ["Ito", "O'Neil", "Sato"]
    );
    assert_eq!(
        names("SELECT LastName FROM Contact LIMIT 0"),
        Vec::<String>::new()
    );
    assert_eq!(
        refused("SELECT Id FROM Contact OFFSET 2001").0,
        "NUMBER_OUTSIDE_VALID_RANGE"
    );
}

#[test]
fn records_are_shaped_as_rest_shapes_them() {
    let org = acme();
    let answer = ask(
        &org,
        "i@acme",
        "SELECT Id, account.name, Owner.Name FROM Contact WHERE LastName = 'Sato'",
    )
    .unwrap();
    let row = &answer[0];
    let id = row["Id"].as_str().unwrap();
    assert_eq!(
        row["attributes"],
        json!({"type": "Contact", "url": format!("/services/data/v50.0/sobjects/Contact/{id}")})
    );
    assert_eq!(row["Account"]["attributes"]["type"], "Account");
    assert_eq!(row["Account"]["Name"], "Acme KK");
    assert_eq!(row["Owner"]["Name"], "Automated Process");
    let keys: Vec<&str> = row
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["attributes", "Id", "Account", "Owner"]);
    let none = ask(
        &org,
        "i@acme",
        "SELECT Account.Name FROM Contact WHERE LastName = 'O\\'Neil'",
    )
    .unwrap();
    assert_eq!(none[0]["Account"], Json::Null);
    let nested = ask(
        &org,
        "i@acme",
        "SELECT Name, (SELECT LastName FROM Contacts) FROM Account ORDER BY Name",
    )
    .unwrap();
    assert_eq!(nested[0]["Contacts"]["records"][0]["LastName"], "Sato");
}

#[test]
fn counting() {
    let org = acme();
    assert_eq!(
        ask(&org, "i@acme", "SELECT COUNT() FROM Contact").unwrap(),
        3
    );
    assert_eq!(
        ask(
            &org,
            "i@acme",
            "SELECT COUNT(Id), COUNT(Phone) p FROM Contact"
        )
        .unwrap()["expr0"],
        3
    );
    assert_eq!(
        ask(
            &org,
            "i@acme",
            "SELECT COUNT(Id), COUNT(Phone) p FROM Contact"
        )
        .unwrap()["p"],
        2
    );
}

#[test]
fn what_is_unknown_or_does_not_fit_is_refused() {
    let field = refused("SELECT Nope FROM Contact");
    assert_eq!(field.0, "INVALID_FIELD");
    assert!(
        field
            .1
            .starts_with("No such column 'Nope' on entity 'Contact'"),
        "{}",
        field.1
    );
    assert!(
        refused("SELECT Nope.Name FROM Contact")
            .1
            .starts_with("Didn't understand relationship 'Nope'")
    );
    let object = refused("SELECT Id FROM Nope");
    assert_eq!(object.0, "INVALID_TYPE");
    assert!(object.1.starts_with("sObject type 'Nope' is not supported"));
    // Person account fields exist only where the feature is on.
    assert_eq!(
        refused("SELECT PersonMobilePhone FROM Account").0,
        "INVALID_FIELD"
    );
    for (condition, code) in [
        ("Phone = 3", "INVALID_FIELD"),
        ("IsDeleted = 'false'", "INVALID_FIELD"),
        ("CreatedDate > 2026-01-01", "INVALID_FIELD"),
        ("CreatedDate > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("Description = 'x'", "INVALID_FIELD"),
        ("Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("Id LIKE '003%'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("IsDeleted > true", "INVALID_QUERY_FILTER_OPERATOR"),
        (
            "Phone = '1' OR Phone = '2' AND Phone = '3'",
            "MALFORMED_QUERY",
        ),
        ("LastName IN (SELECT Name FROM Account)", "MALFORMED_QUERY"),
    ] {
        assert_eq!(
            refused(&format!("SELECT Id FROM Contact WHERE {condition}")).0,
            code,
            "{condition}"
        );
    }
}

#[test]
fn without_view_all_only_what_is_shared_is_seen() {
    let count = "SELECT COUNT() FROM Contact";
    assert_eq!(ask(&acme(), "s@acme", count).unwrap(), 1);
    let mut org = acme();
    org.sharing.insert("Contact".into(), Sharing::Read);
    assert_eq!(ask(&org, "s@acme", count).unwrap(), 3);
    org.sharing
        .insert("Contact".into(), Sharing::ControlledByParent);
    assert_eq!(ask(&org, "s@acme", count).unwrap(), 1);
    org.sharing.insert("Account".into(), Sharing::Read);
    assert_eq!(
        ask(&org, "s@acme", count).unwrap(),
        3 - 1 + usize::from(false)
    );
}

#[test]
fn hidden_fields_and_missing_objects_do_not_exist() {
    let org = prepared(
        Org::platform_starter("P")
            .user(User::integration("i@p"))
            .grants("Integration", |grants| grants.hide("Contact.MobilePhone")),
    );
    assert_eq!(
        ask(&org, "i@p", "SELECT MobilePhone FROM Contact")
            .unwrap_err()
            .code,
        "INVALID_FIELD"
    );
    assert_eq!(
        ask(
            &org,
            "i@p",
            "SELECT Id FROM Contact WHERE MobilePhone = '1'"
        )
        .unwrap_err()
        .code,
        "INVALID_FIELD"
    );
    assert_eq!(
        ask(&org, "i@p", "SELECT Id FROM Lead").unwrap_err().code,
        "INVALID_TYPE"
    );
    let minimum = prepared(Org::enterprise("M").user(User::new("m@m", "Minimum Access")));
    assert_eq!(
        ask(&minimum, "m@m", "SELECT Id FROM Contact")
            .unwrap_err()
            .code,
        "INVALID_TYPE"
    );
}

#[test]
fn the_permission_probe_of_the_facts_works() {
    let probe = |org: &Org, username: &str| {
        let id = &org.user_named(username).unwrap().id;
        let text = format!(
            "SELECT SobjectType, PermissionsRead, PermissionsViewAllRecords, Parent.PermissionsViewAllData FROM ObjectPermissions \
             WHERE SobjectType IN ('Lead','Contact','Account') AND ParentId IN (SELECT PermissionSetId FROM \
             PermissionSetAssignment WHERE AssigneeId = '{id}') ORDER BY SobjectType"
        );
        ask(org, username, &text).unwrap()
    };
    let org = prepared(
        Org::enterprise("A")
            .user(User::integration("i@a"))
            .user(User::standard("s@a"))
            .user(User::administrator("x@a"))
            .grants("Integration", |grants| grants.without_view_all("Contact")),
    );
    let rows = probe(&org, "i@a");
    let seen: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            (
                r["SobjectType"].as_str().unwrap(),
                r["PermissionsViewAllRecords"] == true,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("Account", true), ("Contact", false), ("Lead", true)]
    );
    assert_eq!(rows[0]["Parent"]["PermissionsViewAllData"], false);
    let admin = ask(
        &org,
        "x@a",
        "SELECT Id FROM ObjectPermissions WHERE Parent.PermissionsModifyAllData = true",
    )
    .unwrap();
    assert!(
        admin
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["Id"].as_str().unwrap().starts_with("000"))
    );
    let organization = ask(&org, "i@a", "SELECT Id, Name, OrganizationType, IsSandbox, InstanceName, TrialExpirationDate, NamespacePrefix FROM Organization").unwrap();
    assert_eq!(organization[0]["OrganizationType"], "Enterprise Edition");
    let edit = ask(&org, "i@a", "SELECT PermissionsEditTask FROM PermissionSet WHERE Id IN (SELECT PermissionSetId FROM PermissionSetAssignment)").unwrap();
    assert!(
        edit.as_array()
            .unwrap()
            .iter()
            .any(|row| row["PermissionsEditTask"] == true)
    );
}

#[test]
fn a_user_has_one_call_center_which_may_be_hidden() {
    let org = prepared(
        Org::enterprise("A")
            .user(User::integration("i@a"))
            .user(User::standard("Sato@a").call_center("Support Tokyo"))
            .user(User::standard("ito@a").call_center("Support Tokyo"))
            .user(User::standard("abe@a").with(|user| user.active = false)),
    );
    let text = "SELECT Username, IsActive, CallCenterId FROM User WHERE Username IN ('sato@A', 'ito@a', 'abe@a') ORDER BY Username";
    let rows = ask(&org, "i@a", text).unwrap();
    let id = |at: usize| rows[at]["CallCenterId"].as_str();
    assert_eq!((rows[0]["IsActive"] == true, id(0)), (false, None));
    assert!(id(1).is_some_and(|id| id.starts_with("04v")));
    assert_eq!(id(1), id(2));
    let centers = ask(&org, "i@a", "SELECT Id, Name, InternalName FROM CallCenter").unwrap();
    assert_eq!(centers.as_array().unwrap().len(), 1);
    assert_eq!(centers[0]["InternalName"], "SupportTokyo");
    let without = prepared(
        Org::enterprise("A")
            .user(User::integration("i@a"))
            .with(|org| org.missing_objects.push("CallCenter".into())),
    );
    let code = |text: &str| ask(&without, "i@a", text).unwrap_err().code;
    assert_eq!(code(text), "INVALID_FIELD");
    assert_eq!(code("SELECT Id FROM CallCenter"), "INVALID_TYPE");
}

#[test]
fn thousands_of_numbers_in_many_records_are_found_by_index() {
    let mut org = acme();
    for n in 0..20_000 {
        org.insert(
            "Contact",
            Record::person("X")
                .phone(&format!("0{n}"))
                .mobile(&format!("090{n}")),
        )
        .unwrap();
    }
    let list: Vec<String> = (0..5_000).map(|n| format!("'0{}'", n * 3)).collect();
    let list = list.join(",");
    let text =
        format!("SELECT COUNT() FROM Contact WHERE Phone IN ({list}) OR MobilePhone IN ({list})");
    assert_eq!(ask(&org, "i@acme", &text).unwrap(), 5_000);
    let start = Instant::now();
    for _ in 0..5 {
        ask(&org, "i@acme", &text).unwrap();
    }
    // Nested scans would compare 10^9 texts. The limit is generous enough for a busy machine.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
