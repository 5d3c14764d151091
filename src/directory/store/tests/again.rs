//! What runs ask again, and what becomes of names that Salesforce no longer knows.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::directory::model::misses::{Miss, due, missed};
use crate::directory::model::{AgainRequest, BeginRetrieval, Contact, ContactSource, NumbersToAsk};
use crate::phone::E164;

on_each_database! {
    a_retrieval_hands_out_the_newest_call_first_until_each_number_is_asked,
    the_same_request_is_one_retrieval_and_another_one_begins_anew,
    a_retrieval_asks_for_named_numbers_only_where_they_may_be_overwritten,
    a_retrieval_has_a_window_and_leaves_pending_and_internal_calls_to_others,
    a_retrieval_that_has_come_to_a_call_asks_for_no_newer_one_and_one_that_is_over_for_none,
    since_when_misses_are_open_is_told_only_where_all_were_compared_alike,
    misses_come_in_rounds_and_at_once_when_settings_change,
    a_number_that_somebody_named_is_not_asked_for_again,
    a_known_number_that_salesforce_forgot_loses_its_name_and_keeps_what_it_was,
    questions_go_with_the_last_call_of_their_number,
    the_database_hands_out_what_the_rule_says_is_due,
}

pub(super) const DAY: i64 = 86_400;

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

pub(super) fn asks(settings: &str, limit: u32) -> AgainRequest {
    AgainRequest {
        settings: settings.to_owned(),
        limit,
        round_every: 0,
        begin: None,
    }
}

fn begins(request: &str, named: bool) -> AgainRequest {
    AgainRequest {
        begin: Some(BeginRetrieval {
            request: request.to_owned(),
            history_days: 30,
            named,
        }),
        ..asks("s", 0)
    }
}

pub(super) async fn ask(store: &Store, request: &AgainRequest, now: i64) -> NumbersToAsk {
    let answer = store.numbers_to_ask(&acme(), request, at(now)).await;
    answer.unwrap()
}

async fn retrieved(store: &Store, limit: u32, now: i64) -> Vec<String> {
    let answer = ask(store, &asks("s", limit), now).await;
    answer.retrieval.iter().map(E164::to_string).collect()
}

async fn due_misses(store: &Store, settings: &str, now: i64) -> Vec<String> {
    let answer = ask(store, &asks(settings, 1_000), now).await;
    answer.misses.iter().map(E164::to_string).collect()
}

/// Records calls that are done, one from each number, at second 0, 10, 20 and so on.
async fn done_calls(store: &Store, numbers: &[&str]) {
    let legs: Vec<_> = numbers
        .iter()
        .enumerate()
        .map(|(n, number)| leg(&format!("d{n}"), number, n as i64 * 10))
        .collect();
    record(store, &legs).await;
    let request = ClaimRequest::new("w");
    let claimed = store.claim(&acme(), &request, at(9_000)).await;
    let calls: Vec<DoneCall> = claimed
        .unwrap()
        .calls
        .into_iter()
        .map(|call| DoneCall {
            id: call.id,
            reading: Reading::E164(call.e164.unwrap()),
        })
        .collect();
    store.done(&acme(), &calls, at(9_000)).await.unwrap();
}

pub(super) fn misses(settings: &str, numbers: &[&str]) -> WriteContactsRequest {
    WriteContactsRequest {
        not_found: numbers.iter().map(|text| number(text)).collect(),
        searched: vec![RecordObject::Contact, RecordObject::Lead],
        settings: settings.to_owned(),
        ..WriteContactsRequest::new(WritePolicy::Overwrite, vec![])
    }
}

pub(super) async fn write(store: &Store, request: &WriteContactsRequest, now: i64) -> u32 {
    let receipt = store.write_contacts(&acme(), request, at(now)).await;
    receipt.unwrap().gone
}

const A: &str = "+81312345670";
const B: &str = "+81312345671";
const C: &str = "+81312345672";

