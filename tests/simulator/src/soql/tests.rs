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
        Answer::Aggregate(rows) => Json::from(rows),
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
    let ask = |text: &str| ask(&org, "i@acme", text).unwrap();
    assert_eq!(ask("SELECT COUNT() FROM Contact"), 3);
    let counts = ask("SELECT COUNT(Id), COUNT(Phone) p, MAX(LastModifiedDate) FROM Contact");
    assert_eq!(
        counts,
        json!([{"attributes": {"type": "AggregateResult"}, "expr0": 3, "p": 2, "expr1": "2026-03-01T00:00:00.000+0000"}])
    );
    let nobody = ask("SELECT COUNT(Id), MIN(Phone) FROM Contact WHERE LastName = 'Nobody'");
    assert_eq!(
        (&nobody[0]["expr0"], &nobody[0]["expr1"]),
        (&json!(0), &Json::Null)
    );
}

#[test]
fn rows_are_grouped() {
    let org = acme();
    let table = |text: &str, columns: [&str; 2]| -> Vec<(Json, Json)> {
        let rows = ask(&org, "i@acme", text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let cell = |row: &Json, name: &str| row.get(name).cloned().unwrap();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| (cell(row, columns[0]), cell(row, columns[1])))
            .collect()
    };
    let by_account = "SELECT Account.Name, COUNT(Id) FROM Contact GROUP BY Account.Name";
    assert_eq!(
        table(
            &format!("{by_account} ORDER BY Account.Name NULLS LAST"),
            ["Name", "expr0"]
        ),
        [
            (json!("Acme KK"), json!(1)),
            (json!("Beta GmbH"), json!(1)),
            (Json::Null, json!(1))
        ]
    );
    // Numbers that two records hold, as duplicates are found.
    let twice = "SELECT AccountId a, COUNT_DISTINCT(LastName) names FROM Contact WHERE LastName != 'Ito' \
        GROUP BY AccountId HAVING COUNT(Phone) > 0 AND NOT MIN(LastName) = 'O\\'Neil' ORDER BY COUNT(Id) DESC LIMIT 5";
    assert_eq!(table(twice, ["a", "names"]).len(), 1);
    for (text, message) in [
        (
            "SELECT LastName, COUNT(Id) FROM Contact",
            "Field must be grouped or aggregated: LastName",
        ),
        (
            "SELECT Phone FROM Contact GROUP BY LastName",
            "Field must be grouped or aggregated: Phone",
        ),
        (
            "SELECT COUNT(Id) FROM Contact GROUP BY LastName ORDER BY Phone",
            "Ordered field must be grouped or aggregated: Phone",
        ),
        (
            "SELECT COUNT(Id) FROM Contact LIMIT 1",
            "Non-grouped query that uses overall aggregate functions cannot also use LIMIT",
        ),
        (
            "SELECT SUM(Phone) FROM Contact",
            "field Phone does not support aggregate operator SUM",
        ),
        (
            "SELECT COUNT(Id) FROM Contact GROUP BY CreatedDate",
            "field 'CreatedDate' can not be grouped in a query call",
        ),
        (
            "SELECT COUNT(Id) n, COUNT(Phone) n FROM Contact",
            "duplicate alias: n",
        ),
        (
            "SELECT LastName n FROM Contact",
            "only aggregate expressions use field aliasing",
        ),
        (
            "SELECT Id FROM Contact WHERE COUNT(Id) > 1",
            "unexpected token: '('",
        ),
    ] {
        assert_eq!(
            refused(text),
            ("MALFORMED_QUERY", message.to_owned()),
            "{text}"
        );
    }
}

#[test]
fn fields_as_people_read_them() {
    let mut org = acme();
    let read = |org: &Org, text: &str| ask(org, "i@acme", text).unwrap()[0].clone();
    let text = "SELECT LastModifiedDate, FORMAT(LastModifiedDate) shown, toLabel(Account.Industry) FROM Contact \
        WHERE LastName = 'Sato'";
    let row = read(&org, text);
    assert_eq!(row["LastModifiedDate"], "2026-01-01T00:00:00.000+0000");
    assert_eq!(row["shown"], "2026/01/01 9:00");
    assert_eq!(row["Account"]["Industry"], Json::Null);
    org.user_mut("i@acme").unwrap().locale = "en_US".to_owned();
    assert_eq!(read(&org, text)["shown"], "1/1/2026, 9:00 AM");
}

