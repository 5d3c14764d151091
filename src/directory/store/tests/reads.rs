//! What a read gives back, field by field: a call, the pages of the history, what is known around a
//! call and around a number, and an export.

use super::again::{ask, asks, by_hand, misses, write};
use super::whose::keyed;
use super::*;
use crate::directory::model::book::BeginFill;
use crate::directory::model::company::{LinkHealth, RetrievalMode};
use crate::directory::model::misses::due_at;
use crate::directory::model::{Asked, AskedBy, Call, Contact, ContactSource, Was};
use crate::directory::store::audit::{Actor, NUMBER_EXPORTED};
use crate::directory::why::{CallFacts, Facts, Question};
use crate::phone::{E164, NotLookedUp, spellings};

on_each_database! {
    a_call_comes_back_with_all_that_was_told_and_found,
    a_page_that_holds_the_rest_says_that_nothing_follows,
    a_search_tells_down_to_where_it_looked_and_goes_on_from_there,
    what_is_known_around_a_call_is_told_whole,
    what_is_known_of_a_number_is_that_of_its_newest_call,
    what_is_known_of_a_number_without_calls_is_told_whole,
    an_export_has_every_call_of_the_number_and_no_other,
}

const NUMBER: &str = "+81312345678";
const OTHER: &str = "+81398765432";

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

async fn call(store: &Store, id: &str) -> Call {
    store.call(&acme(), id).await.unwrap().unwrap()
}

/// A contact with every field.
fn full(text: &str) -> FoundContact {
    FoundContact {
        company_name: Some("Acme".to_owned()),
        link: Some("https://acme.my.salesforce.com/00Q".to_owned()),
        title: Some("Head".to_owned()),
        owner_name: Some("Kato".to_owned()),
        ..found(text)
    }
}

async fn a_call_comes_back_with_all_that_was_told_and_found(on: Backend) {
    let (store, _folder) = store(on).await;
    let told = Leg {
        call_id: Some("whole".to_owned()),
        direction: Direction::Outgoing,
        call_type: "OUTGOING_CALL".to_owned(),
        answered_at: Some(at(10)),
        circuit_number: Some("0350000000".to_owned()),
        circuit_name: Some("Sales".to_owned()),
        ..leg("a", "03-1234-5678", 9)
    };
    record(&store, &[told]).await;
    let waits = Call {
        ask_again_at: None,
        id: "a".to_owned(),
        call_id: Some("whole".to_owned()),
        direction: Direction::Outgoing,
        call_type: "OUTGOING_CALL".to_owned(),
        started_at: at(9),
        answered_at: Some(at(10)),
        ended_at: Some(at(10)),
        number: Some("03-1234-5678".to_owned()),
        e164: Some(number(NUMBER)),
        circuit_number: Some("0350000000".to_owned()),
        circuit_name: Some("Sales".to_owned()),
        lookup: LookupState::Pending,
        not_looked_up: None,
        asked_at: None,
        not_found: false,
        was: None,
        contact: None,
    };
    assert_eq!(call(&store, "a").await, waits);

    write(&store, &misses("s", &[NUMBER]), 20).await;
    let missed = Call {
        ask_again_at: Some(due_at(at(20), 1)),
        asked_at: Some(at(20)),
        not_found: true,
        ..waits.clone()
    };
    assert_eq!(call(&store, "a").await, missed);

    write(&store, &writes(WritePolicy::Overwrite, &[full(NUMBER)]), 30).await;
    let contact = Contact {
        number: number(NUMBER),
        company_name: Some("Acme".to_owned()),
        person_name: Some("Sato".to_owned()),
        object: Some(RecordObject::Lead),
        record_id: Some("00Q".to_owned()),
        link: Some("https://acme.my.salesforce.com/00Q".to_owned()),
        title: Some("Head".to_owned()),
        owner_name: Some("Kato".to_owned()),
        alternatives: None,
        source: ContactSource::Salesforce,
        updated_at: at(30),
        asked_at: Some(at(30)),
        not_found: false,
    };
    let named = Call {
        asked_at: Some(at(30)),
        contact: Some(contact),
        ..waits.clone()
    };
    assert_eq!(call(&store, "a").await, named);

    write(&store, &misses("s", &[NUMBER]), 40).await;
    let gone = Call {
        ask_again_at: Some(due_at(at(40), 1)),
        asked_at: Some(at(40)),
        not_found: true,
        was: Some(Was {
            company_name: Some("Acme".to_owned()),
            person_name: Some("Sato".to_owned()),
            gone_since: at(40),
        }),
        ..waits
    };
    assert_eq!(call(&store, "a").await, gone);
    let filter = CallFilter {
        limit: 1,
        ..CallFilter::default()
    };
    let page = store.calls(&acme(), &filter).await.unwrap();
    assert_eq!(page, (vec![gone], None), "a page tells the same");
}