async fn a_retrieval_hands_out_the_newest_call_first_until_each_number_is_asked(on: Backend) {
    let (store, _folder) = store(on).await;
    done_calls(&store, &[A, B, A, C, B]).await;
    let begun = ask(&store, &begins("r1", false), DAY).await;
    assert_eq!((begun.remaining, begun.more), (3, true));
    assert_eq!(retrieved(&store, 2, DAY + 1).await, [B, C]);
    assert_eq!(
        retrieved(&store, 2, DAY + 2).await,
        [B, C],
        "a run that was killed before it asked loses nothing"
    );
    write(&store, &misses("s", &[B]), DAY + 3).await;
    assert_eq!(retrieved(&store, 2, DAY + 4).await, [C, A]);
    assert_eq!(ask(&store, &asks("s", 0), DAY + 4).await.remaining, 2);
    write(&store, &misses("s", &[A, C]), DAY + 5).await;
    assert_eq!(retrieved(&store, 2, DAY + 6).await, [] as [&str; 0]);
    let over = ask(&store, &asks("s", 0), DAY + 7).await;
    assert_eq!((over.remaining, over.more), (0, false));
}

async fn the_same_request_is_one_retrieval_and_another_one_begins_anew(on: Backend) {
    let (store, _folder) = store(on).await;
    done_calls(&store, &[A, B]).await;
    ask(&store, &begins("r1", false), DAY).await;
    write(&store, &misses("s", &[A, B]), DAY + 1).await;
    let again = ask(&store, &begins("r1", false), DAY + 2).await;
    assert_eq!((again.remaining, again.more), (0, false), "it was asked");
    assert_eq!(
        ask(&store, &begins("r2", false), DAY + 3).await.remaining,
        2
    );
    assert_eq!(retrieved(&store, 9, DAY + 4).await, [B, A]);
}

async fn a_retrieval_asks_for_named_numbers_only_where_they_may_be_overwritten(on: Backend) {
    let (store, _folder) = store(on).await;
    done_calls(&store, &[A, B]).await;
    let named = writes(WritePolicy::Overwrite, &[found(A)]);
    write(&store, &named, 9_100).await;
    ask(&store, &begins("daily", false), DAY).await;
    assert_eq!(retrieved(&store, 9, DAY).await, [B]);
    ask(&store, &begins("after the call", true), DAY).await;
    assert_eq!(retrieved(&store, 9, DAY).await, [B, A]);
}

async fn a_retrieval_has_a_window_and_leaves_pending_and_internal_calls_to_others(on: Backend) {
    let (store, _folder) = store(on).await;
    done_calls(&store, &[A, B, C]).await;
    record(&store, &[leg("pending", B, 500)]).await;
    let internal = Leg {
        direction: Direction::Internal,
        ..leg("internal", C, 600)
    };
    record(&store, &[internal]).await;
    let later = 30 * DAY + 15;
    let begun = ask(&store, &begins("r1", false), later).await;
    assert_eq!(begun.remaining, 1, "A is too old, and B is pending");
    assert_eq!(retrieved(&store, 9, later).await, [C]);
}

async fn a_retrieval_that_has_come_to_a_call_asks_for_no_newer_one_and_one_that_is_over_for_none(
    on: Backend,
) {
    let (store, _folder) = store(on).await;
    let done = async |id: &str, text: &str, second| {
        record(&store, &[leg(id, text, second)]).await;
        let call = DoneCall {
            id: id.to_owned(),
            reading: Reading::E164(number(text)),
        };
        let receipt = store.done(&acme(), &[call], at(9_000)).await.unwrap();
        assert_eq!(receipt.done, 1);
    };
    done("a", A, 0).await;
    done("b", B, 10).await;
    ask(&store, &begins("r1", false), DAY).await;
    assert_eq!(retrieved(&store, 9, DAY).await, [B, A]);
    // The newest call that it has still to ask is b; one that comes later is another run's.
    done("newer", C, 500).await;
    assert_eq!(retrieved(&store, 9, DAY + 1).await, [B, A]);
    assert_eq!(ask(&store, &asks("s", 0), DAY + 1).await.remaining, 2);
    write(&store, &misses("s", &[B]), DAY + 2).await;
    assert_eq!(retrieved(&store, 9, DAY + 3).await, [A]);
    write(&store, &misses("s", &[A]), DAY + 4).await;
    assert_eq!(retrieved(&store, 9, DAY + 5).await, [] as [&str; 0]);
    // Nothing opens it again, however old a call is.
    done("older", "+81312345673", -5).await;
    assert_eq!(retrieved(&store, 9, DAY + 6).await, [] as [&str; 0]);
    assert_eq!(ask(&store, &asks("s", 0), DAY + 6).await.remaining, 0);
}

