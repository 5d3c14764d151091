//! What a run does for an address book. Pure.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::count::Counts;
use super::reading::Part;
use crate::company_id::CompanyId;
use crate::resolve::Object;

/// Up to so many records are read page by page: four or five calls, which a job costs too, to be
/// made, asked for its state, read and deleted (facts: Salesforce changes E6).
pub const PAGES_UP_TO: u64 = 8_000;

/// How often records are counted to find what changes cannot tell: sharing, rights to fields,
/// purged rows, a sandbox that was restored.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often the records of an org are counted that has more than its book may have.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What the directory has of a company's address book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// When the fill began that is under way.
    pub began_at: Option<Timestamp>,
    /// Its parts, or those of the last one that ended.
    pub parts: Vec<Part>,
    /// When the last fill that ended had begun.
    pub filled_at: Option<Timestamp>,
    /// When the records were last counted, and were as many.
    pub counted_at: Option<Timestamp>,
    /// How many records it holds.
    pub records: u64,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the book follows the changes.
    Rest,
    /// Nothing: the org has more records than the book may have.
    OverLimit,
    /// It counts the records, and fills the book if they are not too many.
    CountAndFill,
    /// It counts the records, and fills the book anew if there are others.
    CountAndCompare,
    /// It goes on with the fill.
    GoOn,
}

/// Decides what a run does for a book with at most `max` records.
pub fn next(shelf: &Shelf, company: &CompanyId, max: u64, now: Timestamp) -> Next {
    let is_due = |since: Timestamp, every: SignedDuration| {
        let passed = now.duration_since(since);
        // A clock that was set back must not stop it.
        passed >= every || passed < -every
    };
    match (shelf.began_at, shelf.filled_at) {
        (Some(_), _) if shelf.parts.is_empty() => Next::CountAndFill,
        (Some(began_at), _) if shelf.is_over(max) => match is_due(began_at, DAY) {
            true => Next::CountAndFill,
            false => Next::OverLimit,
        },
        (Some(_), _) => Next::GoOn,
        (None, None) => Next::CountAndFill,
        (None, Some(filled_at)) => {
            let counted_at = shelf.counted_at.unwrap_or(filled_at).max(filled_at);
            match is_due(counted_at, WEEK + spread(company)) {
                true => Next::CountAndCompare,
                false => Next::Rest,
            }
        }
    }
}

/// Whether the org has other records than the book: `held` ones, and those that its last fill
/// found to have no number. What the user does not see says nothing.
pub fn differ(shelf: &Shelf, held: &BTreeMap<Object, u64>, counts: &Counts) -> bool {
    counts.iter().any(|(object, count)| {
        let part = shelf.parts.iter().find(|part| part.object == *object);
        let skipped = part.map_or(0, |part| part.skipped);
        let held = held.get(object).copied().unwrap_or(0);
        held.saturating_add(skipped) != *count
    })
}

/// Companies whose books were filled together do not count together.
fn spread(company: &CompanyId) -> SignedDuration {
    // Any hash does that is the same in each run of a version.
    let mut hasher = std::hash::DefaultHasher::new();
    company.as_str().hash(&mut hasher);
    let seconds = hasher.finish() % DAY.as_secs().unsigned_abs();
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))
}

// === impl Shelf ===

impl Shelf {
    /// Whether a fill was not begun to be read, because the org has more than `max` records.
    pub fn is_over(&self, max: u64) -> bool {
        let counted = self.parts.iter().map(|part| part.of.unwrap_or(0));
        let is_begun = self.parts.iter().any(Part::is_begun);
        self.began_at.is_some() && !is_begun && counted.sum::<u64>() > max
    }

    /// Whether the book has all records of the org, as far as changes have been written to it.
    pub fn is_whole(&self) -> bool {
        self.filled_at.is_some() && self.began_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::At;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap()
    }

    fn part(object: Object, of: u64) -> Part {
        Part {
            object,
            at: At::Beginning,
            skipped: 0,
            of: Some(of),
            done: false,
        }
    }

    fn decided(shelf: &Shelf, hours: i64) -> Next {
        next(shelf, &"acme".parse().unwrap(), 100, at(hours))
    }

    #[test]
    fn a_book_is_filled_once_and_counted_each_week() {
        let mut shelf = Shelf::default();
        assert_eq!(decided(&shelf, 0), Next::CountAndFill);
        shelf.began_at = Some(at(0));
        // Killed before it counted.
        assert_eq!(decided(&shelf, 0), Next::CountAndFill);
        shelf.parts = vec![part(Object::Contact, 90)];
        assert_eq!(decided(&shelf, 500), Next::GoOn);
        assert!(!shelf.is_whole());
        shelf.filled_at = shelf.began_at.take();
        assert!(shelf.is_whole());
        assert_eq!(decided(&shelf, 7 * 24 - 1), Next::Rest);
        assert_eq!(decided(&shelf, 8 * 24), Next::CountAndCompare);
        shelf.counted_at = Some(at(8 * 24));
        assert_eq!(decided(&shelf, 9 * 24), Next::Rest);
        assert_eq!(decided(&shelf, 16 * 24), Next::CountAndCompare);
        assert_eq!(decided(&shelf, -9 * 24), Next::CountAndCompare);
    }

    #[test]
    fn an_org_with_too_many_records_is_counted_once_a_day_and_filled_when_the_limit_rises() {
        let shelf = Shelf {
            began_at: Some(at(0)),
            parts: vec![part(Object::Contact, 90), part(Object::Lead, 11)],
            ..Shelf::default()
        };
        assert_eq!(decided(&shelf, 23), Next::OverLimit);
        assert_eq!(decided(&shelf, 24), Next::CountAndFill);
        assert_eq!(
            next(&shelf, &"acme".parse().unwrap(), 101, at(1)),
            Next::GoOn
        );
    }

    #[test]
    fn companies_count_at_different_hours_of_the_day_after_the_week() {
        let hours: std::collections::BTreeSet<i64> = (0..200)
            .map(|n| spread(&format!("company-{n}").parse().unwrap()).as_hours())
            .collect();
        assert_eq!(hours.len(), 24, "{hours:?}");
    }

    #[test]
    fn what_a_fill_could_not_read_is_no_difference_and_what_is_hidden_says_nothing() {
        let mut contacts = part(Object::Contact, 10);
        contacts.skipped = 2;
        let shelf = Shelf {
            parts: vec![contacts],
            ..Shelf::default()
        };
        let held = BTreeMap::from([(Object::Contact, 8), (Object::Lead, 5)]);
        let counts = |contacts| BTreeMap::from([(Object::Contact, contacts)]);
        assert!(!differ(&shelf, &held, &counts(10)));
        assert!(differ(&shelf, &held, &counts(8)));
        assert!(differ(&shelf, &held, &counts(11)));
    }
}