async fn a_page_that_holds_the_rest_says_that_nothing_follows(on: Backend) {
    let (store, _folder) = store(on).await;
    let legs = [("a", 1), ("b", 2), ("c", 2)].map(|(id, second)| leg(id, "0312345678", second));
    record(&store, &legs).await;
    let position = |id: &str, second| Position {
        started_at: at(second),
        id: id.to_owned(),
    };
    for (after, limit, ids, next) in [
        (None, 3, "cba", None),
        (None, 4, "cba", None),
        (None, 2, "cb", Some(position("b", 2))),
        (None, 1, "c", Some(position("c", 2))),
        (Some(position("c", 2)), 1, "b", Some(position("b", 2))),
        (Some(position("b", 2)), 1, "a", None),
        (Some(position("a", 1)), 1, "", None),
    ] {
        let filter = CallFilter {
            after: after.clone(),
            limit,
            ..CallFilter::default()
        };
        let (calls, found) = store.calls(&acme(), &filter).await.unwrap();
        let found_ids: String = calls.into_iter().map(|call| call.id).collect();
        assert_eq!(
            (found_ids.as_str(), found),
            (ids, next),
            "{after:?} {limit}"
        );
    }
}

async fn a_search_tells_down_to_where_it_looked_and_goes_on_from_there(on: Backend) {
    let (store, _folder) = store(on).await;
    // Every third call is outgoing: at seconds 0, 3, 6 and 9.
    let legs: Vec<Leg> = (0..10)
        .map(|n| Leg {
            direction: [Direction::Outgoing, Direction::Incoming][usize::from(n % 3 > 0)],
            ..leg(&format!("c{n}"), "0312345678", n)
        })
        .collect();
    record(&store, &legs).await;
    let outgoing = CallFilter {
        direction: Some(Direction::Outgoing),
        limit: 2,
        ..CallFilter::default()
    };
    let look = async |after: Option<Position>, limit, walk| {
        let filter = CallFilter {
            after,
            limit,
            ..outgoing.clone()
        };
        let page = store.search_calls(&acme(), &filter, walk).await.unwrap();
        let ids: Vec<String> = page.calls.into_iter().map(|call| call.id).collect();
        (ids.join(" "), page.next, page.searched_to)
    };
    let position = |n: i64| Position {
        started_at: at(n),
        id: format!("c{n}"),
    };
    // Five calls are looked through: c9 to c5, and then c4 to c0.
    let first = look(None, 9, 5).await;
    let down_to = (Some(position(5)), Some(at(5)));
    assert_eq!(first, ("c9 c6".to_owned(), down_to.0.clone(), down_to.1));
    let second = look(down_to.0, 9, 5).await;
    let down_to = (Some(position(0)), Some(at(0)));
    assert_eq!(second, ("c3 c0".to_owned(), down_to.0.clone(), down_to.1));
    assert_eq!(look(down_to.0, 9, 5).await, (String::new(), None, None));
    // A full page ends at its last call, wherever the walk would have ended.
    let one_page = look(None, 1, 5).await;
    assert_eq!(one_page, ("c9".to_owned(), Some(position(9)), None));
    let all = look(None, 9, 11).await;
    assert_eq!(
        all,
        ("c9 c6 c3 c0".to_owned(), None, None),
        "there is no more"
    );
    let one = look(None, 9, 0).await;
    let down_to = (Some(position(9)), Some(at(9)));
    assert_eq!(one, ("c9".to_owned(), down_to.0, down_to.1), "one at least");

    // Who has a name has a contact: nobody is called so and is unknown.
    write(&store, &writes(WritePolicy::Overwrite, &[full(NUMBER)]), 30).await;
    for (matched, found) in [(None, 10), (Some(true), 10), (Some(false), 0)] {
        let filter = CallFilter {
            name: Some("sato".to_owned()),
            matched,
            limit: 20,
            ..CallFilter::default()
        };
        let page = store.search_calls(&acme(), &filter, 100).await.unwrap();
        assert_eq!(page.calls.len(), found, "{matched:?}");
    }
}

fn health() -> LinkHealth {
    LinkHealth {
        ready: Some(false),
        reason: "LoginFailed".to_owned(),
        cause: "Salesforce refuses the log-in.".to_owned(),
        remedy: "Renew the password.".to_owned(),
        since: at(1),
        retrieval: RetrievalMode::Daily,
        suspended: false,
        time_zone: "Asia/Tokyo".to_owned(),
        region: Region::JAPAN,
        last_run_at: Some(at(2)),
        last_outcome: Some("LoginFailed".to_owned()),
        next_run_at: Some(at(3)),
        budget_percent: Some(7),
    }
}

