//! The address book: what a fill and changes make of it, who is found in it, and what takes it
//! away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::directory::TokenKeys;
use crate::directory::model::Contact;
use crate::directory::model::book::{
    AccountName, BeginFill, Book, BookRecord, FillPart, FillStep, FinishFill, WriteRecords,
    WriteRecordsReceipt,
};
use crate::directory::model::number_hash::NumberKeys;
use crate::directory::store::audit::Actor;
use crate::directory::store::database::{args, row};
use crate::phone::E164;

const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";

on_each_database! {
    a_first_time_caller_has_the_name_that_a_look_up_would_choose,
    calls_without_a_contact_are_named_and_one_by_hand_goes_first,
    what_a_fill_does_not_see_goes_when_it_ends,
    a_fill_that_was_killed_goes_on_where_it_was,
    a_fill_does_not_write_over_what_changed_since_it_began,
    an_account_with_another_name_names_its_contacts,
    an_erased_number_is_on_no_record_and_stays_away,
    a_book_goes_with_the_company_and_when_nobody_confirms_it,
    a_book_that_is_taken_away_answers_nothing_and_may_come_again,
    whatever_happens_the_book_is_what_was_written_and_counts_it,
    thousands_of_records_are_written_and_swept_in_parts,
}

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

fn of(n: usize) -> String {
    format!("+8131234{n:04}")
}

fn record_of(id: &str, name: &str, numbers: &[&str]) -> BookRecord {
    BookRecord {
        object: match id.get(..3) {
            Some("001") => RecordObject::Account,
            Some("00Q") => RecordObject::Lead,
            _ => RecordObject::Contact,
        },
        record_id: id.to_owned(),
        account_id: None,
        company_name: Some("Acme".to_owned()),
        person_name: Some(name.to_owned()),
        title: Some("Head".to_owned()),
        owner_name: Some("Kato".to_owned()),
        modified_at: Some(at(7)),
        numbers: numbers.iter().map(|text| number(text)).collect(),
    }
}

async fn begin(store: &Store) -> u64 {
    let request = BeginFill {
        anew: true,
        instance: Some("https://acme.my.salesforce.com".to_owned()),
    };
    let book = store.begin_fill(&acme(), &request, at(0)).await.unwrap();
    assert!(book.fill.is_some());
    book.generation
}

async fn finish(store: &Store, generation: u64) -> u64 {
    let request = FinishFill { generation };
    let ended = store.finish_fill(&acme(), request, Duration::MAX).await;
    let ended = ended.unwrap();
    assert!(ended.done);
    ended.removed
}

fn page(generation: u64, records: &[BookRecord]) -> WriteRecords {
    WriteRecords {
        records: records.to_vec(),
        fill: Some(FillStep {
            generation,
            parts: Vec::new(),
        }),
        ..WriteRecords::default()
    }
}

fn change(records: &[BookRecord], gone: &[&str]) -> WriteRecords {
    WriteRecords {
        records: records.to_vec(),
        gone: gone.iter().map(|id| (*id).to_owned()).collect(),
        ..WriteRecords::default()
    }
}

async fn write(store: &Store, request: &WriteRecords) -> WriteRecordsReceipt {
    store.write_records(&acme(), request, at(1)).await.unwrap()
}

async fn fill(store: &Store, records: &[BookRecord]) -> u64 {
    let generation = begin(store).await;
    assert!(write(store, &page(generation, records)).await.taken);
    finish(store, generation).await
}

async fn who(store: &Store, text: &str) -> Option<Contact> {
    let number = number(text);
    let numbers = std::slice::from_ref(&number);
    let mut found = store.in_book(&acme(), numbers).await.unwrap();
    found.remove(&number)
}

async fn name_of(store: &Store, text: &str) -> Option<String> {
    who(store, text).await.and_then(|found| found.person_name)
}

async fn book(store: &Store) -> Book {
    store.book(&acme()).await.unwrap()
}

fn clerk() -> Actor {
    Actor::operator()
}

row! {
    struct HeldRow {
        number: String,
        record_id: String,
    }
}

/// Every number in the book, with the record that holds it.
async fn held(store: &Store) -> BTreeSet<(String, String)> {
    let sql = "SELECT number, record_id FROM record_numbers WHERE company = $1";
    let rows: Vec<HeldRow> = store.database.all(sql, args!["acme"]).await.unwrap();
    rows.into_iter()
        .map(|row| (row.number, row.record_id))
        .collect()
}

