//! What is read beside a look-up by number: records that changed, and records by their Ids; and
//! what a resolver tells of itself.

use salesforce_simulator::{Org, Record, Simulator, User, World};

use super::{USER, resolver};
use crate::phone::{E164, Region, parse};
use crate::resolve::{Allowance, Change, Finding, Object, ResolveError, Resolver};
use crate::salesforce::{Error, Meaning, Phase};

fn numbers(count: usize) -> Vec<E164> {
    (0..count)
        .map(|at| parse(&format!("03{:08}", 31_000_000 + at * 37), &Region::JAPAN).unwrap())
        .collect()
}

/// So many numbers that asking for them costs this many calls, and no more.
fn costing(resolver: &Resolver, calls: usize) -> Vec<E164> {
    let mut asked = numbers(1_000);
    while asked.len().div_ceil(resolver.batch(&asked).numbers().len()) > calls {
        asked.pop();
    }
    let each = resolver.batch(&asked).numbers().len();
    assert_eq!(asked.len().div_ceil(each), calls);
    asked
}

fn acme() -> Org {
    Org::enterprise("acme").user(User::integration(USER).password("password"))
}

async fn start(org: Org) -> Simulator {
    Simulator::start(World::new().org(org)).await.unwrap()
}

fn since() -> jiff::Timestamp {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

fn hidden(object: Object, field: &'static str) -> Finding {
    Finding::FieldHidden { object, field }
}

#[tokio::test]
async fn changes_are_read_without_what_the_user_does_not_see() {
    let asked = numbers(1_000);
    let found = || Record::person("Found").phone(asked[7].as_str());
    for (org, findings) in [
        (acme(), vec![Finding::NoPersonAccounts]),
        (
            acme().grants("Integration", |grants| grants.hide("Contact.Title")),
            vec![Finding::NoPersonAccounts, hidden(Object::Contact, "Title")],
        ),
        (
            acme().grants("Integration", |grants| grants.without_object("Lead")),
            vec![
                Finding::NoPersonAccounts,
                Finding::ObjectUnavailable(Object::Lead),
            ],
        ),
    ] {
        let salesforce = start(org.contact(found())).await;
        // Whether the org has person accounts is not known: two queries name their fields.
        let mut resolver = resolver(&salesforce, Region::JAPAN)
            .await
            .person_accounts(None);
        let looked_up = resolver.resolve_missed(&asked, since()).await.unwrap();
        let looked_up = looked_up.unwrap();
        assert_eq!(looked_up.found.len(), 1, "{findings:?}");
        let person = looked_up.found[&asked[7]].person.as_deref();
        assert_eq!(person, Some("Found"));
        assert_eq!(looked_up.records.len(), 1);
        let told = resolver.findings();
        assert_eq!(told.len(), findings.len(), "{told:?}");
        assert!(
            findings.iter().all(|finding| told.contains(finding)),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn changes_that_salesforce_finds_too_much_are_asked_for_by_number() {
    let salesforce = start(acme()).await;
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    salesforce
        .edit(|world| world.switches.too_complicated_at = Some(10))
        .unwrap();
    let answer = resolver.resolve_missed(&numbers(1_000), since()).await;
    assert_eq!(answer.unwrap(), None);
    assert_eq!(resolver.findings(), []);
}

#[tokio::test]
async fn changes_are_read_as_long_as_that_costs_no_more_calls_than_the_numbers() {
    for (pages, calls) in [(3, 3), (4, 1)] {
        let crowd = (0..pages * 2_000).map(|_| Record::person("Crowd").phone("0399999999"));
        let salesforce = start(acme().records("Contact", crowd)).await;
        let mut resolver = resolver(&salesforce, Region::JAPAN).await;
        let asked = costing(&resolver, 3);
        let answer = resolver.resolve_missed(&asked, since()).await.unwrap();
        assert_eq!(answer.is_some(), pages == 3, "{pages} pages");
        assert_eq!(salesforce.counters().api_calls(), calls, "{pages} pages");
    }
    // Two calls are few, whatever changed.
    let salesforce = start(acme()).await;
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    let asked = costing(&resolver, 2);
    let answer = resolver.resolve_missed(&asked, since()).await;
    assert_eq!(answer.unwrap(), None);
    assert_eq!(salesforce.counters().api_calls(), 0);
}

/// The Ids of those that are there and of those that are gone.
fn told(changes: Vec<Change>) -> (Vec<String>, Vec<String>) {
    let (mut there, mut gone) = (vec![], vec![]);
    for change in changes {
        let id = change.id().to_owned();
        match change {
            Change::There(record) => {
                assert_eq!(record.id, id);
                there.push(id);
            }
            Change::Gone { merged_into, .. } => {
                assert_eq!(merged_into, None);
                gone.push(id);
            }
        }
    }
    gone.sort();
    (there, gone)
}

#[tokio::test]
async fn records_are_read_by_their_ids_and_one_that_does_not_come_back_is_gone() {
    let lead = |name: &str| {
        Record::person(name)
            .set("Company", "Umi")
            .phone("0312345678")
    };
    let org = acme()
        .contact(Record::person("Sato").phone("0312345678"))
        .account(Record::account("Acme").phone("0312345679"))
        .lead(lead("Open"))
        .lead(lead("Converted").set("IsConverted", true));
    let salesforce = start(org).await;
    let ids = |object: Object| {
        let ids = |org: &mut Org| org.ids(object.as_str(), false);
        salesforce.edit_org("acme", ids).unwrap()
    };
    let (contacts, accounts, leads) = (
        ids(Object::Contact),
        ids(Object::Account),
        ids(Object::Lead),
    );
    let missing = "003000000000999AAA";
    let asked = [
        (Object::Contact, contacts[0].as_str()),
        (Object::Contact, missing),
        (Object::Account, &accounts[0]),
        (Object::Lead, &leads[0]),
        (Object::Lead, &leads[1]),
    ]
    .map(|(object, id)| (object, id.to_owned()));
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    let changes = resolver.changes_of(&asked).await.unwrap();
    let all = [&contacts[0], &accounts[0], &leads[0]].map(String::clone);
    let mut gone = vec![missing.to_owned(), leads[1].clone()];
    gone.sort();
    assert_eq!(told(changes), (all.to_vec(), gone));
    assert_eq!(salesforce.counters().api_calls(), 1);
    assert_eq!(resolver.changes_of(&[]).await.unwrap(), []);
    assert_eq!(salesforce.counters().api_calls(), 1, "nothing was asked");

    // Of an object that the user does not see nothing is said.
    let blind = |org: &mut Org| {
        *org = org
            .clone()
            .grants("Integration", |grants| grants.without_object("Lead"));
    };
    salesforce.edit_org("acme", blind).unwrap();
    for _ in 0..2 {
        let changes = resolver.changes_of(&asked).await.unwrap();
        let there = [&contacts[0], &accounts[0]].map(String::clone);
        assert_eq!(told(changes), (there.to_vec(), vec![missing.to_owned()]));
        let findings = [Finding::ObjectUnavailable(Object::Lead)];
        assert_eq!(resolver.findings(), findings);
    }
}

#[tokio::test]
async fn a_hidden_field_is_left_out_of_every_query_of_its_object() {
    let org = acme()
        .grants("Integration", |grants| grants.hide("Contact.Title"))
        .contact(Record::person("Sato").phone("0312345678"));
    let salesforce = start(org).await;
    let ids = |org: &mut Org| org.ids("Contact", false);
    let there = salesforce.edit_org("acme", ids).unwrap();
    // Two queries in one request.
    let asked: Vec<(Object, String)> = (0..700)
        .map(|n| format!("003000000099{n:03}AAA"))
        .chain(there.clone())
        .map(|id| (Object::Contact, id))
        .collect();
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    let (found, gone) = told(resolver.changes_of(&asked).await.unwrap());
    assert_eq!((found, gone.len()), (there, 700));
    assert_eq!(resolver.findings(), [hidden(Object::Contact, "Title")]);
    assert_eq!(salesforce.counters().api_calls(), 2);
}

#[tokio::test]
async fn a_resolver_tells_what_is_left_of_its_allowance_and_asks_for_no_more() {
    let salesforce = start(acme()).await;
    let asked = numbers(1);
    let mut without = resolver(&salesforce, Region::JAPAN).await;
    assert_eq!(without.calls_left(), None);
    let batch = without.batch(&asked);
    without.resolve(&batch).await.unwrap();
    assert_eq!(without.calls_left(), None);
    assert!(without.instance_url().is_none());

    let url: url::Url = "https://acme.my.salesforce.com".parse().unwrap();
    let mut limited = without
        .allowance(Allowance(Some(3)))
        .instance(Some(url.clone()));
    assert_eq!(limited.instance_url(), Some(&url));
    for left in [2, 1, 0] {
        assert_eq!(limited.calls_left(), Some(left));
        assert_eq!(limited.may_ask().is_ok(), left > 0);
        let answer = limited.resolve(&batch).await;
        match left {
            0 => assert!(matches!(answer, Err(ResolveError::BudgetExhausted(3)))),
            _ => assert!(answer.is_ok()),
        }
    }
    let over = limited.allowance(Allowance(Some(1)));
    assert_eq!(over.calls_left(), Some(0), "more were made than may be");
}

#[tokio::test]
async fn what_salesforce_refuses_is_left_out_of_the_next_query_or_ends_the_run() {
    let salesforce = start(acme()).await;
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    let refusal = |code: &str, detail: &str| {
        Error::new(Meaning::RequestRejected, Phase::Request, detail).with_code(code)
    };
    let no_title = refusal(
        "INVALID_FIELD",
        "No such column 'Title' on entity 'Contact'.",
    );
    let all = |shape: &crate::resolve::Shape| shape.soql_all(Object::Contact, None);
    let sent = all(resolver.shape());
    assert!(resolver.leave_out(Object::Contact, &no_title, &sent, all));
    assert_eq!(resolver.findings(), [hidden(Object::Contact, "Title")]);
    let next = all(resolver.shape());
    assert!(!next.as_str().contains("Title"), "{}", next.as_str());
    assert!(
        resolver.leave_out(Object::Contact, &no_title, &sent, all),
        "another query has found it out since"
    );
    assert_eq!(resolver.findings().len(), 1);
    assert!(
        !resolver.leave_out(Object::Contact, &no_title, &next, all),
        "that query does not name it"
    );
    let other = refusal(
        "UNKNOWN_EXCEPTION",
        "No such column 'Phone' on entity 'Contact'.",
    );
    assert!(!resolver.leave_out(Object::Contact, &other, &next, all));
    assert_eq!(all(resolver.shape()), next);

    assert!(resolver.accounts_tell_persons());
    let no_phone = refusal(
        "INVALID_FIELD",
        "No such column 'Phone' on entity 'Account'.",
    );
    let of_accounts = |shape: &crate::resolve::Shape| shape.soql_all(Object::Account, None);
    let sent = of_accounts(resolver.shape());
    assert!(resolver.leave_out(Object::Account, &no_phone, &sent, of_accounts));
    assert!(!resolver.accounts_tell_persons());
    let searched: Vec<Object> = resolver.fully_searched().collect();
    assert_eq!(searched, [Object::Contact, Object::Lead]);
}
