//! Whose data it is: claims, the erasure of a company and of a number, retention, the audit, and
//! that no byte of an erased number stays in the files.

use std::time::Duration;

use super::*;
use crate::directory::TokenKeys;
use crate::directory::model::company::{
    Belonging, CompanySettings, CompanyState, EraseCompanyRequest, ErasedCompany, Owner,
};
use crate::directory::model::number_hash::NumberKeys;
use crate::directory::store::audit::{Actor, AuditFilter};
use crate::directory::store::companies::EVERYTHING;
use crate::directory::store::database::{WITH_NUMBERS, args, row};

const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
const OTHER_KEY: &str = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";
const NUMBER: &str = "+81312345678";

on_each_database! {
    data_is_not_inherited_by_a_stranger_and_is_by_the_same_name,
    data_of_before_the_record_goes_to_who_had_its_tokens,
    an_erased_company_leaves_nothing_and_takes_nothing_in,
    a_company_is_erased_in_parts_and_the_data_of_another_is_left_alone,
    a_claim_that_says_something_else_is_kept_and_the_audit_tells_who_claimed,
    a_number_of_more_calls_than_one_step_takes_is_erased_whole,
    the_shorter_retention_counts_for_each_company,
    an_erased_number_does_not_come_back,
    a_number_is_erased_however_it_was_spelled,
    a_number_that_is_restored_is_kept_again,
    an_erasure_beside_writers_leaves_nothing,
    the_audit_tells_who_did_what_and_ends_after_its_time,
    no_byte_of_an_erased_number_is_in_the_files,
    every_table_with_a_company_is_erased_with_it,
}

fn keys(own: &str) -> NumberKeys {
    NumberKeys::new(None, &TokenKeys::parse(own).unwrap())
}

pub(super) async fn keyed(on: Backend) -> (Store, TempDir) {
    let (store, folder) = store(on).await;
    store.use_number_keys(keys(KEY));
    (store, folder)
}

fn globex() -> CompanyId {
    "globex".parse().unwrap()
}

fn actor() -> Actor {
    Actor {
        purpose: "privacy".into(),
        key_id: "k1".into(),
    }
}

