//! The second question: what it finds, what it costs, and when it is not asked.

use std::collections::BTreeMap;

use salesforce_simulator::{Fault, Record, SearchIndex, Simulator, World};
use switchboard::phone::{E164, Region, parse};
use switchboard::resolve::{Allowance, Object};

use crate::habits::{habits, recall, start, table};
use crate::{acme, resolver_of};

fn number(text: &str) -> E164 {
    parse(text, &Region::JAPAN).unwrap()
}

/// A resolver that knows that the org has no person accounts.
fn resolver(salesforce: &Simulator) -> switchboard::resolve::Resolver {
    crate::resolver(salesforce).person_accounts(Some(false))
}

async fn org(texts: &[&str]) -> Simulator {
    let record = |text: &&str| Record::person(text).phone(text);
    let org = acme().records("Contact", texts.iter().map(record));
    Simulator::start(World::new().org(org)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_as_people_write_them_are_found_in_every_country() {
    let mut rows = BTreeMap::new();
    for (code, habits) in habits() {
        let home: Region = code.parse().unwrap();
        let salesforce = start(acme(), &habits).await;
        rows.insert(
            code,
            recall(resolver_of(&salesforce, home), home, &habits).await,
        );
    }
    println!("{}", table(&rows));
    let lost: Vec<&String> = rows.values().flat_map(|row| &row.lost).collect();
    assert!(lost.is_empty(), "{} lost: {lost:#?}", lost.len());
    for (code, row) in &rows {
        assert!(row.first_calls <= 3 && row.second_calls <= 2, "{code}");
        assert!(
            row.by_first * 100 >= row.numbers * 40,
            "{code}: {}",
            row.by_first
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_counts_only_if_the_field_holds_exactly_the_number() {
    let salesforce = org(&[
        "TEL 06-1234-5678",
        "TEL 03-1234-56789",
        "TEL +44 3 1234 5678",
        "1234 5678 内線3",
        "内線 0312345678 99",
        "+1 312345678 (main)",
    ])
    .await;
    let mut resolver = resolver(&salesforce);
    let answer = resolver
        .resolve_again(&[number("03-1234-5678")])
        .await
        .unwrap();
    assert_eq!(answer.asked, 1);
    assert!(
        answer.looked_up.found.is_empty(),
        "{:?}",
        answer.looked_up.found
    );
    // The neighbours of all habits are nobody's.
    for (code, habits) in habits() {
        let home: Region = code.parse().unwrap();
        let salesforce = start(acme(), &habits).await;
        let mut resolver = resolver_of(&salesforce, home);
        let near = habits.iter().filter_map(|habit| {
            let (begin, last) = habit.caller.split_at(habit.caller.len() - 2);
            let next = (last.parse::<u8>().unwrap() + 17) % 100;
            parse(&format!("{begin}{next:02}"), &home).ok()
        });
        let near: Vec<E164> = near.collect();
        let batch = resolver.batch(&near);
        let first = resolver.resolve(&batch).await.unwrap().unwrap();
        assert!(first.found.is_empty(), "{code}: {:?}", first.found);
        let second = resolver.resolve_again(&near).await.unwrap();
        assert!(
            second.looked_up.found.is_empty(),
            "{code}: {:?}",
            second.looked_up.found
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_unknown_numbers_cost_few_searches() {
    let salesforce = org(&["TEL 03-3999-0000 内線12"]).await;
    let mut resolver = resolver(&salesforce);
    let numbers: Vec<E164> = (0..1_000)
        .map(|at| number(&format!("03{:08}", 39_990_000 + at)))
        .collect();
    let answer = resolver.resolve_again(&numbers).await.unwrap();
    println!(
        "1,000 unknown numbers: {} calls for the second question",
        answer.calls
    );
    assert_eq!(answer.asked, 1_000);
    assert_eq!(answer.looked_up.found.len(), 1);
    assert!(answer.calls <= 15, "{}", answer.calls);
    assert_eq!(salesforce.counters().api_calls(), answer.calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_asked_where_calls_are_nearly_used_or_somebody_switched_it_off() {
    let salesforce = org(&["03-1234-5678 内線12"]).await;
    let asked = [number("03-1234-5678")];
    let off = resolver(&salesforce).second_question(false);
    let few = resolver(&salesforce).allowance(Allowance(Some(2)));
    for mut resolver in [off, few] {
        let answer = resolver.resolve_again(&asked).await.unwrap();
        assert_eq!((answer.asked, answer.calls), (0, 0));
    }
    assert_eq!(salesforce.counters().api_calls(), 0);
    // The org's own requests, which the last answer told.
    salesforce
        .edit_org("acme", |org| org.daily_limit = Some(10))
        .unwrap();
    let mut resolver = resolver(&salesforce);
    let unknown: Vec<E164> = (0..9)
        .map(|at| number(&format!("06123456{at:02}")))
        .collect();
    for number in &unknown {
        let batch = resolver.batch(std::slice::from_ref(number));
        resolver.resolve(&batch).await.unwrap();
    }
    let answer = resolver.resolve_again(&asked).await.unwrap();
    assert_eq!(answer.asked, 0, "9 of 10 requests are used");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_without_a_search_costs_one_call_and_loses_nothing_else() {
    let salesforce = org(&["03-1234-5678 内線12"]).await;
    salesforce
        .edit(|world| world.switches.search_available = false)
        .unwrap();
    let mut resolver = resolver(&salesforce);
    for calls in [1, 0] {
        let answer = resolver
            .resolve_again(&[number("03-1234-5678")])
            .await
            .unwrap();
        assert_eq!(
            (answer.asked, answer.calls),
            (0, calls),
            "it is not tried again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_failed_is_no_answer() {
    let salesforce = org(&["03-1234-5678 内線12"]).await;
    salesforce.fault(Fault::error("REQUEST_LIMIT_EXCEEDED").on_path("*/search/*"));
    salesforce.fault(Fault::error("REQUEST_LIMIT_EXCEEDED").on_path("*/search"));
    let mut resolver = resolver(&salesforce);
    let answer = resolver.resolve_again(&[number("03-1234-5678")]).await;
    assert!(answer.is_err(), "{answer:?}");
}

/// How the index splits phone text is not documented, and it lags.
#[tokio::test(flavor = "multi_thread")]
async fn any_index_is_understood_and_one_that_lags_finds_later() {
    let asked = [number("03-1234-5678")];
    for (index, text) in [
        (SearchIndex::Split, "03-1234-5678(12)"),
        (SearchIndex::Digits, "TEL 03-1234-5678"),
        (SearchIndex::Both, "０３－１２３４－５６７８ 内線12"),
    ] {
        let salesforce = org(&[text]).await;
        salesforce
            .edit(|world| world.switches.search_index = index)
            .unwrap();
        let answer = resolver(&salesforce).resolve_again(&asked).await.unwrap();
        assert_eq!(
            answer.looked_up.found[&asked[0]].object,
            Object::Contact,
            "{text}"
        );
        assert_eq!(answer.calls, 2, "a search, and the record");
    }
    let salesforce = org(&["03-1234-5678 内線12"]).await;
    let minutes = jiff::SignedDuration::from_mins;
    salesforce
        .edit(|world| world.switches.search_lag = minutes(3))
        .unwrap();
    let early = resolver(&salesforce).resolve_again(&asked).await.unwrap();
    assert!(early.looked_up.found.is_empty());
    salesforce.advance(minutes(4));
    let late = resolver(&salesforce).resolve_again(&asked).await.unwrap();
    assert_eq!(late.looked_up.found.len(), 1);
}
