//! Who may hold a connection: a table without I/O. Time is an argument.
//!
//! A client is a stranger until a request of its connection has shown a valid token. Strangers have
//! three quarters of the seats. Who comes when none is free takes that of the stranger who came
//! last among those that have been slow to send a request. So connections that only wait keep
//! nobody out, and cost those who show a token nothing.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// A stranger is slow when its request has not arrived after this time.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// Identifies a seat.
pub(super) type SeatId = u64;

/// The seats of a server.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    /// Maximum number of strangers of one address.
    per_address: usize,
    next_id: SeatId,
    seats: HashMap<SeatId, Seat>,
    /// Number of strangers.
    strangers: usize,
    by_address: HashMap<IpAddr, Strangers>,
    /// Strangers who have to send a request, by the time since when.
    waiting: BTreeSet<(Instant, SeatId)>,
    /// Others between two requests, by the time since when.
    resting: BTreeSet<(Instant, SeatId)>,
}

/// The strangers of one address.
#[derive(Debug, Default)]
struct Strangers {
    count: usize,
    waiting: BTreeSet<(Instant, SeatId)>,
}

#[derive(Debug)]
struct Seat {
    /// The address to which it counts; `None` for a proxy, which speaks for many.
    address: Option<IpAddr>,
    /// Since when it has to send a request; `None` while one is answered.
    idle_since: Option<Instant>,
    known: bool,
}

/// The answer to a client that has connected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It has this seat. Close the connection on the other one, if there is one.
    Seated(SeatId, Option<SeatId>),
    /// None is free and nobody is slow before that time.
    Wait(Instant),
    /// Its address has all that one may have, and all are answered now.
    Refused,
}

// === impl Seats ===

impl Seats {
    pub(super) fn new(most: usize, per_address: usize) -> Self {
        Self {
            most: most.max(1),
            per_address: per_address.max(1),
            next_id: 0,
            seats: HashMap::new(),
            strangers: 0,
            by_address: HashMap::new(),
            waiting: BTreeSet::new(),
            resting: BTreeSet::new(),
        }
    }

    /// Gives a seat to a client of this address; `None` for a proxy.
    pub(super) fn admit(&mut self, address: Option<IpAddr>, now: Instant) -> Admission {
        let of_address = address.and_then(|address| self.by_address.get(&address));
        let leaves = if let Some(full) = of_address.filter(|own| own.count >= self.per_address) {
            // In a burst nobody is slow yet, and who has waited longest has had the most time. To
            // wait here would let one address hold up all others.
            let slow = newest_slow(&full.waiting, now);
            match slow.or_else(|| full.waiting.first().map(|(_, id)| *id)) {
                Some(leaves) => Some(leaves),
                None => return Admission::Refused,
            }
        } else if self.strangers >= self.most_strangers() {
            match newest_slow(&self.waiting, now) {
                Some(slow) => Some(slow),
                None => return Admission::Wait(self.first_slow(now)),
            }
        } else if self.seats.len() >= self.most {
            let slow = newest_slow(&self.waiting, now);
            match slow.or_else(|| self.resting.first().map(|(_, id)| *id)) {
                Some(leaves) => Some(leaves),
                None => return Admission::Wait(self.first_slow(now)),
            }
        } else {
            None
        };
        if let Some(leaves) = leaves {
            self.leave(leaves);
        }
        Admission::Seated(self.seat(address, now), leaves)
    }

    /// A request has arrived. Returns whether the seat is still there.
    pub(super) fn begin(&mut self, id: SeatId) -> bool {
        self.set_idle(id, None)
    }

    /// A request is answered; `known` states that it has shown a token.
    pub(super) fn answered(&mut self, id: SeatId, known: bool, now: Instant) {
        if known && self.seats.get(&id).is_some_and(|seat| !seat.known) {
            self.set_idle(id, None);
            self.forget_stranger(id);
            if let Some(seat) = self.seats.get_mut(&id) {
                seat.known = true;
            }
        }
        self.set_idle(id, Some(now));
    }

    /// The connection is closed.
    pub(super) fn leave(&mut self, id: SeatId) {
        self.set_idle(id, None);
        if self.seats.get(&id).is_some_and(|seat| !seat.known) {
            self.forget_stranger(id);
        }
        self.seats.remove(&id);
    }

    /// At least one stranger may be there, even if only one seat is.
    fn most_strangers(&self) -> usize {
        self.most - self.most / 4
    }

    fn first_slow(&self, now: Instant) -> Instant {
        let first = self.waiting.first().map(|(since, _)| *since + SLOW);
        // With everybody busy, one will be done: ask again then.
        first.filter(|slow| *slow > now).unwrap_or(now + SLOW)
    }

    fn seat(&mut self, address: Option<IpAddr>, now: Instant) -> SeatId {
        let id = self.next_id;
        self.next_id += 1;
        self.strangers += 1;
        if let Some(address) = address {
            self.by_address.entry(address).or_default().count += 1;
        }
        let seat = Seat {
            address,
            idle_since: None,
            known: false,
        };
        self.seats.insert(id, seat);
        self.set_idle(id, Some(now));
        id
    }