fn owner(uid: &str, namespace: &str, name: &str) -> Owner {
    Owner {
        uid: uid.into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn claimed_by(owner: &Owner) -> CompanySettings {
    CompanySettings {
        owner: owner.clone(),
        adopt: None,
        had_tokens: false,
        retain_days: None,
    }
}

async fn claims(store: &Store, settings: &CompanySettings) -> CompanyState {
    store
        .claim_company(&acme(), settings, Some(90), &actor(), at(0))
        .await
        .unwrap()
}

async fn erase_all(store: &Store, owner: &Owner, budget: Duration) -> ErasedCompany {
    let request = EraseCompanyRequest {
        owner: owner.clone(),
        had_tokens: false,
        not_before: at(500),
    };
    store
        .erase_company(&acme(), &request, &actor(), at(500), budget)
        .await
        .unwrap()
}

async fn held(store: &Store, company: &CompanyId) -> (usize, usize) {
    let all = CallFilter {
        limit: 1_000,
        ..CallFilter::default()
    };
    let (calls, _) = store.calls(company, &all).await.unwrap();
    let contacts = store.contacts_after(company, "", 1_000).await.unwrap();
    (calls.len(), contacts.len())
}

async fn name(store: &Store, number: &str) {
    let writes = writes(WritePolicy::Overwrite, &[found(number)]);
    store.write_contacts(&acme(), &writes, at(0)).await.unwrap();
}

fn number(text: &str) -> NumberFilter {
    match crate::phone::parse(text, &Region::JAPAN) {
        Ok(number) => NumberFilter::E164(number),
        Err(_) => NumberFilter::Spelled(text.to_owned()),
    }
}

async fn erase(store: &Store, text: &str) -> u64 {
    store
        .erase_number(&acme(), &number(text), Region::JAPAN, &actor(), at(300))
        .await
        .unwrap()
        .calls
}

async fn actions(store: &Store, company: &CompanyId) -> Vec<String> {
    let all = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let (entries, _) = store.audit(company, &all).await.unwrap();
    entries.into_iter().map(|entry| entry.action).collect()
}

async fn data_is_not_inherited_by_a_stranger_and_is_by_the_same_name(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let first = owner("u1", "acme", "link");
    assert_eq!(
        claims(&store, &claimed_by(&first)).await.belongs,
        Belonging::Ours
    );
    // Nothing is held yet: the next one inherits nothing, and is told nothing.
    let second = owner("u2", "acme", "renamed");
    let state = claims(&store, &claimed_by(&second)).await;
    assert_eq!((state.belongs, state.other), (Belonging::Ours, None));
    record(&store, &[leg("a", "0312345678", 0)]).await;

    let stranger = owner("u3", "eve", "link");
    let state = claims(&store, &claimed_by(&stranger)).await;
    let expected = (Belonging::Another, Some(second.clone()));
    assert_eq!((state.belongs, state.other), expected);
    // Repeated, and by itself, it changes nothing.
    assert_eq!(
        claims(&store, &claimed_by(&stranger)).await.belongs,
        Belonging::Another
    );
    assert_eq!(claims(&store, &claimed_by(&second)).await.other, None);

    // GitOps applies the same manifest again: the same tenant.
    let again = owner("u4", "acme", "renamed");
    let state = claims(&store, &claimed_by(&again)).await;
    assert_eq!(
        (state.belongs, state.other),
        (Belonging::Ours, Some(second))
    );
    assert_eq!(
        claims(&store, &claimed_by(&again)).await.other,
        None,
        "told once"
    );

    // An adoption names the UID of who left it.
    let adopts = |uid: &str| CompanySettings {
        adopt: Some(uid.into()),
        ..claimed_by(&stranger)
    };
    assert_eq!(
        claims(&store, &adopts("u2")).await.belongs,
        Belonging::Another
    );
    let state = claims(&store, &adopts("u4")).await;
    assert_eq!((state.belongs, state.other), (Belonging::Ours, Some(again)));
    let done = actions(&store, &acme()).await;
    let expected = [
        "data-claimed",
        "data-claimed",
        "data-taken-over",
        "data-taken-over",
    ];
    let mut sorted = done.clone();
    sorted.sort();
    assert_eq!(sorted, expected, "{done:?}");
}

async fn data_of_before_the_record_goes_to_who_had_its_tokens(on: Backend) {
    let (store, _folder) = keyed(on).await;
    record(&store, &[leg("a", "0312345678", 0)]).await;
    let mut claim = claimed_by(&owner("u1", "acme", "link"));
    assert_eq!(claims(&store, &claim).await.belongs, Belonging::Nobody);
    claim.had_tokens = true;
    assert_eq!(claims(&store, &claim).await.belongs, Belonging::Ours);
    claim.had_tokens = false;
    assert_eq!(
        claims(&store, &claim).await.belongs,
        Belonging::Ours,
        "on record now"
    );
}

async fn an_erased_company_leaves_nothing_and_takes_nothing_in(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let first = owner("u1", "acme", "link");
    claims(&store, &claimed_by(&first)).await;
    let legs: Vec<_> = (0..2_300)
        .map(|n| leg(&format!("c{n}"), &format!("031234{:04}", n % 2_000), n))
        .collect();
    record(&store, &legs).await;
    name(&store, NUMBER).await;
    erase(&store, "03-9876-5432").await;
    store
        .record_calls(&globex(), Region::JAPAN, &legs[..3], at(0))
        .await
        .unwrap();

    let erased = erase_all(&store, &first, Duration::MAX).await;
    assert_eq!((erased.done, erased.belongs), (true, Belonging::Ours));
    assert!(erased.rows >= 2_302, "{erased:?}");
    assert_eq!(held(&store, &acme()).await, (0, 0));
    assert_eq!(held(&store, &globex()).await.0, 3, "another company's stay");
    assert_eq!(store.revocations().await.unwrap(), [(acme(), at(500))]);
    assert_eq!(actions(&store, &acme()).await, ["company-erased"]);

    // A run and a webhook that are still under way bring nothing back.
    record(&store, &legs[..5]).await;
    name(&store, NUMBER).await;
    let request = crate::directory::model::AgainRequest {
        settings: "s".into(),
        limit: 10,
        round_every: 0,
        begin: None,
    };
    store
        .numbers_to_ask(&acme(), &request, at(0))
        .await
        .unwrap();
    assert_eq!(held(&store, &acme()).await, (0, 0));
    for table in [
        "calls",
        "contacts",
        "questions",
        "retrievals",
        "erased_numbers",
    ] {
        assert_eq!(rows(&store, table, &acme()).await, 0, "{table}");
    }
    // Repeating it is no harm, and who comes next begins anew, whoever it is.
    assert!(erase_all(&store, &first, Duration::MAX).await.done);
    let next = owner("u9", "eve", "link");
    let state = claims(&store, &claimed_by(&next)).await;
    assert_eq!((state.belongs, state.other), (Belonging::Ours, None));
    record(&store, &legs[..5]).await;
    assert_eq!(held(&store, &acme()).await.0, 5);
}

async fn a_company_is_erased_in_parts_and_the_data_of_another_is_left_alone(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let first = owner("u1", "acme", "link");
    claims(&store, &claimed_by(&first)).await;
    let legs: Vec<_> = (0..2_500)
        .map(|n| leg(&format!("c{n}"), "0312345678", n))
        .collect();
    record(&store, &legs).await;
    for other in [owner("u2", "eve", "link"), owner("u2", "acme", "link")] {
        let erased = erase_all(&store, &other, Duration::MAX).await;
        assert_eq!(
            (erased.done, erased.belongs, erased.rows),
            (true, Belonging::Another, 0)
        );
    }
    assert_eq!(rows(&store, "calls", &acme()).await, 2_500);
    assert_eq!(store.revocations().await.unwrap(), []);
    let part = erase_all(&store, &first, Duration::ZERO).await;
    assert_eq!((part.done, part.rows), (false, 1_000));
    // Nothing comes in between two parts.
    record(&store, &[leg("new", "0312345678", 1)]).await;
    let mut more = 0;
    while !erase_all(&store, &first, Duration::ZERO).await.done {
        more += 1;
        assert!(more < 10);
    }
    assert_eq!(rows(&store, "calls", &acme()).await, 0);
}

async fn a_claim_that_says_something_else_is_kept_and_the_audit_tells_who_claimed(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let of = |uid: &str, retain_days| CompanySettings {
        retain_days,
        ..claimed_by(&owner(uid, "acme", "link"))
    };
    for (uid, days) in [
        ("u1", None),
        ("u1", Some(7)),
        ("u1", Some(30)),
        ("u2", Some(30)),
        ("u2", None),
    ] {
        let state = claims(&store, &of(uid, days)).await;
        assert_eq!(state.retain_days, Some(days.unwrap_or(90)));
        let kept = store.retentions().await.unwrap();
        assert_eq!(kept.get("acme").copied(), days, "{uid} {days:?}");
    }
    // An erasure that was stopped half way lets nothing in, until somebody claims the company.
    record(&store, &[leg("a", "0312345678", 0)]).await;
    let part = erase_all(&store, &owner("u2", "acme", "link"), Duration::MAX).await;
    assert!(part.done);
    record(&store, &[leg("a", "0312345678", 0)]).await;
    assert_eq!(held(&store, &acme()).await.0, 0);
    claims(&store, &of("u2", None)).await;
    record(&store, &[leg("a", "0312345678", 0)]).await;
    assert_eq!(held(&store, &acme()).await.0, 1);

    let all = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let (entries, _) = store.audit(&acme(), &all).await.unwrap();
    let claimed = entries.into_iter().filter(|e| e.action == "data-claimed");
    let claimed: Vec<_> = claimed
        .map(|entry| (entry.purpose, entry.key_id, entry.number_hash, entry.detail))
        .collect();
    let by = (actor().purpose, actor().key_id);
    let detail = Some("acme/link u2".to_owned());
    assert_eq!(claimed, [(by.0, by.1, None, detail)]);
}

async fn a_number_of_more_calls_than_one_step_takes_is_erased_whole(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let legs: Vec<_> = (0..1_001)
        .map(|n| leg(&format!("c{n}"), NUMBER, n))
        .collect();
    record(&store, &legs).await;
    record(&store, &[leg("other", "0398765432", 1)]).await;
    assert_eq!(erase(&store, NUMBER).await, 1_001);
    assert_eq!(held(&store, &acme()).await.0, 1, "the other number's");
}

async fn the_shorter_retention_counts_for_each_company(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let days = |days: i64| days * 24 * 3_600;
    let legs = [
        leg("old", "0312345678", days(-100)),
        leg("month", "0312345679", days(-40)),
        leg("week", "0312345670", days(-8)),
        leg("new", "0312345671", days(-1)),
    ];
    let (birch, cedar): (CompanyId, CompanyId) =
        ("birch".parse().unwrap(), "cedar".parse().unwrap());
    let companies = [
        (acme(), Some(7)),
        (globex(), Some(60)),
        (birch.clone(), None),
        (cedar.clone(), Some(400)),
    ];
    for (company, retain_days) in &companies {
        store
            .record_calls(company, Region::JAPAN, &legs, at(0))
            .await
            .unwrap();
        let settings = CompanySettings {
            retain_days: *retain_days,
            had_tokens: true,
            ..claimed_by(&owner("u1", "acme", "link"))
        };
        let claimed = store
            .claim_company(company, &settings, Some(90), &actor(), at(0))
            .await;
        let expected = retain_days.map_or(90, |days: u32| days.min(90));
        assert_eq!(claimed.unwrap().retain_days, Some(expected), "{company}");
    }
    let left = async || {
        let mut left = vec![];
        for company in [acme(), globex(), birch.clone(), cedar.clone()] {
            left.push(held(&store, &company).await.0);
        }
        left
    };
    store.retain(None, at(0)).await.unwrap();
    assert_eq!(
        left().await,
        [1, 3, 4, 4],
        "without a maximum of the operator's"
    );
    store.retain(Some(90), at(0)).await.unwrap();
    assert_eq!(left().await, [1, 3, 3, 3]);
}

async fn an_erased_number_does_not_come_back(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let legs = [leg("a", "03-1234-5678", 0), leg("b", "0398765432", 1)];
    record(&store, &legs).await;
    name(&store, NUMBER).await;
    name(&store, "+81398765432").await;
    // A run has taken the call already.
    assert_eq!(claim(&store, "w", 10, 100).await, ["a", "b"]);
    assert_eq!(erase(&store, "+81 3 1234 5678").await, 1);
    assert_eq!(
        held(&store, &acme()).await,
        (1, 1),
        "the other number stays"
    );

    // A webhook that is delivered again, in another spelling; a new call; and a call that gets the
    // number later.
    let receipt = store
        .record_calls(
            &acme(),
            Region::JAPAN,
            &[leg("a", "03 1234 5678", 0), leg("n", "+81312345678", 9)],
            at(0),
        )
        .await
        .unwrap();
    assert_eq!((receipt.received, receipt.added, receipt.erased), (2, 0, 2));
    let silent = Leg {
        number: None,
        ..leg("later", "", 5)
    };
    record(&store, &[silent, leg("later", "0312345678", 5)]).await;
    // The run ends: it writes what it found, and marks the call done.
    let mut writes = writes(
        WritePolicy::Overwrite,
        &[found(NUMBER), found("+81398765432")],
    );
    let receipt = store.write_contacts(&acme(), &writes, at(0)).await.unwrap();
    assert_eq!((receipt.written(), receipt.kept()), (1, 1));
    writes.contacts.clear();
    writes.not_found = vec![NUMBER.parse().unwrap()];
    store.write_contacts(&acme(), &writes, at(0)).await.unwrap();
    let done = |id: &str, number: &str| DoneCall {
        id: id.into(),
        reading: Reading::E164(number.parse().unwrap()),
    };
    let receipt = store
        .done(&acme(), &[done("a", NUMBER)], at(0))
        .await
        .unwrap();
    assert_eq!((receipt.done, receipt.unknown), (0, 1));
    // A person.
    let edited = crate::directory::model::Contact {
        source: crate::directory::model::ContactSource::Manual,
        ..contact(NUMBER)
    };
    assert!(!store.put_contact(&acme(), &edited, &actor()).await.unwrap());
    assert_eq!(held(&store, &acme()).await, (1, 1));
    assert_eq!(rows(&store, "questions", &acme()).await, 1);
    assert!(
        store
            .number_erased_at(&acme(), &NUMBER.parse().unwrap())
            .await
            .unwrap()
            .is_some()
    );

    // A worker that reads a spelling otherwise than the directory.
    record(&store, &[leg("odd", "0398765432", 3)]).await;
    store
        .done(&acme(), &[done("odd", NUMBER)], at(0))
        .await
        .unwrap();
    assert_eq!(held(&store, &acme()).await.0, 1);

    // It holds for this company only, and with a key that was changed.
    store.use_number_keys(keys(&format!("{OTHER_KEY}\n{KEY}")));
    record(&store, &legs[..1]).await;
    assert_eq!(held(&store, &acme()).await.0, 1);
    store
        .record_calls(&globex(), Region::JAPAN, &legs[..1], at(0))
        .await
        .unwrap();
    assert_eq!(held(&store, &globex()).await.0, 1);
}

fn contact(number: &str) -> crate::directory::model::Contact {
    crate::directory::model::Contact {
        number: number.parse().unwrap(),
        company_name: None,
        person_name: Some("Sato".into()),
        object: None,
        record_id: None,
        link: None,
        title: None,
        owner_name: None,
        alternatives: None,
        source: crate::directory::model::ContactSource::Manual,
        updated_at: at(0),
        asked_at: None,
        not_found: false,
    }
}

async fn a_number_is_erased_however_it_was_spelled(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let odd = [
        ("a", "0312345678"),
        ("b", "03-1234-5678"),
        ("c", "０３－１２３４－５６７８"),
        ("d", "0312345678 / 0398765432"),
        ("e", "0398765432"),
        ("f", "Anonymous"),
    ];
    let legs: Vec<_> = odd.iter().map(|(id, number)| leg(id, number, 1)).collect();
    record(&store, &legs).await;
    assert_eq!(erase(&store, "0312345678").await, 4);
    record(&store, &legs).await;
    assert_eq!(held(&store, &acme()).await.0, 2, "e and f");
    assert_eq!(erase(&store, "Anonymous").await, 1);
    record(&store, &legs).await;
    assert_eq!(held(&store, &acme()).await.0, 1);
}

async fn a_number_that_is_restored_is_kept_again(on: Backend) {
    let (store, _folder) = keyed(on).await;
    erase(&store, NUMBER).await;
    record(&store, &[leg("a", NUMBER, 1)]).await;
    assert_eq!(held(&store, &acme()).await.0, 0);
    let number = number(NUMBER);
    let restored = async || {
        store
            .restore_number(&acme(), &number, &actor(), at(9))
            .await
            .unwrap()
    };
    assert!(restored().await);
    assert!(!restored().await, "it is restored already");
    record(&store, &[leg("a", NUMBER, 1)]).await;
    name(&store, NUMBER).await;
    assert_eq!(held(&store, &acme()).await, (1, 1));
}

async fn an_erasure_beside_writers_leaves_nothing(on: Backend) {
    let (store, _folder) = keyed(on).await;
    for round in 0..10 {
        let number = format!("03123400{round:02}");
        let number = number.as_str();
        let writers = futures::future::join_all((0..8).map(|writer| {
            let store = &store;
            async move {
                for call in 0..5 {
                    let id = format!("{round}-{writer}-{call}");
                    record(store, &[leg(&id, number, 1)]).await;
                    name(store, &format!("+81{}", &number[1..])).await;
                }
            }
        }));
        let (_, _) = futures::future::join(writers, erase(&store, number)).await;
        assert_eq!(held(&store, &acme()).await, (0, 0), "round {round}");
    }
}

async fn the_audit_tells_who_did_what_and_ends_after_its_time(on: Backend) {
    let (store, _folder) = keyed(on).await;
    record(&store, &[leg("a", NUMBER, 1)]).await;
    store
        .put_contact(&acme(), &contact(NUMBER), &actor())
        .await
        .unwrap();
    let e164 = NUMBER.parse().unwrap();
    store
        .remove_contact(&acme(), &e164, &actor(), at(10))
        .await
        .unwrap();
    let held = store
        .export_number(&acme(), &number(NUMBER), Region::JAPAN, &actor(), at(20))
        .await;
    let held = held.unwrap();
    assert_eq!((held.calls.len(), held.erased_at), (1, None));
    assert_eq!(held.audit.len(), 3);
    erase(&store, NUMBER).await;
    let all = AuditFilter {
        limit: 3,
        ..AuditFilter::default()
    };
    let (page, next) = store.audit(&acme(), &all).await.unwrap();
    let (rest, end) = store
        .audit(&acme(), &AuditFilter { after: next, ..all })
        .await
        .unwrap();
    assert_eq!(end, None);
    let told: Vec<_> = page
        .iter()
        .chain(&rest)
        .map(|entry| entry.action.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "number-erased",
            "number-exported",
            "contact-removed",
            "contact-edited"
        ]
    );
    let hash = store.number_hash(&acme(), NUMBER);
    for entry in page.iter().chain(&rest) {
        assert_eq!(
            (entry.purpose.as_str(), entry.key_id.as_str()),
            ("privacy", "k1")
        );
        assert_eq!(entry.number_hash.as_deref(), Some(hash.as_str()));
    }
    assert_eq!(
        actions(&store, &globex()).await,
        [""; 0],
        "another company's"
    );
    assert_eq!(store.purge_audit(at(20)).await.unwrap(), 2);
    assert_eq!(
        actions(&store, &acme()).await,
        ["number-erased", "number-exported"]
    );
}

row! {
    struct NameRow {
        name: String,
    }
}

row! {
    struct CountRow {
        count: i64,
    }
}

async fn rows(store: &Store, table: &str, company: &CompanyId) -> i64 {
    let sql = format!("SELECT COUNT(*) AS count FROM {table} WHERE company = $1");
    let row: Option<CountRow> = store
        .database
        .optional(sqlx::AssertSqlSafe(sql), args![company.as_str()])
        .await
        .unwrap();
    row.unwrap().count
}

async fn every_table_with_a_company_is_erased_with_it(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let sql = match on {
        Backend::Sqlite => {
            "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name = 'company' ORDER BY m.name"
        }
        Backend::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.columns \
             WHERE column_name = 'company' AND table_schema = 'public' ORDER BY table_name"
        }
    };
    let tables: Vec<NameRow> = store.database.all(sql, vec![]).await.unwrap();
    let mut tables: Vec<_> = tables.into_iter().map(|row| row.name).collect();
    tables.sort();
    // These stay, and hold nothing of the company's.
    let mut erased = vec!["companies", "revocations"];
    erased.extend(EVERYTHING.iter().map(|(table, _)| *table));
    erased.sort_unstable();
    assert_eq!(tables, erased);
    assert!(WITH_NUMBERS.iter().all(|table| erased.contains(table)));
}

