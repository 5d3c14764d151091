//! Completes a known call with a later delivery. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::directory::model::Direction;
use crate::directory::model::webhook::Leg;
use crate::directory::store::database::rows::{CallRow, direction_text, micros};
use crate::phone;
use crate::phone::Region;

/// A start further ahead of our clock than this is an error of the platform's clock.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Returns the call as it is after this delivery.
///
/// - A start in the future is ignored. Such a call would stay at the top of the history for ever,
///   and retention would never reach it.
/// - A call does not begin after it ended: where the start is missing or later, the end counts as
///   the start.
/// - A value in the delivery counts; a missing one leaves the known value. A known end or answer is
///   never erased.
/// - A number that is new or changes is looked up; one that is only repeated is not.
pub(crate) fn merge(known: Option<&CallRow>, leg: &Leg, region: Region, now: Timestamp) -> CallRow {
    let number = leg
        .number
        .clone()
        .or_else(|| known.and_then(|call| call.number.clone()));
    let respelled = known.is_none_or(|call| call.number != number);
    let mut call = CallRow {
        id: leg.id.clone(),
        call_id: leg
            .call_id
            .clone()
            .or_else(|| known.and_then(|call| call.call_id.clone())),
        call_type: leg.call_type.clone(),
        direction: direction_text(leg.direction).to_owned(),
        started_at: leg
            .started_at
            .filter(|start| start.duration_since(now) <= AHEAD)
            .map(micros)
            .or(known.map(|call| call.started_at))
            .unwrap_or(micros(now)),
        answered_at: leg
            .answered_at
            .map(micros)
            .or(known.and_then(|call| call.answered_at)),
        ended_at: leg
            .ended_at
            .map(micros)
            .or(known.and_then(|call| call.ended_at)),
        number,
        e164: known.and_then(|call| call.e164.clone()),
        not_looked_up: known.and_then(|call| call.not_looked_up.clone()),
        lookup_key: known.and_then(|call| call.lookup_key.clone()),
        circuit_number: leg
            .circuit_number
            .clone()
            .or_else(|| known.and_then(|call| call.circuit_number.clone())),
        circuit_name: leg
            .circuit_name
            .clone()
            .or_else(|| known.and_then(|call| call.circuit_name.clone())),
        lookup: "None".to_owned(),
    };
    call.started_at = call.started_at.min(call.ended_at.unwrap_or(i64::MAX));
    if respelled {
        read_number(&mut call, region);
    }
    if leg.direction != Direction::Internal && call.number.is_some() {
        let same_number = known
            .is_some_and(|known| known.lookup_key == call.lookup_key && known.lookup == "Done");
        call.lookup = if same_number { "Done" } else { "Pending" }.to_owned();
    }
    call
}

