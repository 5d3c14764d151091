//! What contacts need to follow Salesforce is kept with them and goes with them.

use super::*;
use crate::directory::model::follow::{
    FollowMode, FollowState, Holder, KnownRequest, PutFollow, RecordsRequest,
};
use crate::directory::model::{Contact, ContactSource, WriteOutcome};
use crate::directory::store::audit::Actor;
use crate::phone::E164;

on_each_database! {
    a_number_is_found_by_its_records_and_their_accounts_as_long_as_it_has_a_contact,
    holders_follow_what_a_worker_says_last_and_by_hand_nobody_holds_a_number,
    what_a_person_wrote_is_not_refreshed,
    numbers_are_known_with_a_contact_or_a_question_and_come_in_pages,
    a_page_that_holds_the_rest_of_the_known_numbers_says_so,
    of_two_workers_with_one_revision_the_first_is_kept,
}

const NUMBER: &str = "+81312345678";

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

fn holder(id: &str, account: Option<&str>) -> Holder {
    Holder {
        object: RecordObject::Contact,
        record_id: id.to_owned(),
        account_id: account.map(str::to_owned),
        company_name: Some("Acme".to_owned()),
        person_name: Some(format!("Person {id}")),
        title: None,
        owner_name: Some("Kato".to_owned()),
        modified_at: Some(at(7)),
    }
}

fn contact_of(text: &str, holders: &[Holder]) -> FoundContact {
    let own = &holders[0];
    FoundContact {
        company_name: own.company_name.clone(),
        person_name: own.person_name.clone(),
        owner_name: own.owner_name.clone(),
        object: own.object,
        record_id: own.record_id.clone(),
        holders: Some(holders.to_vec()),
        all_holders: true,
        ..found(text)
    }
}

async fn write(store: &Store, policy: WritePolicy, contact: FoundContact) -> WriteOutcome {
    let number = contact.number.clone();
    let request = writes(policy, &[contact]);
    let receipt = store.write_contacts(&acme(), &request, at(9)).await;
    receipt.unwrap().outcomes[&number]
}

/// The numbers that the records are about, with the records that hold each.
async fn about(store: &Store, ids: &[&str]) -> Vec<(String, Option<Vec<Holder>>)> {
    let request = KnownRequest {
        record_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        limit: 10,
        ..KnownRequest::default()
    };
    let known = store.known_numbers(&acme(), &request).await.unwrap();
    let of = |known: crate::directory::model::follow::KnownNumber| {
        (known.number.as_str().to_owned(), known.holders)
    };
    known.numbers.into_iter().map(of).collect()
}

async fn a_number_is_found_by_its_records_and_their_accounts_as_long_as_it_has_a_contact(
    on: Backend,
) {
    let (store, _folder) = store(on).await;
    let holders = [holder("003A", Some("001A")), holder("003B", None)];
    let contact = contact_of(NUMBER, &holders);
    write(&store, WritePolicy::Overwrite, contact.clone()).await;
    let expected = [(NUMBER.to_owned(), Some(holders.to_vec()))];
    for id in ["003A", "003B", "001A"] {
        assert_eq!(about(&store, &[id]).await, expected, "{id}");
    }
    assert_eq!(about(&store, &["003C"]).await, []);
    let stranger: CompanyId = "umi".parse().unwrap();
    let request = KnownRequest {
        record_ids: vec!["003A".to_owned()],
        numbers: vec![number(NUMBER)],
        limit: 10,
        after: None,
    };
    let known = store.known_numbers(&stranger, &request).await.unwrap();
    assert_eq!(known.numbers, [], "another company knows nothing of it");

    let page = RecordsRequest {
        after: String::new(),
        limit: 10,
    };
    let records = store.records_of_contacts(&acme(), &page).await.unwrap();
    let ids: Vec<&str> = records
        .records
        .iter()
        .map(|r| r.record_id.as_str())
        .collect();
    assert_eq!(ids, ["003A", "003B"]);
    assert_eq!(records.last, Some(number(NUMBER)));

    assert!(
        store
            .remove_contact(
                &acme(),
                &number(NUMBER),
                &Actor::operator(),
                Timestamp::UNIX_EPOCH
            )
            .await
            .unwrap()
    );
    assert_eq!(about(&store, &["003A", "003B", "001A"]).await, []);
    let rows: Vec<(String,)> = store
        .database
        .all("SELECT number FROM contact_records", Vec::new())
        .await
        .unwrap();
    assert_eq!(rows, [], "nothing of the number is left");
}

async fn holders_follow_what_a_worker_says_last_and_by_hand_nobody_holds_a_number(on: Backend) {
    let (store, _folder) = store(on).await;
    let first = contact_of(NUMBER, &[holder("003A", Some("001A"))]);
    write(&store, WritePolicy::Overwrite, first).await;
    let before = store.contact(&acme(), &number(NUMBER)).await.unwrap();
    // The same contact, whose record has another one beside it.
    let holders = [holder("003A", Some("001B")), holder("003B", None)];
    let second = contact_of(NUMBER, &holders);
    for _ in 0..2 {
        let outcome = write(&store, WritePolicy::Refresh, second.clone()).await;
        assert_eq!(outcome, WriteOutcome::Written);
    }
    assert_eq!(about(&store, &["001A"]).await, []);
    assert_eq!(about(&store, &["001B"]).await.len(), 1);
    assert_eq!(about(&store, &["003B"]).await[0].1, Some(holders.to_vec()));
    let after = store.contact(&acme(), &number(NUMBER)).await.unwrap();
    let updated = |contact: &Option<Contact>| contact.as_ref().unwrap().updated_at;
    assert_eq!(
        updated(&after),
        updated(&before),
        "what is shown is the same"
    );

    let by_hand = Contact {
        source: ContactSource::Manual,
        record_id: None,
        object: None,
        ..after.unwrap()
    };
    store
        .put_contact(&acme(), &by_hand, &Actor::operator())
        .await
        .unwrap();
    assert_eq!(about(&store, &["003A", "003B", "001B"]).await, []);
}