async fn facts(store: &Store, id: &str) -> (Call, Facts) {
    let facts = store.facts_of_call(&acme(), id, Region::JAPAN).await;
    facts.unwrap().unwrap()
}

async fn facts_of(store: &Store, text: &str) -> Facts {
    let (company, number) = (acme(), number(text));
    let facts = store.facts_of_number(&company, &number, Region::JAPAN);
    facts.await.unwrap()
}

/// Every field is compared.
fn assert_same(found: &Facts, expected: &Facts) {
    assert_eq!(format!("{found:#?}"), format!("{expected:#?}"));
}

/// A question about the number at this second, by the run of the test.
fn question(second: i64, misses: u32) -> Option<Question> {
    let all = spellings(&number(NUMBER), &Region::JAPAN);
    Some(Question {
        at: at(second),
        run: Some("run-1".to_owned()),
        api_calls: Some(3),
        spellings: all.len() as u32,
        likeliest: all.into_iter().take(5).collect(),
        misses,
    })
}

fn by_a_run(request: WriteContactsRequest) -> WriteContactsRequest {
    WriteContactsRequest {
        asked_by: Some(AskedBy {
            run: "run-1".to_owned(),
            api_calls: 3,
        }),
        ..request
    }
}

async fn what_is_known_around_a_call_is_told_whole(on: Backend) {
    let (store, _folder) = store(on).await;
    let none = store.facts_of_call(&acme(), "a", Region::JAPAN).await;
    assert!(none.unwrap().is_none(), "there is no such call");
    let unread = Leg {
        direction: Direction::Outgoing,
        ended_at: None,
        ..leg("odd", "anonymous", 60)
    };
    record(&store, &[leg("a", "03-1234-5678", 50), unread]).await;
    assert_eq!(claim(&store, "w", 1, 200).await, ["a"]);
    let mut expected = Facts {
        call: Some(CallFacts {
            id: "a".to_owned(),
            direction: Direction::Incoming,
            lookup: LookupState::Pending,
            started_at: at(50),
            ended_at: Some(at(51)),
            received_at: at(0),
            claimed_until: Some(at(260)),
        }),
        number: Some("03-1234-5678".to_owned()),
        e164: Some(number(NUMBER)),
        ..Facts::default()
    };
    let (told, found) = facts(&store, "a").await;
    assert_same(&found, &expected);
    assert_eq!(told, call(&store, "a").await);

    store.tell_link(&acme(), &health(), at(1)).await.unwrap();
    let fill = BeginFill {
        anew: true,
        instance: None,
    };
    store.begin_fill(&acme(), &fill, at(2)).await.unwrap();
    write(&store, &by_a_run(misses("s", &[NUMBER])), 300).await;
    ask(&store, &asks("s", 0), 310).await;
    expected = Facts {
        link: Some(health()),
        filling: true,
        asked: question(300, 1),
        ask_again_at: Some(due_at(at(300), 1)),
        ..expected
    };
    assert_same(&facts(&store, "a").await.1, &expected);
    // Other settings decide about a match from now on.
    ask(&store, &asks("t", 0), 320).await;
    expected.settings_changed = true;
    assert_same(&facts(&store, "a").await.1, &expected);

    let named = WriteContactsRequest {
        settings: "t".to_owned(),
        ..by_a_run(writes(WritePolicy::Overwrite, &[full(NUMBER)]))
    };
    write(&store, &named, 400).await;
    expected = Facts {
        contact: call(&store, "a").await.contact,
        asked: question(400, 0),
        ask_again_at: None,
        settings_changed: false,
        ..expected
    };
    assert!(expected.contact.is_some());
    assert_same(&facts(&store, "a").await.1, &expected);

    write(&store, &by_a_run(misses("t", &[NUMBER])), 500).await;
    expected = Facts {
        contact: None,
        was: call(&store, "a").await.was,
        asked: question(500, 1),
        ask_again_at: Some(due_at(at(500), 1)),
        ..expected
    };
    assert!(expected.was.is_some());
    assert_same(&facts(&store, "a").await.1, &expected);

    // A text that is no number: it was asked nothing.
    let expected = Facts {
        call: Some(CallFacts {
            id: "odd".to_owned(),
            direction: Direction::Outgoing,
            lookup: LookupState::Pending,
            started_at: at(60),
            ended_at: None,
            received_at: at(0),
            claimed_until: None,
        }),
        number: Some("anonymous".to_owned()),
        not_looked_up: Some(NotLookedUp::Anonymous.to_string()),
        link: Some(health()),
        filling: true,
        ..Facts::default()
    };
    assert_same(&facts(&store, "odd").await.1, &expected);
}

