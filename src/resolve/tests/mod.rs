//! Lookups of numbers in an org of the simulator.

use std::collections::HashMap;

use salesforce_simulator::{Org, Record, Simulator, User, World};

use super::{FIRST_URL_BYTES, Match, Object, Resolver, UrlLength};
use crate::phone::{E164, Region, parse, spellings};
use crate::salesforce::{ApiVersion, Connection, Credentials, DialPolicy, Transport};

mod calls;
pub(crate) mod fake_salesforce;
mod reads;

const USER: &str = "integration@acme.example";

pub(crate) async fn resolver(salesforce: &Simulator, home: Region) -> Resolver {
    let connection = fake_salesforce::connection(salesforce, USER);
    connection.session().await.unwrap();
    Resolver::new(connection, home).person_accounts(Some(false))
}

pub(crate) async fn look_up(resolver: &mut Resolver, numbers: &[E164]) -> HashMap<E164, Match> {
    let mut found = HashMap::new();
    let mut pending = numbers;
    while !pending.is_empty() {
        let batch = resolver.batch(pending);
        if let Some(brought) = resolver.resolve(&batch).await.unwrap() {
            found.extend(brought.found);
            pending = &pending[batch.numbers().len()..];
        }
    }
    found
}

pub(crate) fn org(records: impl IntoIterator<Item = Record>) -> World {
    let user = User::integration(USER).password("password");
    World::new().org(
        Org::enterprise("acme")
            .user(user)
            .records("Contact", records),
    )
}

fn region(code: &str) -> Region {
    code.parse().unwrap()
}

/// A number is found if a field stores it in one of its most likely spellings; both fields are
/// tested.
#[tokio::test]
async fn a_number_is_found_in_any_region_and_its_neighbour_is_not() {
    for (home, text, neighbour) in [
        ("JP", "03-1234-5678", "03-1234-5679"),
        ("JP", "090-1234-5678", "080-1234-5678"),
        ("JP", "0120-123-456", "0120-123-457"),
        ("US", "(415) 555-0132", "(415) 555-0133"),
        ("GB", "020 7183 8750", "020 7183 8751"),
        ("DE", "030 123456", "030 1234567"),
    ] {
        let home = region(home);
        let number = parse(text, &home).unwrap();
        let other = parse(neighbour, &home).unwrap();
        for (at, stored) in spellings(&number, &home).into_iter().take(5).enumerate() {
            let record = Record::person("Stored");
            let record = if at % 2 == 0 {
                record.phone(&stored)
            } else {
                record.mobile(&stored)
            };
            let salesforce = Simulator::start(org([record])).await.unwrap();
            let mut resolver = resolver(&salesforce, home).await;
            let asked = [number.clone(), other.clone()];
            let found = look_up(&mut resolver, &asked).await;
            assert_eq!(found.len(), 1, "{stored:?}: {found:?}");
            assert_eq!(found[&number].object, Object::Contact, "{stored:?}");
        }
    }
}

/// There is one record for each number, each in another spelling, among near misses.
#[tokio::test]
async fn forty_spellings_of_ten_numbers_are_found_and_their_near_misses_are_not() {
    let home = region("JP");
    let numbers: Vec<E164> = (0..10)
        .map(|at| {
            parse(
                &format!(
                    "0{}{:08}",
                    [3, 6, 90, 80, 50][at % 5],
                    31_234_567 + at * 1009
                ),
                &home,
            )
        })
        .map(Result::unwrap)
        .collect();
    for spelling in 0..4 {
        let stored = numbers.iter().enumerate().map(|(at, number)| {
            let list = spellings(number, &home);
            Record::person(number.as_str()).phone(&list[(spelling * 4 + at) % list.len()])
        });
        let near = numbers.iter().flat_map(|number| {
            let text = number.as_str();
            let (cut, last) = text.split_at(text.len() - 1);
            let next = (last.parse::<u8>().unwrap() + 1) % 10;
            [format!("{cut}{next}"), format!("{text}0"), cut.to_owned()]
                .map(|text| Record::person("Near").phone(&text))
        });
        let salesforce = Simulator::start(org(stored.chain(near))).await.unwrap();
        let mut resolver = resolver(&salesforce, home).await;
        let found = look_up(&mut resolver, &numbers).await;
        for number in &numbers {
            let person = found.get(number).and_then(|found| found.person.as_deref());
            assert_eq!(person, Some(number.as_str()));
        }
        assert_eq!(salesforce.counters().api_calls(), 1);
    }
}

#[tokio::test]
async fn converted_leads_and_custom_fields_are_no_match() {
    let user = User::integration(USER).password("password");
    let lead = |name: &str| {
        Record::person(name)
            .set("Company", "Umi")
            .phone("0312345678")
    };
    let org = Org::enterprise("acme")
        .user(user)
        .lead(lead("Converted").set("IsConverted", true))
        .contact(
            Record::person("Fax")
                .set("Fax", "0312345678")
                .set("HomePhone", "0312345678"),
        );
    let salesforce = Simulator::start(World::new().org(org)).await.unwrap();
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    let number = parse("0312345678", &Region::JAPAN).unwrap();
    let asked = std::slice::from_ref(&number);
    assert!(look_up(&mut resolver, asked).await.is_empty());
    salesforce
        .edit_org("acme", |org| *org = org.clone().lead(lead("Open")))
        .unwrap();
    let found = look_up(&mut resolver, asked).await;
    assert_eq!(found[&number].person.as_deref(), Some("Open"));
}

/// Full-width text is asked for where a request has room (docs/numbers.md).
#[tokio::test]
async fn full_width_text_is_found_where_there_is_room() {
    let home = Region::JAPAN;
    let number = |text: &str| parse(text, &home).unwrap();
    let known = Record::person("Sato")
        .phone("０３−１２３４−５６７８")
        .mobile("090-1111-2222");
    let alone = Record::person("Kato").phone("０６－１２３４－５６７８");
    let salesforce = Simulator::start(org([known, alone])).await.unwrap();
    let mut resolver = resolver(&salesforce, home).await;
    let asked = [
        number("03-1234-5678"),
        number("09011112222"),
        number("0612345678"),
    ];
    let found = look_up(&mut resolver, &asked).await;
    let person = |number: &E164| found.get(number).and_then(|found| found.person.as_deref());
    assert_eq!(person(&asked[0]), Some("Sato"));
    assert_eq!(person(&asked[1]), Some("Sato"));
    assert_eq!(person(&asked[2]), Some("Kato"));
}
