//! A worker that another writer overtakes: between its reading and its writing, on PostgreSQL since
//! SQLite has one writer.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use switchboard_testbed::Postgres;

use super::*;
use crate::directory::model::follow::{Holder, KnownRequest};
use crate::directory::model::{ContactSource, WriteOutcome};

const NUMBER: &str = "+81312345678";

const RENAMED_BY_HAND: &str =
    "UPDATE contacts SET person_name = 'By hand', source = 'Manual' WHERE company = 'acme'";

const REMOVED: &str = "DELETE FROM contacts WHERE company = 'acme'";

async fn waits_for_a_lock(watches: &mut PgConnection) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let waits: (i64,) = sqlx::query_as(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
             AND datname = current_database() AND pid <> pg_backend_pid()",
        )
        .fetch_one(&mut *watches)
        .await
        .unwrap();
        if waits.0 > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "the worker is not overtaken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes one contact, and another afterwards, while somebody's statement is not committed until
/// the second waits for it.
async fn overtaken(
    statement: &'static str,
    policy: WritePolicy,
    before: FoundContact,
    after: FoundContact,
) -> (Store, WriteOutcome) {
    let address = Postgres::shared().unwrap().new_database().unwrap();
    let store = Store::open(&address).await.unwrap();
    let request = writes(WritePolicy::OnlyMissing, &[before]);
    let written = store.write_contacts(&acme(), &request, at(0)).await;
    assert_eq!(written.unwrap().written(), 1);
    let mut overtakes = PgConnection::connect(&address).await.unwrap();
    let mut transaction = overtakes.begin().await.unwrap();
    sqlx::query(statement)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let mut watches = PgConnection::connect(&address).await.unwrap();
    let (request, company) = (writes(policy, &[after]), acme());
    let committed = async {
        waits_for_a_lock(&mut watches).await;
        transaction.commit().await.unwrap();
    };
    let (receipt, ()) = futures::join!(store.write_contacts(&company, &request, at(1)), committed);
    let outcome = receipt.unwrap().outcomes[&NUMBER.parse().unwrap()];
    (store, outcome)
}

#[tokio::test]
async fn what_a_person_writes_between_reading_and_writing_is_not_refreshed() {
    let after = FoundContact {
        person_name: Some("Renamed".to_owned()),
        ..found(NUMBER)
    };
    let (store, outcome) =
        overtaken(RENAMED_BY_HAND, WritePolicy::Refresh, found(NUMBER), after).await;
    let contact = store.contact(&acme(), &NUMBER.parse().unwrap()).await;
    let contact = contact.unwrap().unwrap();
    assert_eq!(contact.person_name.as_deref(), Some("By hand"));
    assert_eq!(contact.source, ContactSource::Manual);
    assert_eq!(outcome, WriteOutcome::Kept, "the worker is told so");
}

#[tokio::test]
async fn a_contact_that_goes_between_reading_and_writing_is_written_anew() {
    let holder = Holder {
        object: RecordObject::Contact,
        record_id: found(NUMBER).record_id,
        account_id: Some("001B".to_owned()),
        company_name: None,
        person_name: None,
        title: None,
        owner_name: None,
        modified_at: None,
    };
    // The same contact, of which only the records are news.
    let after = FoundContact {
        holders: Some(vec![holder]),
        all_holders: true,
        ..found(NUMBER)
    };
    let (store, outcome) = overtaken(REMOVED, WritePolicy::OnlyMissing, found(NUMBER), after).await;
    assert_eq!(outcome, WriteOutcome::Written);
    let contact = store.contact(&acme(), &NUMBER.parse().unwrap()).await;
    assert!(contact.unwrap().is_some(), "it was said to be written");
    let request = KnownRequest {
        record_ids: vec!["001B".to_owned()],
        limit: 10,
        ..KnownRequest::default()
    };
    let known = store.known_numbers(&acme(), &request).await.unwrap();
    assert!(known.numbers[0].contact.is_some());
}
