//! The cost of a lookup in API calls, counted by the simulator.

use salesforce_simulator::{Record, Simulator, Switches, World};

use super::{FIRST_URL_BYTES, UrlLength, look_up, org, resolver};
use crate::phone::{E164, Region, parse};

/// Fixed-line numbers of Tokyo, Osaka and Yokohama and mobile numbers, in turn.
fn japanese(count: usize) -> Vec<E164> {
    (0..count)
        .map(|at| {
            let line = 1_000_000 + (at * 7_919) % 8_999_999;
            match at % 6 {
                0 => format!("032{line}"),
                1 => format!("090{:08}", 10_000_000 + line),
                2 => format!("064{line}"),
                3 => format!("080{:08}", 20_000_000 + line),
                4 => format!("045{line}"),
                _ => format!("070{:08}", 10_000_000 + line),
            }
        })
        .map(|text| parse(&text, &Region::JAPAN).unwrap())
        .collect()
}

async fn simulator(world: World, change: impl FnOnce(&mut Switches)) -> Simulator {
    let salesforce = Simulator::start(world).await.unwrap();
    salesforce
        .edit(|world| change(&mut world.switches))
        .unwrap();
    salesforce
}

#[tokio::test]
async fn a_thousand_unknown_numbers_cost_at_most_16_calls_or_4_where_urls_may_be_long() {
    for (limit, most) in [(Some(FIRST_URL_BYTES), 16), (None, 4)] {
        let salesforce = simulator(org([]), |switches| switches.subrequest_uri_limit = limit).await;
        let mut resolver = resolver(&salesforce, Region::JAPAN).await;
        assert!(look_up(&mut resolver, &japanese(1_000)).await.is_empty());
        let calls = salesforce.counters().api_calls();
        println!("1,000 unknown numbers, URLs up to {limit:?}: {calls} calls");
        assert!(calls <= most, "{calls} calls at {limit:?}");
        assert_eq!(resolver.connection().spent().calls, calls);

        // The learned lengths save the next run the refusal and the start with short URLs.
        let known = resolver.learned().unwrap();
        assert_eq!(known.refused.is_some(), limit.is_some());
        let mut next = self::resolver(&salesforce, Region::JAPAN)
            .await
            .url_length(Some(known));
        look_up(&mut next, &japanese(1_000)).await;
        let again = salesforce.counters().api_calls() - calls;
        println!("the next run: {again} calls");
        assert!(again < calls, "{again} calls");
    }
}

#[tokio::test]
async fn an_org_that_takes_less_is_asked_for_less_and_every_number_is_found() {
    let numbers = japanese(200);
    let people = || {
        let record = |number: &E164| Record::person(number.as_str()).phone(number.as_str());
        numbers.iter().map(record).collect::<Vec<_>>()
    };
    for change in [
        (|switches| switches.subrequest_uri_limit = Some(5_000)) as fn(&mut Switches),
        |switches| switches.soql_limit = 4_000,
        |switches| switches.too_complicated_at = Some(6_000),
    ] {
        let salesforce = simulator(org(people()), change).await;
        let mut resolver = resolver(&salesforce, Region::JAPAN).await;
        let found = look_up(&mut resolver, &numbers).await;
        assert_eq!(found.len(), 200);
        let known: UrlLength = resolver.learned().unwrap();
        assert!(known.bytes < 16_384 && known.refused.is_some(), "{known:?}");
    }
}

#[tokio::test]
async fn a_number_that_thousands_of_records_share_costs_one_call_more() {
    let numbers = japanese(60);
    let crowd = (0..9_000).map(|_| Record::person("Crowd").phone(numbers[0].as_str()));
    let others = numbers[1..].iter().map(|number| {
        Record::person(number.as_str())
            .mobile(number.as_str())
            .phone(number.as_str())
            .modified("2020-01-01T00:00:00Z")
    });
    let salesforce = simulator(org(crowd.chain(others)), |_| {}).await;
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    let found = look_up(&mut resolver, &numbers).await;
    assert_eq!(found.len(), 60);
    assert_eq!(salesforce.counters().api_calls(), 2);
    assert!(salesforce.counters().rows_returned < 2_200);
}

/// The two ways to ask for numbers that were not known: where few records changed, by these.
#[tokio::test]
async fn many_misses_are_asked_by_what_changed_and_few_or_much_changed_ones_by_number() {
    let numbers = japanese(1_000);
    let since = "2026-11-20T00:00:00Z".parse().unwrap();
    let old = (0..3_000).map(|at| {
        Record::person("Old")
            .phone(&format!("03{:08}", 60_000_000 + at))
            .set("SystemModstamp", "2026-11-01T00:00:00Z")
    });
    let new = |at: usize| {
        Record::person(&format!("New {at}"))
            .phone(&numbers[at].as_str().replacen("+81", "0", 1))
            .set("SystemModstamp", "2026-11-20T00:00:00Z")
    };
    let salesforce = simulator(org(old.chain([new(7), new(900)])), |_| {}).await;
    let mut resolver = resolver(&salesforce, Region::JAPAN).await;
    let found = resolver.resolve_missed(&numbers, since).await.unwrap();
    let found = found.unwrap().found;
    assert_eq!(salesforce.counters().api_calls(), 1);
    assert_eq!(found.len(), 2);
    assert_eq!(found[&numbers[900]].person.as_deref(), Some("New 900"));

    let few = resolver.resolve_missed(&numbers[..60], since).await;
    assert_eq!(few.unwrap(), None);
    assert_eq!(salesforce.counters().api_calls(), 1, "nothing was asked");

    let crowd = (0..60_000).map(|_| Record::person("Crowd").phone("0399999999"));
    let salesforce = simulator(org(crowd), |_| {}).await;
    let mut resolver = self::resolver(&salesforce, Region::JAPAN).await;
    let much = resolver.resolve_missed(&numbers, since).await;
    assert_eq!(much.unwrap(), None);
    assert_eq!(salesforce.counters().api_calls(), 1, "the first page tells");
}