async fn what_a_person_wrote_is_not_refreshed(on: Backend) {
    let (store, _folder) = store(on).await;
    let found = contact_of(NUMBER, &[holder("003A", None)]);
    write(&store, WritePolicy::Refresh, found.clone()).await;
    let contact = store.contact(&acme(), &number(NUMBER)).await.unwrap();
    let by_hand = Contact {
        person_name: Some("Our own".to_owned()),
        source: ContactSource::Manual,
        ..contact.unwrap()
    };
    store
        .put_contact(&acme(), &by_hand, &Actor::operator())
        .await
        .unwrap();
    let outcome = write(&store, WritePolicy::Refresh, found.clone()).await;
    assert_eq!(outcome, WriteOutcome::Kept);
    let contact = store.contact(&acme(), &number(NUMBER)).await.unwrap();
    assert_eq!(contact.unwrap().person_name.as_deref(), Some("Our own"));
    assert_eq!(about(&store, &["003A"]).await, []);
    let outcome = write(&store, WritePolicy::Overwrite, found).await;
    assert_eq!(outcome, WriteOutcome::Written);
}

async fn numbers_are_known_with_a_contact_or_a_question_and_come_in_pages(on: Backend) {
    let (store, _folder) = store(on).await;
    let all = [1, 2, 3, 4].map(|last| format!("+8131234567{last}"));
    let [named, missed, late, stranger] = &all;
    let contact = contact_of(named, &[holder("003A", None)]);
    write(&store, WritePolicy::Overwrite, contact).await;
    let request = WriteContactsRequest {
        not_found: vec![number(missed), number(late)],
        ..writes(WritePolicy::Overwrite, &[])
    };
    let written = store.write_contacts(&acme(), &request, at(9)).await;
    written.unwrap();
    record(&store, &[leg("a", stranger, 0)]).await;
    let mut request = KnownRequest {
        numbers: all.iter().map(|text| number(text)).collect(),
        limit: 2,
        ..KnownRequest::default()
    };
    let first = store.known_numbers(&acme(), &request).await.unwrap();
    assert!(first.more);
    request.after = Some(first.numbers[1].number.clone());
    let second = store.known_numbers(&acme(), &request).await.unwrap();
    assert!(!second.more);
    let known: Vec<_> = first
        .numbers
        .into_iter()
        .chain(second.numbers)
        .map(|known| (known.number, known.contact.is_some(), known.missed))
        .collect();
    let expected = [
        (number(named), true, false),
        (number(missed), false, true),
        (number(late), false, true),
    ];
    assert_eq!(known, expected, "a call that waits is looked up anyway");
}

async fn a_page_that_holds_the_rest_of_the_known_numbers_says_so(on: Backend) {
    let (store, _folder) = store(on).await;
    let all = [1, 2, 3].map(|last| format!("+8131234567{last}"));
    let [complete, partly, missed] = &all;
    let holders = [holder("003A", None)];
    let contact = contact_of(complete, &holders);
    write(&store, WritePolicy::Overwrite, contact).await;
    let contact = FoundContact {
        all_holders: false,
        ..contact_of(partly, &holders)
    };
    write(&store, WritePolicy::Overwrite, contact).await;
    let request = WriteContactsRequest {
        not_found: vec![number(missed)],
        ..writes(WritePolicy::Overwrite, &[])
    };
    store
        .write_contacts(&acme(), &request, at(9))
        .await
        .unwrap();
    for (limit, found, more) in [(2, 2, true), (3, 3, false), (4, 3, false)] {
        let request = KnownRequest {
            numbers: all.iter().map(|text| number(text)).collect(),
            limit,
            ..KnownRequest::default()
        };
        let known = store.known_numbers(&acme(), &request).await.unwrap();
        assert_eq!((known.numbers.len(), known.more), (found, more), "{limit}");
        let told = known.numbers.into_iter();
        let told = told.map(|one| (one.number, one.holders, one.all_holders, one.missed));
        let expected = [
            (number(complete), Some(holders.to_vec()), true, false),
            (number(partly), Some(holders.to_vec()), false, false),
            (number(missed), None, false, true),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected[..found]);
    }
}

async fn of_two_workers_with_one_revision_the_first_is_kept(on: Backend) {
    let (store, _folder) = store(on).await;
    let read = store.follow_state(&acme()).await.unwrap();
    assert_eq!(read, FollowState::default());
    let put = |minute: i64| PutFollow {
        state: FollowState {
            watermark: Some(at(minute * 60)),
            followed_at: Some(at(minute * 60)),
            mode: Some(FollowMode::All),
            reconciled_up_to: Some("+8131".to_owned()),
            ..read.clone()
        },
        ask_misses: false,
    };
    let first = store.put_follow(&acme(), &put(1), at(9)).await.unwrap();
    assert!(first.stored);
    let late = store.put_follow(&acme(), &put(2), at(9)).await.unwrap();
    assert!(!late.stored);
    assert_eq!(late.state, first.state);
    assert_eq!(store.follow_state(&acme()).await.unwrap(), first.state);
}
