//! Workers that write when their claim is over, and another one has had the calls since.

use std::time::{Duration, Instant};

use sqlx::Connection as _;
use switchboard_testbed::Postgres;

use super::*;
use crate::directory::model::WriteOutcome;

const NUMBER: &str = "+81312345678";

on_each_database! {
    what_a_later_claim_wrote_stays,
    a_miss_of_a_claim_that_is_over_takes_no_name_away,
    who_has_the_same_claim_may_write_again,
    a_claim_in_the_future_keeps_nobody_from_writing,
}

/// A write of a name by who claimed the calls then.
fn named(person: &str, claimed_at: i64) -> WriteContactsRequest {
    let contact = FoundContact {
        person_name: Some(person.to_owned()),
        ..found(NUMBER)
    };
    WriteContactsRequest {
        claimed_at: Some(at(claimed_at)),
        ..writes(WritePolicy::Overwrite, &[contact])
    }
}

async fn write(store: &Store, request: &WriteContactsRequest, now: i64) -> Option<WriteOutcome> {
    let receipt = store.write_contacts(&acme(), request, at(now)).await;
    let outcomes = receipt.unwrap().outcomes;
    outcomes.get(&NUMBER.parse().unwrap()).copied()
}

async fn name(store: &Store) -> Option<String> {
    let contact = store.contact(&acme(), &NUMBER.parse().unwrap()).await;
    contact.unwrap()?.person_name
}

async fn what_a_later_claim_wrote_stays(on: Backend) {
    let (store, _folder) = store(on).await;
    record(&store, &[leg("d1", "0312345678", 0)]).await;
    let request = |holder: &str| ClaimRequest {
        claim_for: 600,
        ..ClaimRequest::new(holder)
    };
    let slow = store.claim(&acme(), &request("slow"), at(1_000)).await;
    let next = store.claim(&acme(), &request("next"), at(2_000)).await;
    let (slow, next) = (slow.unwrap(), next.unwrap());
    assert_eq!((slow.calls.len(), next.calls.len()), (1, 1));
    let claimed = |person: &str, claimed: &crate::directory::model::ClaimedCalls| {
        let claimed_at = claimed.claimed_at.unwrap().as_second() - at(0).as_second();
        named(person, claimed_at)
    };
    let newer = claimed("Now", &next);
    assert_eq!(
        write(&store, &newer, 2_001).await,
        Some(WriteOutcome::Written)
    );
    let older = claimed("Before", &slow);
    assert_eq!(write(&store, &older, 2_002).await, Some(WriteOutcome::Kept));
    assert_eq!(name(&store).await.as_deref(), Some("Now"));
    // The same name is no other one, and the answer to the newer may have been lost.
    let same = claimed("Now", &slow);
    assert_eq!(
        write(&store, &same, 2_003).await,
        Some(WriteOutcome::Written)
    );
    assert_eq!(
        write(&store, &newer, 2_004).await,
        Some(WriteOutcome::Written)
    );
    // As long as the later claim has written nothing, what the earlier one found is news.
    let third = named("Later", 3_000);
    let early = named("Early", 2_500);
    assert_eq!(
        write(&store, &early, 3_001).await,
        Some(WriteOutcome::Written)
    );
    assert_eq!(
        write(&store, &third, 3_002).await,
        Some(WriteOutcome::Written)
    );
    assert_eq!(name(&store).await.as_deref(), Some("Later"));
}

async fn a_miss_of_a_claim_that_is_over_takes_no_name_away(on: Backend) {
    let (store, _folder) = store(on).await;
    write(&store, &named("Now", 2_000), 2_001).await;
    let miss = |claimed_at: i64| WriteContactsRequest {
        not_found: vec![NUMBER.parse().unwrap()],
        searched: vec![RecordObject::Lead],
        claimed_at: Some(at(claimed_at)),
        ..writes(WritePolicy::Overwrite, &[])
    };
    write(&store, &miss(1_000), 2_002).await;
    assert_eq!(name(&store).await.as_deref(), Some("Now"));
    let asked = store.asked(&acme(), &NUMBER.parse().unwrap()).await;
    assert!(!asked.unwrap().not_found, "the later question counts");
    write(&store, &miss(3_000), 3_001).await;
    assert_eq!(name(&store).await, None);
    // What was not found may be found by an earlier question, which is of no use any more.
    let outcome = write(&store, &named("Before", 2_500), 3_002).await;
    assert_eq!(
        (outcome, name(&store).await),
        (Some(WriteOutcome::Kept), None)
    );
}

async fn who_has_the_same_claim_may_write_again(on: Backend) {
    let (store, _folder) = store(on).await;
    for (person, claimed_at, stays) in [
        ("First", 100, "First"),
        ("Second", 100, "Second"),
        ("Older", 99, "Second"),
        ("Newer", 101, "Newer"),
    ] {
        write(&store, &named(person, claimed_at), 200).await;
        assert_eq!(name(&store).await.as_deref(), Some(stays), "{person}");
    }
}

async fn a_claim_in_the_future_keeps_nobody_from_writing(on: Backend) {
    let (store, _folder) = store(on).await;
    write(&store, &named("Boasts", 1_000_000), 1_000).await;
    let outcome = write(&store, &named("Now", 1_001), 1_002).await;
    assert_eq!(outcome, Some(WriteOutcome::Written));
}

/// Two writers at one moment: the later claim's is not committed when the earlier one's begins.
#[tokio::test]
async fn a_late_writer_waits_for_a_newer_one_that_is_writing() {
    let address = Postgres::shared().unwrap().new_database().unwrap();
    let store = Store::open(&address).await.unwrap();
    write(&store, &named("Before", 1_000), 1_001).await;
    let mut holds = sqlx::PgConnection::connect(&address).await.unwrap();
    let mut blocks = holds.begin().await.unwrap();
    let row = "SELECT number FROM contacts WHERE company = 'acme' FOR UPDATE";
    sqlx::query(row).execute(&mut *blocks).await.unwrap();
    let mut watches = sqlx::PgConnection::connect(&address).await.unwrap();
    let mut wait = async |count: i64| {
        let deadline = Instant::now() + Duration::from_secs(60);
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&mut watches)
            .await
            .unwrap()
            < count
        {
            assert!(Instant::now() < deadline, "nobody waits");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (newer, late) = (named("Now", 3_000), named("Late", 2_000));
    let writes_newer = write(&store, &newer, 3_001);
    let writes_late = async {
        // The newer one has read, and waits for the row.
        wait(1).await;
        let late = write(&store, &late, 3_002);
        let goes_on = async {
            wait(2).await;
            blocks.rollback().await.unwrap();
        };
        futures::join!(late, goes_on).0
    };
    let outcomes = futures::join!(writes_newer, writes_late);
    let (written, kept) = (WriteOutcome::Written, WriteOutcome::Kept);
    assert_eq!(outcomes, (Some(written), Some(kept)));
    assert_eq!(name(&store).await.as_deref(), Some("Now"));
}