async fn what_is_known_of_a_number_is_that_of_its_newest_call(on: Backend) {
    let (store, _folder) = store(on).await;
    let legs = [
        leg("old", "0312345678", 50),
        leg("new", "03-1234-5678", 70),
        leg("same moment", "0312345678", 70),
        leg("other", "0398765432", 90),
    ];
    record(&store, &legs).await;
    write(&store, &by_a_run(misses("s", &[NUMBER])), 300).await;
    let found = facts_of(&store, NUMBER).await;
    assert_same(&found, &facts(&store, "same moment").await.1);
    assert_eq!(found.call.unwrap().id, "same moment");
}

async fn what_is_known_of_a_number_without_calls_is_told_whole(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let unknown = Facts {
        number: Some(NUMBER.to_owned()),
        e164: Some(number(NUMBER)),
        ..Facts::default()
    };
    assert_same(&facts_of(&store, NUMBER).await, &unknown);

    let named = by_a_run(writes(WritePolicy::Overwrite, &[full(NUMBER)]));
    write(&store, &named, 10).await;
    let contact = store.contact(&acme(), &number(NUMBER)).await.unwrap();
    assert!(contact.is_some());
    let known = Facts {
        contact,
        asked: question(10, 0),
        ..unknown.clone()
    };
    assert_same(&facts_of(&store, NUMBER).await, &known);

    write(&store, &by_a_run(misses("s", &[NUMBER])), 20).await;
    let gone = Facts {
        was: Some(Was {
            company_name: Some("Acme".to_owned()),
            person_name: Some("Sato".to_owned()),
            gone_since: at(20),
        }),
        asked: question(20, 1),
        ask_again_at: Some(due_at(at(20), 1)),
        ..unknown.clone()
    };
    assert_same(&facts_of(&store, NUMBER).await, &gone);

    by_hand(&store, NUMBER).await;
    let by_hand = Facts {
        contact: store.contact(&acme(), &number(NUMBER)).await.unwrap(),
        was: None,
        ..gone
    };
    assert!(by_hand.contact.is_some());
    assert_same(&facts_of(&store, NUMBER).await, &by_hand);

    let erased = NumberFilter::E164(number(NUMBER));
    let actor = Actor::operator();
    store
        .erase_number(&acme(), &erased, Region::JAPAN, &actor, at(30))
        .await
        .unwrap();
    let erased = Facts {
        erased: true,
        ..unknown
    };
    assert_same(&facts_of(&store, NUMBER).await, &erased);
    assert!(!facts_of(&store, OTHER).await.erased);
}

async fn an_export_has_every_call_of_the_number_and_no_other(on: Backend) {
    let (store, _folder) = keyed(on).await;
    let legs = [
        leg("a", "0312345678", 0),
        leg("b", "0312345678 / 0398765432", 5),
        leg("c", "0398765432", 3),
        leg("d", "03-1234-5678", 9),
    ];
    record(&store, &legs).await;
    write(&store, &misses("s", &[NUMBER]), 20).await;
    let limits = RingLimits {
        per_minute: 9,
        asked_within: std::time::Duration::ZERO,
    };
    store
        .ring(&acme(), &number(NUMBER), at(25), &limits, at(25))
        .await
        .unwrap();
    by_hand(&store, NUMBER).await;
    let (filter, actor) = (NumberFilter::E164(number(NUMBER)), Actor::operator());
    let export = async |now| {
        store
            .export_number(&acme(), &filter, Region::JAPAN, &actor, at(now))
            .await
            .unwrap()
    };
    let held = export(40).await;
    let ids: String = held.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!((ids.as_str(), held.more_calls), ("dba", false));
    assert_eq!(
        held.contact.unwrap().person_name.as_deref(),
        Some("By Hand")
    );
    let asked = Asked {
        asked_at: Some(at(20)),
        not_found: true,
        was: None,
    };
    assert_eq!(held.asked, asked);
    assert!(held.records.is_empty());
    let ring = held.ring.unwrap();
    // Who names the number by hand answers what rings.
    assert_eq!((ring.rang_at, ring.answered_at), (at(25), Some(at(1))));
    assert_eq!(held.erased_at, None);
    let newest = held.audit.first().unwrap();
    assert_eq!(
        (newest.action.as_str(), newest.at),
        (NUMBER_EXPORTED, at(40))
    );

    store
        .erase_number(&acme(), &filter, Region::JAPAN, &actor, at(50))
        .await
        .unwrap();
    let held = export(60).await;
    assert_eq!(held.erased_at, Some(at(50)));
    assert!(held.calls.is_empty() && !held.more_calls);
    assert!(held.contact.is_none() && held.ring.is_none());
    assert_eq!(held.asked, Asked::default());
    assert_eq!(call(&store, "c").await.e164, Some(number(OTHER)));
}