async fn a_first_time_caller_has_the_name_that_a_look_up_would_choose(on: Backend) {
    let (store, _folder) = store(on).await;
    let newer = BookRecord {
        modified_at: Some(at(9)),
        ..record_of("003B", "Newer", &[&of(1), &of(2)])
    };
    let records = [
        record_of("00QA", "Lead", &[&of(1), &of(3)]),
        record_of("003A", "Older", &[&of(1)]),
        newer,
    ];
    fill(&store, &records).await;
    let state = book(&store).await;
    assert_eq!((state.records, state.numbers), (3, 5));
    assert_eq!(state.bytes, 33 + 45 + 46 + 11 * 54);
    let found = who(&store, &of(1)).await.unwrap();
    assert_eq!(found.person_name.as_deref(), Some("Newer"));
    assert_eq!(
        found.link.as_deref(),
        Some("https://acme.my.salesforce.com/003B")
    );
    assert_eq!(found.updated_at, at(9));
    let others = found.alternatives.unwrap();
    let others: Vec<_> = others
        .records
        .iter()
        .map(|o| o.record_id.as_str())
        .collect();
    assert_eq!(others, ["003A", "00QA"]);
    assert_eq!(name_of(&store, &of(2)).await.as_deref(), Some("Newer"));
    assert_eq!(name_of(&store, &of(3)).await.as_deref(), Some("Lead"));
    assert_eq!(name_of(&store, &of(4)).await, None);
    let stranger: CompanyId = "umi".parse().unwrap();
    let found = store.in_book(&stranger, &[number(&of(1))]).await.unwrap();
    assert!(found.is_empty(), "another company knows nothing of it");
    // Deleted while no fill is under way: the next best is found at once.
    write(&store, &change(&[], &["003B", "003C"])).await;
    assert_eq!(name_of(&store, &of(1)).await.as_deref(), Some("Older"));
    let state = book(&store).await;
    assert_eq!((state.records, state.numbers), (2, 3));
    // The texts of both records, and a key for each of seven rows: two for a record, one for a
    // number.
    assert_eq!(state.bytes, 33 + 45 + 7 * ("acme".len() as u64 + 50));
}

async fn calls_without_a_contact_are_named_and_one_by_hand_goes_first(on: Backend) {
    let (store, _folder) = store(on).await;
    let legs = [
        leg("a", &of(1), 1),
        leg("b", &of(2), 2),
        leg("c", &of(3), 3),
    ];
    record(&store, &legs).await;
    let records = [record_of("003A", "Book", &[&of(1), &of(2)])];
    fill(&store, &records).await;
    let by_hand = Contact {
        person_name: Some("Hand".to_owned()),
        source: crate::directory::model::ContactSource::Manual,
        ..who(&store, &of(2)).await.unwrap()
    };
    assert!(
        store
            .put_contact(&acme(), &by_hand, &clerk())
            .await
            .unwrap()
    );
    let named = async |matched: Option<bool>| {
        let filter = CallFilter {
            matched,
            limit: 9,
            ..CallFilter::default()
        };
        let (calls, _) = store.calls(&acme(), &filter).await.unwrap();
        let name = |call: crate::directory::model::Call| {
            (
                call.id,
                call.contact.and_then(|contact| contact.person_name),
            )
        };
        calls.into_iter().map(name).collect::<BTreeMap<_, _>>()
    };
    let all = named(None).await;
    assert_eq!(all["a"].as_deref(), Some("Book"));
    assert_eq!(all["b"].as_deref(), Some("Hand"));
    assert_eq!(all["c"], None);
    let keys = |calls: BTreeMap<String, _>| calls.into_keys().collect::<String>();
    assert_eq!(keys(named(Some(true)).await), "ab");
    assert_eq!(keys(named(Some(false)).await), "c");
    let one = store.call(&acme(), "a").await.unwrap().unwrap();
    assert_eq!(one.contact.unwrap().person_name.as_deref(), Some("Book"));
}