async fn no_byte_of_an_erased_number_is_in_the_files(on: Backend) {
    let (store, folder) = keyed(on).await;
    // Enough that pages are split and filled again.
    let of = |n: usize| format!("+8131234{:04}", (n * 37) % 3_000);
    for start in (0..3_000).step_by(500) {
        let some: Vec<_> = (start..start + 500).collect();
        let legs: Vec<_> = some
            .iter()
            .map(|n| {
                leg(
                    &format!("c{}", (n * 53) % 3_000),
                    &spelled(&of(*n)),
                    *n as i64,
                )
            })
            .collect();
        record(&store, &legs).await;
        let contacts: Vec<_> = some.iter().map(|n| found(&of(*n))).collect();
        let writes = writes(WritePolicy::Overwrite, &contacts);
        store.write_contacts(&acme(), &writes, at(0)).await.unwrap();
    }
    let gone: Vec<String> = (0..3_000).step_by(100).map(of).collect();
    let kept = of(1);
    for number in &gone {
        assert_eq!(erase(&store, number).await, 1);
    }
    store.clean_up().await.unwrap();
    // PostgreSQL's indexes keep deleted keys as separators of their pages, and a page of a table
    // may keep its last row, until they are written anew.
    if on == Backend::Postgres {
        store.compact().await.unwrap();
    }
    let bytes = files(&store, on, &folder).await;
    assert!(holds(&bytes, &kept), "the search finds what is there");
    let left: Vec<_> = gone.iter().filter(|number| holds(&bytes, number)).collect();
    assert!(left.is_empty(), "{left:?} of {}", gone.len());
}

