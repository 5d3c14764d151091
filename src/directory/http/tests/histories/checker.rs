//! Whether a history is one that a directory may have. Pure.
//!
//! Replicas answer at the same time, so nobody knows in which order two requests were served that
//! overlap. A rule is broken only where it is broken in each order that is possible.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::history::{Deed, Event, Handed, Seen};

/// The most breaches of a rule that are told.
const MOST_TOLD: usize = 3;

/// What must hold in every history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// A call that was answered with a success is in each later history.
    NoCallIsLost,
    /// A history has each call once, and only calls that were sent.
    NoCallIsDoubled,
    /// As long as a claim lasts, nobody else is given its calls.
    OneHolderAtATime,
    /// A call that is done is not handed out again, and stays done.
    DoneStaysDone,
    /// A call is done in one way.
    DoneInOneWay,
    /// A holder whose claim is over does not write over a name that is newer.
    LateWritersDoNoHarm,
    /// An answer about a name is never older than what was answered before.
    NamesDoNotGoBack,
}

/// A rule that is broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) rule: Rule,
    pub(super) told: String,
}

/// Collects breaches.
#[derive(Debug, Default)]
struct Breaches(Vec<Breach>);

/// A claim of a call.
#[derive(Debug, Clone, Copy)]
struct Claim<'a> {
    event: &'a Event,
    holder: &'a str,
    lasts: Duration,
}

/// When what was known about a name, and by which event.
type Known<'a> = (&'a Event, Option<u32>);

/// Returns the rules that a history breaks, with the first few breaches of each.
pub(super) fn breaches(events: &[Event]) -> Vec<Breach> {
    let mut found = Breaches::default();
    deliveries(events, &mut found);
    claims(events, &mut found);
    ends(events, &mut found);
    names(events, &mut found);
    found.0.sort_by_key(|breach| breach.rule);
    found.0
}

// === impl Breaches ===

impl Breaches {
    fn add(&mut self, rule: Rule, told: String) {
        let of_rule = self.0.iter().filter(|breach| breach.rule == rule);
        if of_rule.count() < MOST_TOLD {
            self.0.push(Breach { rule, told });
        }
    }
}

/// An event in words, with its times.
fn words(event: &Event) -> String {
    format!(
        "{} from {:?} to {:?}",
        event.client,
        rounded(event.from),
        rounded(event.to)
    )
}

fn rounded(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64)
}

fn histories(events: &[Event]) -> impl Iterator<Item = (&Event, &[Seen])> {
    events.iter().filter_map(|event| match &event.deed {
        Deed::ReadHistory { calls } => Some((event, calls.as_slice())),
        _ => None,
    })
}

fn deliveries(events: &[Event], found: &mut Breaches) {
    let mut sent: BTreeMap<&str, Duration> = BTreeMap::new();
    let mut kept: BTreeMap<&str, &Event> = BTreeMap::new();
    for event in events {
        let Deed::Delivered { calls } = &event.deed else {
            continue;
        };
        for call in calls {
            let first = sent.entry(call).or_insert(event.from);
            *first = event.from.min(*first);
            if event.answered {
                let first = kept.entry(call).or_insert(event);
                if event.to < first.to {
                    *first = event;
                }
            }
        }
    }
    for (read, calls) in histories(events) {
        let mut there = BTreeSet::new();
        for call in calls {
            let id = call.id.as_str();
            if !there.insert(id) {
                let told = format!("{id} is twice in the history of {}", words(read));
                found.add(Rule::NoCallIsDoubled, told);
            }
            if sent.get(id).is_none_or(|begun| *begun >= read.to) {
                let told = format!("{id} was never sent, says the history of {}", words(read));
                found.add(Rule::NoCallIsDoubled, told);
            }
        }
        for (id, delivery) in &kept {
            if delivery.is_before(read) && !there.contains(id) {
                let told = format!(
                    "{id} was taken of {}, and is not in the history of {}",
                    words(delivery),
                    words(read)
                );
                found.add(Rule::NoCallIsLost, told);
            }
        }
    }
}

/// The claims of each call.
fn claims_of(events: &[Event]) -> BTreeMap<&Handed, Vec<Claim<'_>>> {
    let mut claims: BTreeMap<&Handed, Vec<Claim<'_>>> = BTreeMap::new();
    for event in events {
        let Deed::Claimed {
            holder,
            lasts,
            calls,
        } = &event.deed
        else {
            continue;
        };
        for call in calls {
            claims.entry(call).or_default().push(Claim {
                event,
                holder,
                lasts: *lasts,
            });
        }
    }
    claims
}

fn claims(events: &[Event], found: &mut Breaches) {
    let ends: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event.deed, Deed::Finished { .. } | Deed::Released { .. }))
        .collect();
    for (call, claims) in claims_of(events) {
        // The holder may have lost the call by an end, of which it is enough that it is possible.
        let ends: Vec<&&Event> = ends
            .iter()
            .filter(|event| match &event.deed {
                Deed::Finished { calls, .. } => calls.contains(&call.id),
                _ => true,
            })
            .collect();
        let is_over = |one: &Claim<'_>, other: &Claim<'_>| {
            ends.iter().any(|end| {
                let may_end = match &end.deed {
                    Deed::Released { holder } => holder == one.holder,
                    _ => true,
                };
                may_end && end.may_fall_into(one.event, other.event)
            })
        };
        let shared = |one: &Claim<'_>, other: &Claim<'_>| {
            other.event.to < one.event.from + one.lasts && !is_over(one, other)
        };
        for (at, one) in claims.iter().enumerate() {
            for other in claims.iter().skip(at + 1) {
                if one.holder == other.holder {
                    continue;
                }
                let in_this_order = other.event.is_before(one.event) || shared(one, other);
                let in_the_other = one.event.is_before(other.event) || shared(other, one);
                if in_this_order && in_the_other {
                    let told = format!(
                        "{} was handed to {} ({}) and to {} ({}), each for {:?}",
                        call.id,
                        one.holder,
                        words(one.event),
                        other.holder,
                        words(other.event),
                        one.lasts
                    );
                    found.add(Rule::OneHolderAtATime, told);
                }
            }
        }
    }
}

