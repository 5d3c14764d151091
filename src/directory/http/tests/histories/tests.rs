//! Histories that are wrong, and what the checker says of them; and right ones that look wrong.

use std::time::Duration;

use super::checker::{Rule, breaches};
use super::history::{Deed, Event, Handed, Seen};

const NUMBER: &str = "+81312345678";

/// An answered request, from second to second.
fn event(from: u64, to: u64, deed: Deed) -> Event {
    Event {
        client: "a client".to_owned(),
        from: Duration::from_secs(from),
        to: Duration::from_secs(to),
        answered: true,
        deed,
    }
}

fn unanswered(event: Event) -> Event {
    Event {
        answered: false,
        ..event
    }
}

fn delivered(from: u64, to: u64) -> Event {
    let calls = vec!["d1".to_owned()];
    event(from, to, Deed::Delivered { calls })
}

/// A claim of ten seconds.
fn claimed(from: u64, to: u64, holder: &str) -> Event {
    let calls = vec![Handed {
        id: "d1".to_owned(),
        number: NUMBER.to_owned(),
    }];
    let claimed = Deed::Claimed {
        holder: holder.to_owned(),
        lasts: Duration::from_secs(10),
        calls,
    };
    event(from, to, claimed)
}

fn wrote(from: u64, to: u64, holder: &str, version: u32) -> Event {
    let wrote = Deed::Wrote {
        holder: holder.to_owned(),
        number: NUMBER.to_owned(),
        version,
        kept: false,
    };
    event(from, to, wrote)
}

fn finished(from: u64, to: u64, holder: &str, reading: &str) -> Event {
    let finished = Deed::Finished {
        holder: holder.to_owned(),
        calls: vec!["d1".to_owned()],
        reading: reading.to_owned(),
    };
    event(from, to, finished)
}

fn released(from: u64, to: u64, holder: &str) -> Event {
    let holder = holder.to_owned();
    event(from, to, Deed::Released { holder })
}

fn seen(done: bool, version: Option<u32>) -> Seen {
    Seen {
        id: "d1".to_owned(),
        number: NUMBER.to_owned(),
        done,
        version,
    }
}

fn read(from: u64, to: u64, calls: Vec<Seen>) -> Event {
    event(from, to, Deed::ReadHistory { calls })
}

fn name(from: u64, to: u64, version: Option<u32>) -> Event {
    let number = NUMBER.to_owned();
    event(from, to, Deed::ReadName { number, version })
}

#[track_caller]
fn breaks(rule: Rule, events: &[Event]) {
    let found = breaches(events);
    let rules: Vec<Rule> = found.iter().map(|breach| breach.rule).collect();
    assert_eq!(rules, [rule], "{found:?}");
}

#[track_caller]
fn holds(events: &[Event]) {
    assert_eq!(breaches(events), []);
}

#[test]
fn a_call_that_was_taken_and_is_not_there_is_lost() {
    breaks(Rule::NoCallIsLost, &[delivered(0, 1), read(2, 3, vec![])]);
    // Nobody promised anything yet, or nobody knows whether somebody did.
    holds(&[delivered(0, 3), read(2, 4, vec![])]);
    holds(&[unanswered(delivered(0, 1)), read(2, 3, vec![])]);
    holds(&[
        unanswered(delivered(0, 1)),
        read(2, 3, vec![seen(false, None)]),
    ]);
}

#[test]
fn a_call_that_is_there_twice_or_was_never_sent_is_doubled() {
    let twice = vec![seen(false, None), seen(false, None)];
    breaks(Rule::NoCallIsDoubled, &[delivered(0, 1), read(2, 3, twice)]);
    breaks(
        Rule::NoCallIsDoubled,
        &[read(0, 1, vec![seen(false, None)]), delivered(2, 3)],
    );
}