#[test]
fn a_reference_to_several_objects_says_to_which() {
    let mut org = acme();
    let contact = ask(
        &org,
        "i@acme",
        "SELECT Id FROM Contact WHERE LastName = 'Sato'",
    )
    .unwrap();
    let contact = contact[0]["Id"].as_str().unwrap().to_owned();
    org.insert(
        "Task",
        Record::new()
            .set("Subject", "Call")
            .set("WhoId", contact.as_str())
            .owned_by("i@acme"),
    )
    .unwrap();
    let row = |text: &str| ask(&org, "i@acme", text).unwrap()[0]["Who"].clone();
    assert_eq!(
        row("SELECT Who.Type, Who.Name FROM Task WHERE Who.Type = 'Contact'")["Type"],
        "Contact"
    );
    let who = row(
        "SELECT TYPEOF Who WHEN Contact THEN LastName, Phone WHEN Lead THEN Company ELSE Id END FROM Task",
    );
    assert_eq!(
        (&who["LastName"], &who["attributes"]["type"]),
        (&json!("Sato"), &json!("Contact"))
    );
    assert_eq!(
        row("SELECT TYPEOF Who WHEN Lead THEN Company END FROM Task"),
        Json::Null
    );
    for (text, code) in [
        (
            "SELECT TYPEOF Account WHEN Account THEN Phone END FROM Contact",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT TYPEOF Who WHEN Account THEN Phone END FROM Task",
            "INVALID_TYPE",
        ),
        (
            "SELECT TYPEOF Nope WHEN Account THEN Phone END FROM Task",
            "INVALID_FIELD",
        ),
        (
            "SELECT TYPEOF Who WHEN Lead THEN Nope END FROM Task",
            "INVALID_FIELD",
        ),
    ] {
        assert_eq!(refused(text).0, code, "{text}");
    }
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

#[test]
fn a_semi_join_stands_where_salesforce_takes_it() {
    let of_acme = "SELECT Id FROM Account WHERE Name = 'Acme KK'";
    assert_eq!(
        names(&format!(
            "SELECT LastName FROM Contact WHERE AccountId IN ({of_acme})"
        )),
        ["Sato"]
    );
    assert_eq!(
        names(&format!(
            "SELECT LastName FROM Contact WHERE LastName LIKE 'S%' AND (AccountId IN ({of_acme}))"
        )),
        ["Sato"]
    );
    let at_top = "not in nested WHERE expressions";
    for (condition, why) in [
        (
            format!("LastName = 'x' OR AccountId IN ({of_acme})"),
            "'OR' operator",
        ),
        (
            format!("LastName = 'x' AND (LastName = 'y' OR AccountId IN ({of_acme}))"),
            at_top,
        ),
        (format!("NOT AccountId IN ({of_acme})"), at_top),
        (format!("AccountId IN ({of_acme} LIMIT 1)"), "'LIMIT'"),
        (format!("AccountId IN ({of_acme} ORDER BY Name)"), "'ORDER'"),
        (
            "AccountId IN (SELECT AccountId FROM Contact)".to_owned(),
            "should not be on the same object type",
        ),
        (
            "AccountId IN (SELECT Id FROM Lead)".to_owned(),
            "'AccountId' should point to the same object type",
        ),
        (
            "AccountId IN (SELECT Id FROM Account WHERE OwnerId IN (SELECT Id FROM User))"
                .to_owned(),
            "Nesting",
        ),
    ] {
        let (code, message) = refused(&format!("SELECT Id FROM Contact WHERE {condition}"));
        assert_eq!(code, "MALFORMED_QUERY", "{condition}");
        assert!(message.contains(why), "{condition}: {message}");
    }
}