fn ends(events: &[Event], found: &mut Breaches) {
    // What first told that a call is done: the answer to its end, or a history.
    let mut done: BTreeMap<&str, &Event> = BTreeMap::new();
    let mut ways: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut tells = |id, event| {
        let first: &mut &Event = done.entry(id).or_insert(event);
        if event.to < first.to {
            *first = event;
        }
    };
    for event in events.iter().filter(|event| event.answered) {
        match &event.deed {
            Deed::Finished { calls, reading, .. } => {
                for call in calls {
                    tells(call.as_str(), event);
                    ways.entry(call).or_default().insert(reading);
                }
            }
            Deed::ReadHistory { calls } => {
                for call in calls.iter().filter(|call| call.done) {
                    tells(call.id.as_str(), event);
                }
            }
            _ => {}
        }
    }
    for (id, ways) in ways.into_iter().filter(|(_, ways)| ways.len() > 1) {
        found.add(Rule::DoneInOneWay, format!("{id} was done as {ways:?}"));
    }
    let was_done = |id: &str, event: &Event| {
        let told = done.get(id).filter(|told| told.is_before(event));
        told.map(|told| format!("{id} was done by {}", words(told)))
    };
    for (call, claims) in claims_of(events) {
        for claim in claims {
            if let Some(told) = was_done(&call.id, claim.event) {
                let told = format!("{told}, and handed out to {}", words(claim.event));
                found.add(Rule::DoneStaysDone, told);
            }
        }
    }
    for (read, calls) in histories(events) {
        for call in calls.iter().filter(|call| !call.done) {
            if let Some(told) = was_done(&call.id, read) {
                let told = format!("{told}, and waits in the history of {}", words(read));
                found.add(Rule::DoneStaysDone, told);
            }
        }
    }
}

fn names(events: &[Event], found: &mut Breaches) {
    let mut told: BTreeMap<&str, Vec<Known<'_>>> = BTreeMap::new();
    let mut read: BTreeMap<&str, Vec<Known<'_>>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.answered) {
        match &event.deed {
            Deed::Wrote {
                number,
                version,
                kept: false,
                ..
            } => {
                let known = (event, Some(*version));
                told.entry(number).or_default().push(known);
            }
            Deed::ReadName { number, version } => {
                told.entry(number).or_default().push((event, *version));
                read.entry(number).or_default().push((event, *version));
            }
            Deed::ReadHistory { calls } => {
                for call in calls {
                    let known = (event, call.version);
                    told.entry(&call.number).or_default().push(known);
                    read.entry(&call.number).or_default().push(known);
                }
            }
            _ => {}
        }
    }
    for (number, reads) in read {
        let mut told = told.remove(number).unwrap_or_default();
        told.sort_by_key(|(event, _)| event.to);
        // Of all that was known by then, the newest.
        let mut newest: Vec<(Duration, Known<'_>)> = Vec::with_capacity(told.len());
        for known in told {
            let before = newest.last().map_or(known, |(_, before)| *before);
            let now = if known.1 > before.1 { known } else { before };
            newest.push((known.0.to, now));
        }
        for (event, version) in reads {
            let count = newest.partition_point(|(to, _)| *to <= event.from);
            let known = count.checked_sub(1).and_then(|at| newest.get(at));
            let Some((_, (before, newer))) = known.filter(|(_, (_, newer))| version < *newer)
            else {
                continue;
            };
            let late = version.and_then(|version| late_writer(events, number, version));
            let told = format!(
                "of {number} version {newer:?} was known by {}, and {} is told {version:?}{}",
                words(before),
                words(event),
                late.as_deref().unwrap_or_default()
            );
            let rule = match late {
                Some(_) => Rule::LateWritersDoNoHarm,
                None => Rule::NamesDoNotGoBack,
            };
            found.add(rule, told);
        }
    }
}

/// Who wrote this version when its claim was over, in words.
fn late_writer(events: &[Event], number: &str, version: u32) -> Option<String> {
    events.iter().find_map(|event| {
        let Deed::Wrote {
            holder,
            number: of,
            version: wrote,
            ..
        } = &event.deed
        else {
            return None;
        };
        let over = claim_over(events, event, holder, number)
            .filter(|over| of == number && *wrote == version && *over <= event.from)?;
        Some(format!(
            ", which {holder} wrote ({}) when its claim had been over since {:?}",
            words(event),
            rounded(over)
        ))
    })
}

/// When the holder's last claim of a number before a write was surely over.
fn claim_over(events: &[Event], write: &Event, holder: &str, number: &str) -> Option<Duration> {
    let claims = events.iter().filter(|event| event.from <= write.from);
    let ends = claims.filter_map(|event| match &event.deed {
        Deed::Claimed {
            holder: by,
            lasts,
            calls,
        } if by == holder && calls.iter().any(|call| call.number == number) => {
            Some(event.to + *lasts)
        }
        _ => None,
    });
    ends.max()
}