async fn what_a_fill_does_not_see_goes_when_it_ends(on: Backend) {
    let (store, _folder) = store(on).await;
    let first = [
        record_of("003A", "A", &[&of(1)]),
        record_of("003B", "B", &[&of(2), &of(3)]),
        record_of("003C", "C", &[]),
    ];
    assert_eq!(fill(&store, &first).await, 0);
    assert_eq!(
        book(&store).await.records,
        2,
        "one without a number is not kept"
    );
    let second = [
        record_of("003B", "B", &[&of(3), &of(4)]),
        record_of("003D", "D", &[&of(2)]),
    ];
    let generation = begin(&store).await;
    let receipt = write(&store, &page(generation, &second)).await;
    assert_eq!((receipt.written, receipt.kept), (2, 0));
    let again = write(&store, &page(generation, &second)).await;
    assert_eq!((again.written, again.kept), (0, 2), "a repetition");
    assert_eq!(
        name_of(&store, &of(1)).await.as_deref(),
        Some("A"),
        "a fill under way takes nothing away"
    );
    assert_eq!(finish(&store, generation).await, 1);
    let expected = [(of(2), "003D"), (of(3), "003B"), (of(4), "003B")];
    let expected = expected.map(|(number, id)| (number, id.to_owned()));
    assert_eq!(held(&store).await, BTreeSet::from(expected));
    let state = book(&store).await;
    assert_eq!((state.records, state.numbers), (2, 3));
    assert_eq!((state.fill, state.filled_at), (None, Some(at(0))));
    assert_eq!(finish(&store, generation).await, 0, "a repetition");
    // A page of a fill that is over comes late.
    assert!(!write(&store, &page(generation, &first)).await.taken);
    assert_eq!(book(&store).await.records, 2);
}

async fn a_fill_that_was_killed_goes_on_where_it_was(on: Backend) {
    let (store, _folder) = store(on).await;
    let generation = begin(&store).await;
    let part = FillPart {
        object: RecordObject::Contact,
        job_id: Some("750A".to_owned()),
        locator: Some("MTAwMA".to_owned()),
        rows: 1_000,
        within: 0,
        skipped: 0,
        of: Some(3_000),
        done: false,
    };
    let mut request = page(generation, &[record_of("003A", "A", &[&of(1)])]);
    request.fill.as_mut().unwrap().parts = vec![part.clone()];
    write(&store, &request).await;
    let goes_on = store
        .begin_fill(&acme(), &BeginFill::default(), at(50))
        .await
        .unwrap();
    assert_eq!(goes_on.generation, generation);
    let fill = goes_on.fill.unwrap();
    assert_eq!((&fill.parts, fill.began_at), (&vec![part], at(0)));
    assert_eq!(fill.progress(), (1_000, Some(3_000)));
    assert!(begin(&store).await > generation, "anew");
    assert_eq!(book(&store).await.fill.unwrap().parts, []);
}

async fn a_fill_does_not_write_over_what_changed_since_it_began(on: Backend) {
    let (store, _folder) = store(on).await;
    let old = [
        record_of("003A", "Old A", &[&of(1)]),
        record_of("003B", "Old B", &[&of(2)]),
        record_of("003C", "Old C", &[&of(3)]),
        record_of("003D", "Old D", &[&of(4)]),
    ];
    fill(&store, &old[..2]).await;
    let generation = begin(&store).await;
    // Renamed, deleted, and one that nobody knew yet created and deleted while the fill reads.
    let renamed = record_of("003A", "New A", &[&of(1), &of(9)]);
    write(&store, &change(&[renamed], &["003B", "003C"])).await;
    let receipt = write(&store, &page(generation, &old)).await;
    assert_eq!((receipt.written, receipt.kept), (1, 3), "{receipt:?}");
    assert_eq!(name_of(&store, &of(1)).await.as_deref(), Some("New A"));
    assert_eq!(name_of(&store, &of(9)).await.as_deref(), Some("New A"));
    assert_eq!(name_of(&store, &of(2)).await, None);
    assert_eq!(name_of(&store, &of(3)).await, None);
    // Undeleted.
    write(
        &store,
        &change(&[record_of("003B", "Again", &[&of(2)])], &[]),
    )
    .await;
    write(&store, &page(generation, &old)).await;
    finish(&store, generation).await;
    assert_eq!(name_of(&store, &of(2)).await.as_deref(), Some("Again"));
    let state = book(&store).await;
    assert_eq!((state.records, state.numbers), (3, 4));
    let sql = "SELECT '' AS number, record_id FROM records WHERE object IS NULL";
    let marks: Vec<HeldRow> = store.database.all(sql, vec![]).await.unwrap();
    assert!(marks.is_empty(), "marks of what is gone go with the fill");
    // The next fill knows better.
    fill(&store, &old[..1]).await;
    assert_eq!(name_of(&store, &of(1)).await.as_deref(), Some("Old A"));
    assert_eq!(book(&store).await.records, 1);
}

