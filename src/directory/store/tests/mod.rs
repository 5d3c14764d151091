//! The store on a real database, with a clock set by the test.

mod again;
mod book;
mod cost;
mod follow;
mod late;
mod plans;
mod raced;
mod reads;
mod replicas;
mod revocations;
mod rings;
mod upgrade;
mod whose;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::directory::CompanyId;
use crate::directory::model::webhook::Leg;
use crate::directory::model::{
    ClaimRequest, Direction, DoneCall, FoundContact, LookupState, Reading, RecordObject,
    WriteContactsRequest, WritePolicy,
};
use crate::directory::testing::{Backend, on_each_database};
use crate::phone::Region;

const START: i64 = 1_700_000_000;

async fn store(on: Backend) -> (Store, TempDir) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&on.fresh(&folder)).await.unwrap();
    (store, folder)
}

fn acme() -> CompanyId {
    "acme".parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// A call that started at this second and has ended.
fn leg(id: &str, number: &str, second: i64) -> Leg {
    Leg {
        id: id.to_owned(),
        call_id: None,
        call_type: "INCOMING_CALL".to_owned(),
        direction: Direction::Incoming,
        started_at: Some(at(second)),
        answered_at: None,
        ended_at: Some(at(second + 1)),
        number: Some(number.to_owned()),
        circuit_number: None,
        circuit_name: None,
    }
}

async fn record(store: &Store, legs: &[Leg]) {
    store
        .record_calls(&acme(), Region::JAPAN, legs, at(0))
        .await
        .unwrap();
}

async fn claim(store: &Store, holder: &str, limit: u32, now: i64) -> Vec<String> {
    let request = ClaimRequest {
        limit,
        claim_for: 60,
        ..ClaimRequest::new(holder)
    };
    let claimed = store.claim(&acme(), &request, at(now)).await.unwrap();
    claimed.calls.into_iter().map(|call| call.id).collect()
}

on_each_database! {
    a_dead_workers_claim_ends_by_itself,
    a_holder_that_asks_again_keeps_its_claim,
    what_a_holder_has_comes_before_anything_new,
    the_oldest_number_comes_first_and_its_calls_together,
    a_call_whose_number_changes_is_free_again,
    workers_at_the_same_moment_never_get_the_same_number,
    a_call_that_lasts_takes_no_place_in_a_claim,
    an_internal_call_is_never_done_and_gets_no_name,
    a_window_bounds_a_claim,
    what_is_too_old_goes_and_nothing_else,
    retention_goes_through_more_contacts_than_it_takes_at_once,
    a_number_with_a_foreign_claim_outside_the_window_does_not_hide_the_rest,
    calls_of_a_name_come_in_order_page_by_page_whatever_numbers_they_have,
    a_database_is_seen_to_grow_and_sqlite_knows_the_room_on_its_volume,
}

async fn a_database_is_seen_to_grow_and_sqlite_knows_the_room_on_its_volume(on: Backend) {
    let (store, _folder) = store(on).await;
    let before = store.size().await.unwrap();
    let legs: Vec<Leg> = (0..1_000)
        .map(|number| leg(&format!("call-{number}"), "0312345678", number))
        .collect();
    record(&store, &legs).await;
    let after = store.size().await.unwrap();
    assert!(after.bytes > before.bytes, "{before:?} {after:?}");
    match on {
        Backend::Sqlite => assert!(after.limit > Some(after.bytes), "{after:?}"),
        Backend::Postgres => assert_eq!(after.limit, None),
    }
}

async fn a_dead_workers_claim_ends_by_itself(on: Backend) {
    let (store, _folder) = store(on).await;
    record(&store, &[leg("a", "0312345678", 0)]).await;
    assert_eq!(claim(&store, "dead", 10, 100).await, ["a"]);
    assert_eq!(claim(&store, "alive", 10, 159).await, [] as [&str; 0]);
    assert_eq!(claim(&store, "alive", 10, 160).await, ["a"]);
    assert_eq!(
        claim(&store, "dead", 10, 161).await,
        [] as [&str; 0],
        "it is not its own any more"
    );
}

async fn a_holder_that_asks_again_keeps_its_claim(on: Backend) {
    let (store, _folder) = store(on).await;
    record(&store, &[leg("a", "0312345678", 0)]).await;
    assert_eq!(claim(&store, "slow", 10, 100).await, ["a"]);
    assert_eq!(claim(&store, "slow", 10, 150).await, ["a"]);
    assert_eq!(claim(&store, "other", 10, 170).await, [] as [&str; 0]);
}

async fn what_a_holder_has_comes_before_anything_new(on: Backend) {
    let (store, _folder) = store(on).await;
    record(&store, &[leg("new", "0312345678", 10)]).await;
    assert_eq!(claim(&store, "w", 1, 100).await, ["new"]);
    record(&store, &[leg("older", "0398765432", 0)]).await;
    assert_eq!(claim(&store, "w", 1, 101).await, ["new"]);
    assert_eq!(claim(&store, "w", 2, 102).await, ["older", "new"]);
}

async fn the_oldest_number_comes_first_and_its_calls_together(on: Backend) {
    let (store, _folder) = store(on).await;
    record(
        &store,
        &[
            leg("b1", "0398765432", 5),
            leg("a1", "0312345678", 1),
            leg("a2", "03-1234-5678", 9),
            leg("b2", "+81398765432", 2),
        ],
    )
    .await;
    assert_eq!(claim(&store, "w", 10, 100).await, ["a1", "a2", "b2", "b1"]);
}

async fn a_call_whose_number_changes_is_free_again(on: Backend) {
    let (store, _folder) = store(on).await;
    record(&store, &[leg("a", "0312345678", 0)]).await;
    assert_eq!(claim(&store, "first", 10, 100).await, ["a"]);
    record(&store, &[leg("a", "0312345678", 0)]).await;
    assert_eq!(claim(&store, "second", 10, 101).await, [] as [&str; 0]);
    record(&store, &[leg("a", "0398765432", 0)]).await;
    assert_eq!(claim(&store, "second", 10, 102).await, ["a"]);
}

async fn workers_at_the_same_moment_never_get_the_same_number(on: Backend) {
    let (store, _folder) = store(on).await;
    let legs: Vec<_> = (0..60)
        .map(|n| leg(&format!("d{n:02}"), &format!("03123456{:02}", n % 30), n))
        .collect();
    record(&store, &legs).await;
    let holders: Vec<_> = (0..10).map(|n| format!("w{n}")).collect();
    let claims =
        futures::future::join_all(holders.iter().map(|holder| claim(&store, holder, 3, 100))).await;
    assert!(
        claims.iter().all(|calls| calls.len() == 6),
        "three numbers, two calls each: {claims:?}"
    );
    let mut all: Vec<_> = claims.concat();
    all.sort();
    assert_eq!(all, legs.into_iter().map(|leg| leg.id).collect::<Vec<_>>());
}

async fn a_call_that_lasts_takes_no_place_in_a_claim(on: Backend) {
    let (store, _folder) = store(on).await;
    let lasts = Leg {
        ended_at: None,
        ..leg("lasts", "0312345678", 0)
    };
    record(&store, &[lasts, leg("ended", "0398765432", 10)]).await;
    assert_eq!(claim(&store, "w", 1, 100).await, ["ended"]);
    let four_hours = 4 * 3_600;
    assert_eq!(
        claim(&store, "x", 1, four_hours).await,
        ["ended"],
        "the first claim is over"
    );
    assert_eq!(
        claim(&store, "y", 9, four_hours + 1).await,
        ["lasts"],
        "its end was never told"
    );
}

async fn an_internal_call_is_never_done_and_gets_no_name(on: Backend) {
    let (store, _folder) = store(on).await;
    let internal = Leg {
        direction: Direction::Internal,
        number: None,
        ..leg("a", "", 0)
    };
    record(&store, &[internal]).await;
    let call = DoneCall {
        id: "a".to_owned(),
        reading: Reading::E164("+81312345678".parse().unwrap()),
    };
    let receipt = store.done(&acme(), &[call], at(100)).await.unwrap();
    assert_eq!((receipt.done, receipt.unknown), (0, 1));
    let (calls, _) = store
        .calls(
            &acme(),
            &CallFilter {
                limit: 9,
                ..CallFilter::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(
        (calls[0].lookup, &calls[0].e164),
        (LookupState::None, &None)
    );
}

async fn a_window_bounds_a_claim(on: Backend) {
    let (store, _folder) = store(on).await;
    record(
        &store,
        &[
            leg("a", "0312345678", 0),
            leg("b", "0312345679", 10),
            leg("c", "0312345670", 20),
        ],
    )
    .await;
    let request = ClaimRequest {
        since: Some(at(10)),
        until: Some(at(20)),
        ..ClaimRequest::new("w")
    };
    let claimed = store.claim(&acme(), &request, at(100)).await.unwrap();
    assert_eq!(
        claimed
            .calls
            .into_iter()
            .map(|call| call.id)
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(claimed.claimed_until, at(400));
}

async fn a_number_with_a_foreign_claim_outside_the_window_does_not_hide_the_rest(on: Backend) {
    let (store, _folder) = store(on).await;
    record(
        &store,
        &[leg("a", "0312345678", 0), leg("b", "0312345679", 10)],
    )
    .await;
    assert_eq!(claim(&store, "other", 1, 100).await, ["a"]);
    assert_eq!(claim(&store, "w", 10, 100).await, ["b"]);
}

#[tokio::test]
async fn processes_that_start_together_on_a_new_file_bring_the_schema_up_once() {
    let folder = TempDir::new().unwrap();
    let address = Backend::Sqlite.fresh(&folder);
    let opened = futures::future::join_all((0..4).map(|_| Store::open(&address))).await;
    for store in opened {
        store.unwrap().ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_no_harm() {
    let (store, folder) = store(Backend::Sqlite).await;
    let again = Store::open(&format!(
        "sqlite:{}",
        folder.path().join("directory.db").display()
    ))
    .await
    .unwrap();
    let (one, two) = ([leg("a", "0312345678", 0)], [leg("b", "0312345678", 0)]);
    futures::future::join(record(&store, &one), record(&again, &two)).await;
    assert_eq!(claim(&again, "w", 10, 100).await.len(), 2);
}

async fn what_is_too_old_goes_and_nothing_else(on: Backend) {
    let (store, _folder) = store(on).await;
    let globex: CompanyId = "globex".parse().unwrap();
    let old: Vec<_> = (0..1_200)
        .map(|n| leg(&format!("old{n}"), "0312345678", n % 50))
        .collect();
    record(&store, &old).await;
    record(&store, &[leg("young", "0398765432", 100)]).await;
    store
        .record_calls(&globex, Region::JAPAN, &old[..1], at(0))
        .await
        .unwrap();
    let both = [found("+81312345678"), found("+81398765432")];
    let policy = WritePolicy::Overwrite;
    store
        .write_contacts(&acme(), &writes(policy, &both), at(0))
        .await
        .unwrap();
    let purged = store.purge(Some(&acme()), at(100)).await.unwrap();
    assert_eq!(
        (purged.calls, purged.contacts),
        (1_200, 1),
        "the young call's contact stays"
    );
    assert_eq!(claim(&store, "w", 9, 200).await, ["young"]);
    let purged = store.purge(None, at(100)).await.unwrap();
    assert_eq!(
        (purged.calls, purged.contacts),
        (1, 0),
        "the other company's"
    );
}

fn found(number: &str) -> FoundContact {
    FoundContact {
        number: number.parse().unwrap(),
        company_name: None,
        person_name: Some("Sato".to_owned()),
        object: RecordObject::Lead,
        record_id: "00Q".to_owned(),
        link: None,
        title: None,
        owner_name: None,
        alternatives: None,
        holders: None,
        all_holders: false,
    }
}

fn writes(policy: WritePolicy, contacts: &[FoundContact]) -> WriteContactsRequest {
    WriteContactsRequest::new(policy, contacts.to_vec())
}

async fn retention_goes_through_more_contacts_than_it_takes_at_once(on: Backend) {
    let (store, _folder) = store(on).await;
    let number = |n: usize| format!("+8131234{n:04}");
    let contacts: Vec<_> = (0..2_500).map(|n| found(&number(n))).collect();
    let kept = [3, 1_700, 2_400].map(|n| leg(&n.to_string(), &number(n), 500));
    record(&store, &kept).await;
    for contacts in contacts.chunks(1_000) {
        let policy = WritePolicy::Overwrite;
        store
            .write_contacts(&acme(), &writes(policy, contacts), at(0))
            .await
            .unwrap();
    }
    let purged = store.purge(None, at(100)).await.unwrap();
    assert_eq!((purged.calls, purged.contacts), (0, 2_497));
    let left = store.contacts_after(&acme(), "", 9).await.unwrap();
    let left: Vec<_> = left.iter().map(|c| c.number.to_string()).collect();
    assert_eq!(left, [number(3), number(1_700), number(2_400)]);
}

/// A page of a search, as IDs, and where the next one begins.
async fn search(store: &Store, filter: &CallFilter, walk: u32) -> (Vec<String>, Option<Position>) {
    let page = store.search_calls(&acme(), filter, walk).await.unwrap();
    (
        page.calls.into_iter().map(|call| call.id).collect(),
        page.next,
    )
}

async fn calls_of_a_name_come_in_order_page_by_page_whatever_numbers_they_have(on: Backend) {
    let (store, _folder) = store(on).await;
    // Three numbers of the name and one of another, in turn; two calls begin at one moment.
    let numbers = ["0312345601", "0312345602", "0312345603", "0312345609"];
    let legs: Vec<Leg> = (0..40)
        .map(|n| leg(&format!("c{n:02}"), numbers[n % 4], n as i64 / 2))
        .collect();
    record(&store, &legs).await;
    let named = |number: &str, person: &str| FoundContact {
        person_name: Some(person.to_owned()),
        ..found(number)
    };
    let request = WriteContactsRequest::new(
        WritePolicy::Overwrite,
        vec![
            named("+81312345601", "École A"),
            named("+81312345602", "école b"),
            named("+81312345603", "ÉCOLE C"),
            named("+81312345609", "Ecole"),
        ],
    );
    store
        .write_contacts(&acme(), &request, at(0))
        .await
        .unwrap();
    let mut wanted: Vec<&Leg> = legs
        .iter()
        .filter(|leg| leg.number.as_deref() != Some("0312345609"))
        .collect();
    wanted.sort_by_key(|leg| std::cmp::Reverse((leg.started_at, leg.id.clone())));
    let wanted: Vec<String> = wanted.into_iter().map(|leg| leg.id.clone()).collect();
    for limit in [1, 7, 30, 50] {
        let mut filter = CallFilter {
            name: Some("école".to_owned()),
            limit,
            ..CallFilter::default()
        };
        let mut all = Vec::new();
        loop {
            // Nothing is walked through: one call would not lead far.
            let (page, next) = search(&store, &filter, 1).await;
            assert!(page.len() <= limit as usize);
            all.extend(page);
            filter.after = next;
            if filter.after.is_none() {
                break;
            }
        }
        assert_eq!(all, wanted, "{limit} a page");
    }
    let within = CallFilter {
        name: Some("école".to_owned()),
        from: Some(at(3)),
        to: Some(at(5)),
        limit: 50,
        ..CallFilter::default()
    };
    assert_eq!(search(&store, &within, 1).await.0, ["c09", "c08", "c06"]);
}