#[test]
fn a_call_with_two_holders_at_one_time_is_seen() {
    let rule = Rule::OneHolderAtATime;
    breaks(rule, &[claimed(0, 1, "a"), claimed(2, 3, "b")]);
    // Either order is one too many.
    breaks(rule, &[claimed(0, 3, "a"), claimed(1, 2, "b")]);
    // Its own holder may ask again, and everybody when the claim is over.
    holds(&[claimed(0, 1, "a"), claimed(2, 3, "a")]);
    holds(&[claimed(0, 1, "a"), claimed(9, 10, "b")]);
    // The end of the claim is counted from the earliest time at which it can have begun.
    holds(&[claimed(0, 5, "a"), claimed(6, 11, "b")]);
}

#[test]
fn a_claim_ends_with_what_its_holder_may_have_done() {
    let between = |end: Event| holds(&[claimed(0, 1, "a"), end, claimed(4, 5, "b")]);
    between(released(2, 3, "a"));
    between(unanswered(released(2, 3, "a")));
    between(unanswered(finished(2, 3, "a", NUMBER)));
    // A request that was given up before may still be done now.
    holds(&[
        unanswered(released(0, 1, "a")),
        claimed(2, 3, "a"),
        claimed(4, 5, "b"),
    ]);
    let not_enough = |end: Event| {
        let events = [claimed(2, 3, "a"), end, claimed(5, 6, "b")];
        breaks(Rule::OneHolderAtATime, &events);
    };
    not_enough(released(0, 1, "a"));
    not_enough(released(4, 5, "c"));
    not_enough(released(7, 8, "a"));
}

#[test]
fn a_call_that_is_done_stays_so() {
    let rule = Rule::DoneStaysDone;
    let done = finished(0, 1, "a", NUMBER);
    breaks(rule, &[done.clone(), claimed(2, 3, "b")]);
    let waits = read(2, 3, vec![seen(false, None)]);
    breaks(rule, &[delivered(0, 1), done.clone(), waits]);
    let told = read(2, 3, vec![seen(true, None)]);
    let waits = read(4, 5, vec![seen(false, None)]);
    breaks(rule, &[delivered(0, 1), told, waits]);
    holds(&[done.clone(), claimed(0, 3, "b")]);
    holds(&[unanswered(done), claimed(2, 3, "b")]);
}

#[test]
fn a_call_that_is_done_in_two_ways_is_seen() {
    let once = finished(0, 1, "a", NUMBER);
    let otherwise = finished(2, 3, "b", "not a phone number");
    breaks(Rule::DoneInOneWay, &[once.clone(), otherwise.clone()]);
    holds(&[once.clone(), unanswered(otherwise)]);
    holds(&[once, finished(2, 3, "a", NUMBER)]);
}

#[test]
fn a_writer_whose_claim_is_over_and_who_overwrites_a_newer_name_is_seen() {
    let late = [
        claimed(0, 1, "a"),
        claimed(12, 13, "b"),
        wrote(14, 15, "b", 2),
        wrote(16, 17, "a", 1),
        name(18, 19, Some(1)),
    ];
    breaks(Rule::LateWritersDoNoHarm, &late);
    let mut kept = late;
    kept[4] = name(18, 19, Some(2));
    holds(&kept);
}

#[test]
fn a_name_that_goes_back_in_time_is_seen() {
    let rule = Rule::NamesDoNotGoBack;
    breaks(rule, &[name(0, 1, Some(2)), name(2, 3, Some(1))]);
    breaks(rule, &[name(0, 1, Some(2)), name(2, 3, None)]);
    breaks(rule, &[wrote(0, 1, "a", 2), name(2, 3, Some(1))]);
    let history = read(2, 3, vec![seen(false, Some(1))]);
    breaks(rule, &[delivered(0, 1), name(0, 1, Some(2)), history]);
    // An older answer that was under way when the newer one came, or that nobody was told.
    holds(&[name(0, 2, Some(2)), name(1, 3, Some(1))]);
    holds(&[unanswered(wrote(0, 1, "a", 2)), name(2, 3, Some(1))]);
    // What came last is not what was newest.
    breaks(
        rule,
        &[
            name(0, 1, Some(3)),
            wrote(0, 2, "a", 1),
            name(3, 4, Some(2)),
        ],
    );
}
