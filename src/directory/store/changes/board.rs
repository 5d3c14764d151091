//! What was told of companies, each thing once: a log that keeps only the newest entry of a key.
//!
//! A reader has a position and asks what came after it. Who reads slowly finds fewer entries, not
//! more of them, so that nothing has to be kept for anybody.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The log.
#[derive(Debug)]
pub(crate) struct Board<K> {
    newest: HashMap<K, u64>,
    in_order: BTreeMap<u64, K>,
    last: u64,
    /// What was told up to here may be forgotten.
    floor: u64,
    most: usize,
}

/// What came after the position is not known any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten;

// === impl Board ===

impl<K: Clone + Eq + Hash> Board<K> {
    /// A log that keeps this many keys.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            newest: HashMap::new(),
            in_order: BTreeMap::new(),
            last: 0,
            floor: 0,
            most: most.max(1),
        }
    }

    /// Writes a key at a new position.
    pub(crate) fn tell(&mut self, key: K) {
        self.last += 1;
        if let Some(before) = self.newest.insert(key.clone(), self.last) {
            self.in_order.remove(&before);
        }
        self.in_order.insert(self.last, key);
        while self.in_order.len() > self.most
            && let Some((position, oldest)) = self.in_order.pop_first()
        {
            self.newest.remove(&oldest);
            self.floor = position;
        }
    }

    /// The position behind everything that was told.
    pub(crate) fn position(&self) -> u64 {
        self.last
    }

    /// Something was told that is not known here: nobody can go on from a position of before.
    pub(crate) fn has_a_gap(&mut self) {
        self.last += 1;
        self.floor = self.last;
        self.newest.clear();
        self.in_order.clear();
    }

    /// What came after a position, in order, at most so many.
    pub(crate) fn after(&self, position: u64, most: usize) -> Result<Vec<(u64, K)>, Forgotten> {
        if position < self.floor || position > self.last {
            return Err(Forgotten);
        }
        let later = self.in_order.range(position + 1..).take(most);
        Ok(later.map(|(at, key)| (*at, key.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_stands_where_it_was_told_last() {
        let mut board = Board::new(10);
        for key in ["a", "b", "a", "c"] {
            board.tell(key);
        }
        assert_eq!(board.after(0, 9), Ok(vec![(2, "b"), (3, "a"), (4, "c")]));
        assert_eq!(board.after(2, 1), Ok(vec![(3, "a")]));
        assert_eq!(board.after(4, 9), Ok(vec![]));
        assert_eq!(board.after(5, 9), Err(Forgotten), "it is of another log");
        board.has_a_gap();
        assert_eq!(board.after(4, 9), Err(Forgotten));
        assert_eq!(board.after(board.position(), 9), Ok(vec![]));
    }

    proptest! {
        /// Whatever is told between two reads is read, or the reader learns that it must begin anew.
        #[test]
        fn a_reader_at_any_pace_misses_nothing(
            steps in prop::collection::vec((0..4_u8, 0..12_u8), 0..200),
            most in 1..16_usize,
        ) {
            let mut board = Board::new(most);
            let (mut position, mut owed) = (0, HashSet::new());
            for (step, key) in steps {
                match step {
                    0 | 1 => {
                        board.tell(key);
                        owed.insert(key);
                    }
                    2 => match board.after(position, usize::from(key) + 1) {
                        Ok(found) => {
                            for (at, key) in found {
                                prop_assert!(at > position);
                                position = at;
                                owed.remove(&key);
                            }
                        }
                        Err(Forgotten) => {
                            // It reads everything.
                            position = board.position();
                            owed.clear();
                        }
                    },
                    _ if key == 0 => board.has_a_gap(),
                    _ => {}
                }
                prop_assert!(board.in_order.len() <= most && board.newest.len() == board.in_order.len());
            }
            if let Ok(rest) = board.after(position, usize::MAX) {
                for (_, key) in rest {
                    owed.remove(&key);
                }
                prop_assert!(owed.is_empty(), "{owed:?}");
            }
        }
    }
}
