//! Changes of every kind on known numbers.

use super::*;
use crate::phone::E164;
use crate::resolve::{Change, Object, Record};

fn number(last: u32) -> E164 {
    format!("+8131234{last:04}").parse().unwrap()
}

fn record(object: Object, id: &str, day: i64, numbers: &[u32]) -> Record {
    Record {
        object,
        id: id.to_owned(),
        company: Some("Acme".to_owned()).filter(|_| object != Object::Lead),
        person: Some(id.to_owned()),
        title: None,
        owner: None,
        account: (object == Object::Contact).then(|| "acme".to_owned()),
        modified: jiff::Timestamp::from_second(day * 86_400).ok(),
        phones: Vec::new(),
        numbers: numbers.iter().map(|last| number(*last)).collect(),
    }
}

fn contact(id: &str, day: i64, numbers: &[u32]) -> Record {
    record(Object::Contact, id, day, numbers)
}

fn account(id: &str, company: &str) -> Record {
    Record {
        company: Some(company.to_owned()),
        person: None,
        ..record(Object::Account, id, 9, &[])
    }
}

fn gone(id: &str, into: Option<&str>) -> Change {
    Change::Gone {
        id: id.to_owned(),
        merged_into: into.map(str::to_owned),
    }
}

fn named(last: u32, holders: &[Record]) -> Known {
    Known {
        number: number(last),
        contact: Some(KnownContact {
            by_hand: false,
            holders: holders.to_vec(),
            is_complete: true,
            with_values: true,
        }),
        missed: false,
    }
}

fn unnamed(last: u32) -> Known {
    Known {
        number: number(last),
        contact: None,
        missed: true,
    }
}

/// What becomes of one number: the record and its company, or why there is none.
fn becomes(changes: Vec<Change>, known: Known, mode: Mode) -> String {
    let applied = apply(&Changes::new(changes), &[known], mode, None);
    match (applied.found.into_values().next(), applied.look_up.len()) {
        (Some(found), 0) => {
            let company = found.chosen.company.unwrap_or_default();
            format!("{} of {company}, {}", found.chosen.id, found.holders.len())
        }
        (None, 0) => "as it was".to_owned(),
        (None, 1) => "looked up".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_rule_of_the_look_up_chooses_among_the_holders_that_are_left_and_the_new_ones() {
    let all = |changes: Vec<Change>| {
        let known = named(1, &[contact("a", 5, &[1]), contact("b", 3, &[1])]);
        becomes(changes, known, Mode::All)
    };
    let there = |record: Record| vec![Change::There(record)];
    assert_eq!(all(there(contact("b", 9, &[1]))), "b of Acme, 2");
    // Back-dated and touched records stay behind.
    assert_eq!(all(there(contact("b", 4, &[1]))), "a of Acme, 2");
    assert_eq!(all(there(contact("c", 9, &[1]))), "c of Acme, 3");
    assert_eq!(all(there(contact("c", 9, &[2]))), "as it was");
    assert_eq!(all(there(contact("a", 9, &[2]))), "b of Acme, 1");
    assert_eq!(
        all(there(record(Object::Lead, "l", 9, &[1]))),
        "a of Acme, 3"
    );
    assert_eq!(all(vec![gone("a", None)]), "b of Acme, 1");
    assert_eq!(
        all(vec![gone("a", None), gone("b", Some("x"))]),
        "looked up"
    );
    assert_eq!(all(vec![gone("x", None)]), "as it was");
}

#[test]
fn an_account_renames_and_takes_over_contacts_that_do_not_change_themselves() {
    let all =
        |changes: Vec<Change>| becomes(changes, named(1, &[contact("a", 5, &[1])]), Mode::All);
    let renamed = Change::There(account("acme", "Umi"));
    assert_eq!(all(vec![renamed]), "a of Umi, 1");
    let same = Change::There(account("acme", "Acme"));
    assert_eq!(all(vec![same]), "a of Acme, 1");
    let winner = || Change::There(account("umi", "Umi"));
    assert_eq!(
        all(vec![gone("acme", Some("umi")), winner()]),
        "a of Umi, 1"
    );
    assert_eq!(all(vec![gone("acme", Some("umi"))]), "looked up");
    assert_eq!(all(vec![gone("acme", None)]), "looked up");
}

#[test]
fn a_number_without_a_name_is_named_and_one_that_was_never_asked_is_looked_up() {
    let there = || vec![Change::There(contact("a", 5, &[1]))];
    for mode in [Mode::All, Mode::NewOnly] {
        assert_eq!(becomes(there(), unnamed(1), mode), "a of Acme, 1");
        assert_eq!(becomes(there(), unnamed(2), mode), "as it was");
        let never_asked = Known {
            missed: false,
            ..unnamed(1)
        };
        assert_eq!(becomes(there(), never_asked, mode), "looked up");
    }
}

#[test]
fn names_stay_where_only_new_ones_are_wanted_and_where_a_person_wrote_them() {
    let changes = || vec![gone("a", None), Change::There(contact("b", 9, &[1]))];
    let known = || named(1, &[contact("a", 5, &[1])]);
    assert_eq!(becomes(changes(), known(), Mode::NewOnly), "as it was");
    let mut by_hand = known();
    by_hand.contact.as_mut().unwrap().by_hand = true;
    assert_eq!(becomes(changes(), by_hand, Mode::All), "as it was");
}

#[test]
fn a_number_of_which_not_all_is_known_is_looked_up_when_it_is_concerned() {
    let known = |is_complete, with_values| {
        let mut known = named(1, &[contact("a", 5, &[1]), contact("b", 3, &[1])]);
        let contact = known.contact.as_mut().unwrap();
        (contact.is_complete, contact.with_values) = (is_complete, with_values);
        known
    };
    let one = || vec![Change::There(contact("a", 9, &[1]))];
    let both = || {
        let b = Change::There(contact("b", 3, &[1]));
        [one(), vec![b]].concat()
    };
    assert_eq!(becomes(one(), known(false, true), Mode::All), "looked up");
    assert_eq!(becomes(one(), known(true, false), Mode::All), "looked up");
    // All of them were read.
    assert_eq!(
        becomes(both(), known(true, false), Mode::All),
        "a of Acme, 2"
    );
    assert_eq!(becomes(both(), known(false, false), Mode::All), "looked up");
    let others = vec![Change::There(contact("x", 9, &[7]))];
    assert_eq!(becomes(others, known(false, false), Mode::All), "as it was");
}

#[test]
fn the_two_rows_of_a_person_account_are_one_record_with_the_numbers_of_both() {
    let row = |last| Change::There(record(Object::Account, "p", 9, &[last]));
    let changes = Changes::new([row(1), row(2)]);
    assert_eq!(changes.ids(), ["p"]);
    assert_eq!(changes.numbers(), [number(1), number(2)]);
    // A later row of any other record takes the place of an earlier one.
    let row = |last| Change::There(contact("a", 9, &[last]));
    assert_eq!(Changes::new([row(1), row(2)]).numbers(), [number(2)]);
    let deleted = Changes::new([row(1), gone("a", None)]);
    assert_eq!((deleted.numbers().len(), deleted.ids().len()), (0, 1));
}