async fn since_when_misses_are_open_is_told_only_where_all_were_compared_alike(on: Backend) {
    let (store, _folder) = store(on).await;
    write(&store, &misses("s", &[B]), 10).await;
    write(&store, &misses("s", &[A]), 0).await;
    let alike = ask(&store, &asks("s", 9), 2 * DAY).await;
    assert_eq!(alike.misses.len(), 2);
    assert_eq!(alike.missed_since, Some(at(0)), "the first of them");
    write(&store, &misses("t", &[A]), 20).await;
    for (settings, others) in [("t", "B"), ("s", "A"), ("u", "both")] {
        let mixed = ask(&store, &asks(settings, 9), 4 * DAY).await;
        assert_eq!(mixed.misses.len(), 2, "{settings}");
        assert_eq!(mixed.missed_since, None, "{others}: with other settings");
    }
    let one = ask(&store, &asks("s", 1), 4 * DAY).await;
    assert_eq!((one.misses.len(), one.more), (1, true));
    let none = ask(&store, &asks("s", 0), 4 * DAY).await;
    assert_eq!((none.misses, none.missed_since), (vec![], None));
    assert!(none.more, "some are due");
}

async fn misses_come_in_rounds_and_at_once_when_settings_change(on: Backend) {
    let (store, _folder) = store(on).await;
    write(&store, &misses("s", &[A]), 0).await;
    write(&store, &misses("s", &[B]), 7_200).await;
    let in_rounds = |now: i64| {
        let store = store.clone();
        let request = AgainRequest {
            round_every: DAY as u32,
            ..asks("s", 10)
        };
        async move { ask(&store, &request, now).await.misses }
    };
    assert_eq!(in_rounds(7_300).await, [], "the first round begins");
    assert_eq!(
        in_rounds(DAY).await,
        [],
        "A is due, and the round is not over"
    );
    assert_eq!(in_rounds(7_300 + DAY).await, [number(A), number(B)]);
    assert_eq!(in_rounds(7_301 + DAY).await, [number(A), number(B)]);
    write(&store, &misses("s", &[A, B]), 7_400 + DAY).await;
    assert_eq!(due_misses(&store, "s", 7_401 + DAY).await, [] as [&str; 0]);
    assert_eq!(due_misses(&store, "other", 7_402 + DAY).await, [A, B]);
    write(&store, &misses("other", &[A]), 7_403 + DAY).await;
    assert_eq!(due_misses(&store, "other", 7_404 + DAY).await, [B]);
    let globex = "globex".parse().unwrap();
    let request = asks("x", 9);
    let foreign = store.numbers_to_ask(&globex, &request, at(90 * DAY)).await;
    assert_eq!(foreign.unwrap(), NumbersToAsk::default());
}

async fn a_number_that_somebody_named_is_not_asked_for_again(on: Backend) {
    let (store, _folder) = store(on).await;
    write(&store, &misses("s", &[A, B]), 0).await;
    by_hand(&store, A).await;
    assert_eq!(due_misses(&store, "s", 2 * DAY).await, [B]);
    let known = store.contact(&acme(), &number(A)).await.unwrap().unwrap();
    assert_eq!((known.asked_at, known.not_found), (Some(at(0)), true));
}

pub(super) async fn by_hand(store: &Store, text: &str) {
    let contact = Contact {
        number: number(text),
        company_name: None,
        person_name: Some("By Hand".to_owned()),
        object: None,
        record_id: None,
        link: None,
        title: None,
        owner_name: None,
        alternatives: None,
        source: ContactSource::Manual,
        updated_at: at(1),
        asked_at: None,
        not_found: false,
    };
    let actor = crate::directory::store::audit::Actor::operator();
    store.put_contact(&acme(), &contact, &actor).await.unwrap();
}