    fn set_idle(&mut self, id: SeatId, since: Option<Instant>) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else {
            return false;
        };
        let before = std::mem::replace(&mut seat.idle_since, since);
        let of_address = seat
            .address
            .filter(|_| !seat.known)
            .and_then(|address| self.by_address.get_mut(&address))
            .map(|own| &mut own.waiting);
        let all = match seat.known {
            true => &mut self.resting,
            false => &mut self.waiting,
        };
        for list in [Some(all), of_address].into_iter().flatten() {
            if let Some(before) = before {
                list.remove(&(before, id));
            }
            if let Some(since) = since {
                list.insert((since, id));
            }
        }
        true
    }

    fn forget_stranger(&mut self, id: SeatId) {
        self.strangers = self.strangers.saturating_sub(1);
        let address = self.seats.get(&id).and_then(|seat| seat.address);
        let Some(address) = address else {
            return;
        };
        if let Some(own) = self.by_address.get_mut(&address) {
            own.count = own.count.saturating_sub(1);
            if own.count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

fn newest_slow(waiting: &BTreeSet<(Instant, SeatId)>, now: Instant) -> Option<SeatId> {
    let slow_since = now.checked_sub(SLOW)?;
    let mut slow = waiting.range(..=(slow_since, SeatId::MAX));
    slow.next_back().map(|(_, id)| *id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn seated(admission: Admission) -> (SeatId, Option<SeatId>) {
        match admission {
            Admission::Seated(id, leaves) => (id, leaves),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_of_the_slow_makes_room() {
        let mut seats = Seats::new(4, 4);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let first = seated(seats.admit(address(1), at(0))).0;
        let second = seated(seats.admit(address(2), at(100))).0;
        seated(seats.admit(address(3), at(500)));
        assert_eq!(seats.admit(address(4), at(600)), Admission::Wait(at(1_000)));
        assert_eq!(seated(seats.admit(address(4), at(1_200))).1, Some(second));
        seats.begin(first);
        assert_eq!(
            seats.admit(address(5), at(1_300)),
            Admission::Wait(at(1_500)),
            "who is answered is not slow"
        );
        seats.answered(first, false, at(1_400));
        assert_eq!(
            seats.admit(address(5), at(1_450)),
            Admission::Wait(at(1_500))
        );
    }

    #[test]
    fn who_has_shown_a_token_is_not_pushed_out_by_strangers() {
        let mut seats = Seats::new(4, 4);
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let (known, _) = seated(seats.admit(address(1), at(0)));
        seats.begin(known);
        seats.answered(known, true, at(0));
        for second in 1..100 {
            let (_, leaves) = seated(seats.admit(address(2), at(second * 2)));
            assert_ne!(leaves, Some(known));
        }
        assert!(seats.begin(known));
        assert_eq!(seats.seats.len(), 4);
    }

    #[test]
    fn one_address_has_what_one_may_have() {
        let mut seats = Seats::new(100, 2);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let (first, _) = seated(seats.admit(address(1), at(0)));
        let (second, _) = seated(seats.admit(address(1), at(1)));
        let (third, leaves) = seated(seats.admit(address(1), at(2)));
        assert_eq!(leaves, Some(first), "in a burst the oldest makes room");
        seats.begin(second);
        seats.begin(third);
        assert_eq!(seats.admit(address(1), at(2)), Admission::Refused);
        seats.answered(second, false, at(2));
        seats.answered(third, false, at(1));
        assert_eq!(seated(seats.admit(address(2), at(3))).1, None);
        for _ in 0..10 {
            assert_eq!(seated(seats.admit(None, at(4))).1, None, "a proxy is many");
        }
        assert_eq!(seated(seats.admit(address(1), at(2_000))).1, Some(second));
    }

    #[test]
    fn among_the_known_the_one_that_rests_longest_makes_room() {
        let mut seats = Seats::new(2, 2);
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let known: Vec<SeatId> = [now, later]
            .into_iter()
            .map(|at| {
                let (id, _) = seated(seats.admit(address(1), at));
                seats.begin(id);
                seats.answered(id, true, at);
                id
            })
            .collect();
        assert_eq!(seated(seats.admit(address(2), later)).1, Some(known[0]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_table_is_never_over_its_limits_and_forgets_who_left(
            steps in prop::collection::vec((0..6_u8, 0..4_u8, 0..40_u64), 0..300),
            most in 1..12_usize,
            per_address in 1..8_usize,
        ) {
            let mut seats = Seats::new(most, per_address);
            let mut now = Instant::now();
            let mut open: Vec<SeatId> = vec![];
            for (step, from, place) in steps {
                now += Duration::from_millis(place * 20);
                let one = open.get(place as usize % open.len().max(1)).copied();
                match (step, one) {
                    (0 | 1, _) => {
                        if let Admission::Seated(id, leaves) = seats.admit(address(from), now) {
                            open.retain(|known| Some(*known) != leaves);
                            open.push(id);
                        }
                    }
                    (2, Some(one)) => prop_assert!(seats.begin(one)),
                    (3, Some(one)) => seats.answered(one, from == 0, now),
                    (4, Some(one)) => {
                        seats.leave(one);
                        open.retain(|known| *known != one);
                    }
                    _ => {}
                }
                prop_assert!(seats.seats.len() <= most);
                prop_assert_eq!(seats.seats.len(), open.len());
                prop_assert!(seats.by_address.values().all(|own| own.count <= per_address));
            }
            for one in open {
                seats.leave(one);
            }
            prop_assert!(seats.by_address.is_empty() && seats.waiting.is_empty());
            prop_assert_eq!((seats.strangers, seats.resting.len()), (0, 0));
        }
    }
}