async fn an_account_with_another_name_names_its_contacts(on: Backend) {
    let (store, _folder) = store(on).await;
    let of_account = |id: &str, account: &str, n: usize| BookRecord {
        account_id: Some(account.to_owned()),
        ..record_of(id, id, &[&of(n)])
    };
    let records = [of_account("003A", "001A", 1), of_account("003B", "001B", 2)];
    let generation = begin(&store).await;
    write(&store, &page(generation, &records)).await;
    let request = WriteRecords {
        accounts: vec![AccountName {
            record_id: "001A".to_owned(),
            name: Some("Umi".to_owned()),
            merged_into: None,
        }],
        ..WriteRecords::default()
    };
    write(&store, &request).await;
    write(&store, &page(generation, &records)).await;
    finish(&store, generation).await;
    let company = async |n| who(&store, &of(n)).await.unwrap().company_name;
    assert_eq!(company(1).await.as_deref(), Some("Umi"));
    assert_eq!(company(2).await.as_deref(), Some("Acme"));
}

async fn an_erased_number_is_on_no_record_and_stays_away(on: Backend) {
    let (store, _folder) = store(on).await;
    store.use_number_keys(NumberKeys::new(None, &TokenKeys::parse(KEY).unwrap()));
    let records = [
        record_of("003A", "A", &[&of(1)]),
        record_of("003B", "B", &[&of(1), &of(2)]),
    ];
    fill(&store, &records).await;
    let filter = NumberFilter::E164(number(&of(1)));
    let held_before = store
        .export_number(&acme(), &filter, Region::JAPAN, &clerk(), at(2))
        .await
        .unwrap();
    assert_eq!(held_before.records, records);
    let erased = store
        .erase_number(&acme(), &filter, Region::JAPAN, &clerk(), at(3))
        .await
        .unwrap();
    assert_eq!(erased.records, 2);
    let left = BTreeSet::from([(of(2), "003B".to_owned())]);
    assert_eq!(held(&store).await, left);
    assert_eq!(book(&store).await.records, 1);
    // A fill that is under way, a new one, and a change.
    fill(&store, &records).await;
    write(&store, &change(&records, &[])).await;
    assert_eq!(held(&store).await, left);
    assert_eq!(name_of(&store, &of(1)).await, None);
    assert_eq!(name_of(&store, &of(2)).await.as_deref(), Some("B"));
}

async fn a_book_goes_with_the_company_and_when_nobody_confirms_it(on: Backend) {
    let (store, _folder) = store(on).await;
    let records = [record_of("003A", "A", &[&of(1)])];
    fill(&store, &records).await;
    store.purge(None, at(1)).await.unwrap();
    assert_eq!(book(&store).await.records, 1);
    // Without changes it is confirmed.
    store
        .write_records(&acme(), &change(&[], &[]), at(50))
        .await
        .unwrap();
    store.purge(None, at(50)).await.unwrap();
    assert_eq!(book(&store).await.records, 1);
    store.purge(None, at(51)).await.unwrap();
    assert_eq!(book(&store).await, Book::default());
    assert!(held(&store).await.is_empty());

    fill(&store, &records).await;
    let rows = store.erase_any(&acme(), at(60)).await.unwrap();
    assert!(rows >= 3, "{rows}");
    assert!(held(&store).await.is_empty());
    // A worker that is still at it brings nothing back.
    store
        .begin_fill(&acme(), &BeginFill::default(), at(61))
        .await
        .unwrap();
    assert!(!write(&store, &change(&records, &[])).await.taken);
    assert_eq!(book(&store).await, Book::default());
}

async fn a_book_that_is_taken_away_answers_nothing_and_may_come_again(on: Backend) {
    let (store, _folder) = store(on).await;
    let many: Vec<BookRecord> = (0..2_500)
        .map(|n| record_of(&format!("003{n:05}"), "Many", &[&of(n)]))
        .collect();
    record(&store, &[leg("a", &of(2_400), 1)]).await;
    let named = CallFilter {
        name: Some("many".to_owned()),
        limit: 9,
        ..CallFilter::default()
    };
    assert_eq!(store.book_size(&acme()).await.unwrap(), 0);
    fill(&store, &many).await;
    assert_eq!(store.book_size(&acme()).await.unwrap(), 2_500);
    assert_eq!(search(&store, &named, 9).await.0, ["a"]);
    let part = store.drop_book("acme", Duration::ZERO).await.unwrap();
    assert!(!part.done);
    assert_eq!(name_of(&store, &of(2_400)).await, None, "at once");
    assert_eq!(store.book_size(&acme()).await.unwrap(), 0);
    assert_eq!(search(&store, &named, 9).await.0, [] as [&str; 0]);
    assert!(!write(&store, &change(&many[..1], &[])).await.taken);
    // The tenant wants it again before it is gone.
    let generation = begin(&store).await;
    write(&store, &page(generation, &many[..3])).await;
    finish(&store, generation).await;
    let state = book(&store).await;
    assert_eq!((state.records, state.numbers), (3, 3));
    assert_eq!(store.book_size(&acme()).await.unwrap(), 3);
    assert!(store.drop_book("acme", Duration::MAX).await.unwrap().done);
    assert_eq!(book(&store).await, Book::default());
    assert!(store.drop_book("acme", Duration::MAX).await.unwrap().done);
}