async fn a_known_number_that_salesforce_forgot_loses_its_name_and_keeps_what_it_was(on: Backend) {
    let (store, _folder) = store(on).await;
    let account = FoundContact {
        object: RecordObject::Account,
        ..found(C)
    };
    let known = writes(WritePolicy::Overwrite, &[found(A), account]);
    write(&store, &known, 0).await;
    by_hand(&store, B).await;
    let daily = WriteContactsRequest {
        policy: WritePolicy::OnlyMissing,
        ..misses("s", &[A])
    };
    assert_eq!(
        write(&store, &daily, 5).await,
        0,
        "a daily run overwrites nothing"
    );
    let gone = misses("s", &[A, B, C]);
    assert_eq!(write(&store, &gone, 10).await, 1);
    assert_eq!(
        write(&store, &gone, 20).await,
        0,
        "a repetition finds it gone"
    );
    let left = store.contacts_after(&acme(), "", 9).await.unwrap();
    let left: Vec<_> = left.iter().map(|contact| contact.number.as_str()).collect();
    assert_eq!(
        left,
        [B, C],
        "what is by hand stays, and what was not searched"
    );
    let asked = store.asked(&acme(), &number(A)).await.unwrap();
    let was = asked.was.unwrap();
    assert_eq!((asked.asked_at, asked.not_found), (Some(at(20)), true));
    assert_eq!(
        (was.person_name.as_deref(), was.gone_since),
        (Some("Sato"), at(10))
    );
    write(&store, &writes(WritePolicy::Overwrite, &[found(A)]), 30).await;
    let asked = store.asked(&acme(), &number(A)).await.unwrap();
    assert_eq!((asked.not_found, asked.was), (false, None));
}

async fn questions_go_with_the_last_call_of_their_number(on: Backend) {
    let (store, _folder) = store(on).await;
    done_calls(&store, &[A, B]).await;
    write(&store, &misses("s", &[A, B]), 9_100).await;
    let asked = async |text: &str| store.asked(&acme(), &number(text)).await.unwrap().asked_at;
    store.purge(None, at(5)).await.unwrap();
    assert!(asked(A).await.is_some(), "it was asked later than that");
    let young = [leg("young", B, 10 * DAY)];
    store
        .record_calls(&acme(), Region::JAPAN, &young, at(10 * DAY))
        .await
        .unwrap();
    store.purge(None, at(9 * DAY)).await.unwrap();
    assert_eq!((asked(A).await, asked(B).await), (None, Some(at(9_100))));
}

/// Questions at random times with random settings: the database and the rule agree on what is due.
async fn the_database_hands_out_what_the_rule_says_is_due(on: Backend) {
    let (store, _folder) = store(on).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut known: std::collections::BTreeMap<E164, Miss> = Default::default();
    let mut now = 0;
    for _ in 0..60 {
        now += random.random_range(0..3 * DAY);
        let settings = ["s", "t"][usize::from(random.random_bool(0.1))];
        let expected: Vec<&E164> = known
            .iter()
            .filter(|(_, miss)| {
                due(
                    miss.asked_at,
                    miss.times_missed,
                    &miss.settings,
                    settings,
                    at(now),
                )
            })
            .map(|(number, _)| number)
            .collect();
        let answer = ask(&store, &asks(settings, 1_000), now).await;
        let mut handed_out: Vec<&E164> = answer.misses.iter().collect();
        handed_out.sort();
        assert_eq!(handed_out, expected, "seed {seed}, second {now}");
        let asked: Vec<E164> = (0..5)
            .map(|_| number(&format!("+8131234567{}", random.random_range(0..10))))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let texts: Vec<&str> = asked.iter().map(E164::as_str).collect();
        write(&store, &misses(settings, &texts), now).await;
        for number in asked {
            let miss = missed(known.get(&number), settings, at(now));
            known.insert(number, miss);
        }
    }
}