/// All bytes of the database: SQLite's file and journal, or PostgreSQL's tables, indexes and
/// statistics.
async fn files(store: &Store, on: Backend, folder: &TempDir) -> Vec<(String, Vec<u8>)> {
    if on == Backend::Sqlite {
        let files = std::fs::read_dir(folder.path()).unwrap();
        return files
            .map(|file| {
                let path = file.unwrap().path();
                (path.display().to_string(), std::fs::read(&path).unwrap())
            })
            .collect();
    }
    // What is in memory is written, so that the files are what is searched.
    let paths: Vec<NameRow> = store
        .database
        .all(
            "SELECT c.relname || ' ' || current_setting('data_directory') || '/' || pg_relation_filepath(c.oid) AS name \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'i', 't') AND pg_relation_filepath(c.oid) IS NOT NULL \
             AND (n.nspname IN ('public', 'pg_toast') OR c.relname LIKE 'pg_statistic%') \
             AND NOT c.relisshared",
            vec![],
        )
        .await
        .unwrap();
    let mut transaction = store.database.begin().await.unwrap();
    transaction.execute("CHECKPOINT", vec![]).await.unwrap();
    transaction.commit().await.unwrap();
    paths
        .into_iter()
        .map(|path| {
            let (relation, file) = path.name.split_once(' ').unwrap();
            let read = std::fs::read(file);
            let bytes = read.unwrap_or_else(|error| panic!("{}: {error}", path.name));
            (relation.to_owned(), bytes)
        })
        .collect()
}

/// As the platform may spell it.
fn spelled(number: &str) -> String {
    format!("03-1234-{}", &number[8..])
}

fn holds(files: &[(String, Vec<u8>)], number: &str) -> bool {
    [number.trim_start_matches('+'), &spelled(number)]
        .iter()
        .any(|text| {
            files.iter().any(|(_, bytes)| {
                bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
            })
        })
}