/// A world of few records and numbers, in which every order of things comes up.
async fn whatever_happens_the_book_is_what_was_written_and_counts_it(on: Backend) {
    let (store, _folder) = store(on).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    // What Salesforce holds, what a fill has still to read, as it was when it began.
    let mut org: BTreeMap<String, BookRecord> = BTreeMap::new();
    let mut reads: Option<(u64, Vec<BookRecord>)> = None;
    begin_and_end(&store).await;
    for step in 0..300 {
        match random.random_range(0..10) {
            0..6 => {
                let id = format!("003{}", random.random_range(0..12));
                if random.random_bool(0.3) {
                    org.remove(&id);
                    write(&store, &change(&[], &[&id])).await;
                } else {
                    let numbers: Vec<String> = (0..random.random_range(0..3))
                        .map(|_| of(random.random_range(0..8)))
                        .collect();
                    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
                    let record = record_of(&id, &format!("step {step}"), &numbers);
                    write(&store, &change(std::slice::from_ref(&record), &[])).await;
                    org.insert(id, record);
                }
            }
            6 => reads = Some((begin(&store).await, org.values().cloned().collect())),
            _ => {
                if let Some((generation, left)) = &mut reads {
                    let count = left.len().min(4);
                    let some: Vec<BookRecord> = left.drain(..count).collect();
                    assert!(write(&store, &page(*generation, &some)).await.taken);
                    if left.is_empty() {
                        finish(&store, *generation).await;
                        reads = None;
                    }
                }
            }
        }
        let expected: BTreeSet<(String, String)> = org
            .values()
            .flat_map(|record| {
                let id = &record.record_id;
                let numbers = record.numbers.iter();
                numbers.map(move |number| (number.to_string(), id.clone()))
            })
            .collect();
        assert_eq!(held(&store).await, expected, "step {step}, seed {seed}");
        let live = org.values().filter(|r| !r.numbers.is_empty()).count() as u64;
        let state = book(&store).await;
        let counted = (state.records, state.numbers);
        assert_eq!(
            counted,
            (live, expected.len() as u64),
            "step {step}, seed {seed}"
        );
    }
}

async fn begin_and_end(store: &Store) {
    let generation = begin(store).await;
    finish(store, generation).await;
}

async fn thousands_of_records_are_written_and_swept_in_parts(on: Backend) {
    let (store, _folder) = store(on).await;
    let id = |n: usize| format!("003{n:05}");
    let all: Vec<BookRecord> = (0..5_000)
        .map(|n| record_of(&id(n), "Many", &[&of(n), &of(n + 1)]))
        .collect();
    let generation = begin(&store).await;
    for records in all.chunks(1_000) {
        let receipt = write(&store, &page(generation, records)).await;
        assert_eq!(receipt.written, 1_000);
    }
    finish(&store, generation).await;
    let generation = begin(&store).await;
    let some: Vec<BookRecord> = all.iter().step_by(50).cloned().collect();
    write(&store, &page(generation, &some)).await;
    let request = FinishFill { generation };
    let mut parts = 0;
    loop {
        parts += 1;
        let ended = store.finish_fill(&acme(), request, Duration::ZERO).await;
        let ended = ended.unwrap();
        assert!(ended.removed <= 2_000, "{ended:?}");
        if ended.done {
            break;
        }
        assert!(book(&store).await.fill.unwrap().finishing);
    }
    assert!(parts > 2, "{parts}");
    let state = book(&store).await;
    assert_eq!((state.records, state.numbers), (100, 200));
    assert_eq!(held(&store).await.len(), 200);
    let found = store
        .holders(&acme(), &[number(&of(50)), number(&of(51))])
        .await;
    let found = found.unwrap();
    assert_eq!(found.records, [all[50].clone()], "each once");
}