fn read_number(call: &mut CallRow, region: Region) {
    (call.e164, call.not_looked_up) = match call
        .number
        .as_deref()
        .map(|number| phone::parse(number, &region))
    {
        Some(Ok(e164)) => (Some(e164.to_string()), None),
        Some(Err(reason)) => (None, Some(reason.to_string())),
        None => (None, None),
    };
    call.lookup_key = call.e164.clone().or_else(|| call.number.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg() -> Leg {
        Leg {
            id: "d1".to_owned(),
            call_id: None,
            call_type: "INCOMING_CALL".to_owned(),
            direction: Direction::Incoming,
            started_at: Some(at(100)),
            answered_at: None,
            ended_at: None,
            number: Some("03-1234-5678".to_owned()),
            circuit_number: None,
            circuit_name: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn again(known: &CallRow, leg: &Leg) -> CallRow {
        merge(Some(known), leg, Region::JAPAN, at(999))
    }

    #[test]
    fn an_end_that_is_known_is_never_erased() {
        let first = merge(
            None,
            &Leg {
                ended_at: Some(at(200)),
                answered_at: Some(at(110)),
                ..leg()
            },
            Region::JAPAN,
            at(0),
        );
        let second = again(
            &first,
            &Leg {
                started_at: None,
                circuit_name: Some("Sales".to_owned()),
                ..leg()
            },
        );
        assert_eq!(
            (second.started_at, second.answered_at, second.ended_at),
            (100_000_000, Some(110_000_000), Some(200_000_000))
        );
        assert_eq!(second.circuit_name.as_deref(), Some("Sales"));
        assert_eq!(
            again(&second, &leg()),
            second,
            "a delivery that tells less changes nothing"
        );
    }

    #[test]
    fn the_order_of_deliveries_does_not_matter_for_what_is_known() {
        let (rings, ends) = (
            leg(),
            Leg {
                ended_at: Some(at(200)),
                answered_at: Some(at(110)),
                ..leg()
            },
        );
        let one = again(&merge(None, &rings, Region::JAPAN, at(0)), &ends);
        let other = again(&merge(None, &ends, Region::JAPAN, at(0)), &rings);
        assert_eq!(one, other);
    }

    #[test]
    fn a_call_without_a_start_counts_from_when_it_was_heard_of() {
        let call = merge(
            None,
            &Leg {
                started_at: None,
                ..leg()
            },
            Region::JAPAN,
            at(7),
        );
        assert_eq!(call.started_at, 7_000_000);
        assert_eq!(again(&call, &leg()).started_at, 100_000_000);
    }

    #[test]
    fn a_call_does_not_begin_after_it_ended() {
        let told = |start: Option<i64>| Leg {
            started_at: start.map(at),
            ended_at: Some(at(200)),
            ..leg()
        };
        let now = at(500_000);
        for start in [None, Some(201), Some(9_000_000)] {
            let call = merge(None, &told(start), Region::JAPAN, now);
            assert_eq!(
                (call.started_at, call.ended_at),
                (200_000_000, Some(200_000_000)),
                "{start:?}"
            );
        }
        let rings = Leg {
            started_at: None,
            ..leg()
        };
        let rings = merge(None, &rings, Region::JAPAN, now);
        let ended = again(&rings, &told(None));
        assert_eq!(ended.started_at, 200_000_000, "the end came later");
        assert_eq!(again(&ended, &told(Some(100))).started_at, 100_000_000);
    }

    #[test]
    fn a_start_in_the_future_is_not_believed() {
        let told = |start: i64, now: i64| {
            let start = Some(at(start));
            let leg = Leg {
                started_at: start,
                ..leg()
            };
            merge(None, &leg, Region::JAPAN, at(now)).started_at
        };
        let day = 24 * 3_600;
        assert_eq!(told(day, 0), day * 1_000_000, "clocks differ");
        assert_eq!(told(day + 1, 0), 0);
        assert_eq!(
            told(-99_999_999, 0),
            -99_999_999_000_000,
            "a call of long ago"
        );
        let known = merge(None, &leg(), Region::JAPAN, at(200));
        let later = Leg {
            started_at: Some(Timestamp::MAX),
            ..leg()
        };
        assert_eq!(again(&known, &later), known);
    }

    #[test]
    fn only_a_customers_number_is_looked_up() {
        let call = merge(None, &leg(), Region::JAPAN, at(0));
        assert_eq!(
            (call.lookup.as_str(), call.e164.as_deref()),
            ("Pending", Some("+81312345678"))
        );
        let withheld = merge(
            None,
            &Leg {
                number: None,
                ..leg()
            },
            Region::JAPAN,
            at(0),
        );
        assert_eq!(
            (withheld.lookup.as_str(), withheld.lookup_key),
            ("None", None)
        );
        let internal = Leg {
            direction: Direction::Internal,
            call_type: "EXTENSION".to_owned(),
            ..leg()
        };
        assert_eq!(merge(None, &internal, Region::JAPAN, at(0)).lookup, "None");
        let junk = merge(
            None,
            &Leg {
                number: Some("Anonymous".to_owned()),
                ..leg()
            },
            Region::JAPAN,
            at(0),
        );
        assert_eq!(
            (junk.lookup.as_str(), junk.e164, junk.lookup_key.as_deref()),
            ("Pending", None, Some("Anonymous"))
        );
        assert!(junk.not_looked_up.is_some());
    }

    #[test]
    fn a_number_that_appears_or_changes_is_looked_up_and_one_that_comes_again_is_not() {
        let done = CallRow {
            lookup: "Done".to_owned(),
            ..merge(None, &leg(), Region::JAPAN, at(0))
        };
        assert_eq!(again(&done, &leg()).lookup, "Done");
        assert_eq!(
            again(
                &done,
                &Leg {
                    number: Some("0312345678".to_owned()),
                    ..leg()
                }
            )
            .lookup,
            "Done"
        );
        assert_eq!(
            again(
                &done,
                &Leg {
                    number: Some("0312345679".to_owned()),
                    ..leg()
                }
            )
            .lookup,
            "Pending"
        );
        assert_eq!(
            again(
                &done,
                &Leg {
                    number: None,
                    ..leg()
                }
            )
            .lookup,
            "Done"
        );
        let silent = merge(
            None,
            &Leg {
                number: None,
                ..leg()
            },
            Region::JAPAN,
            at(0),
        );
        assert_eq!(again(&silent, &leg()).lookup, "Pending");
    }

    #[test]
    fn what_the_worker_read_survives_a_redelivery() {
        let read_by_worker = CallRow {
            e164: Some("+13125550100".to_owned()),
            lookup: "Done".to_owned(),
            ..merge(None, &leg(), Region::JAPAN, at(0))
        };
        assert_eq!(again(&read_by_worker, &leg()), read_by_worker);
    }
}
