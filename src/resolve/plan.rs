//! Packs numbers into as few composite requests as the limits allow.
//!
//! Each query of a request contains the same list of literals, once. LIKE would be shorter: one
//! pattern, `%3%1234%5678`, finds most spellings, and a comparison removes the wrong matches. It is
//! not used because no index serves a pattern that begins with `%`. An org of a million contacts
//! would match 400 patterns against every contact. Such requests may end in QUERY_TIMEOUT and count
//! against the org's few requests above 20 seconds (facts: Salesforce 2.4, 5.2).

use std::collections::HashSet;

use super::query::{Shape, literals};
use crate::phone::{E164, Region, likely, rare};
use crate::salesforce::{MAX_STATEMENT_CHARS, Soql};

/// The maximum number of queries in one composite request: "Up to 5 of these subrequests can be
/// query operations",
/// <https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-composite-post.html>.
pub const MAX_QUERIES_PER_COMPOSITE: usize = 5;
/// The maximum number of rows in one page of a response: "The default is 2,000; the minimum is 200,
/// and the maximum is 2,000",
/// <https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_queryoptions.htm>.
pub const MAX_ROWS_PER_PAGE: usize = 2_000;
/// The length of the URL before the statement: `/services/data/v50.0/query?q=`, with space for a
/// longer version.
const URL_OVERHEAD_BYTES: usize = 32;

/// Numbers that one composite request looks up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    numbers: Vec<E164>,
    /// The spellings of each number that are asked for.
    spellings: Vec<Vec<String>>,
    /// The maximum URL length for which the batch was packed, in bytes.
    pub(crate) url_bytes: usize,
}

/// Packs as many of the first numbers as fit into URLs of this length, but at least one. Their
/// likely spellings decide how many these are; [`Batch::filled`] uses the room that is left.
pub(crate) fn pack(shape: &Shape, pending: &[E164], home: &Region, url_bytes: usize) -> Batch {
    let limit = Room::of(shape, url_bytes);
    let mut batch = Batch {
        numbers: Vec::new(),
        spellings: Vec::new(),
        url_bytes,
    };
    let mut seen = HashSet::new();
    let mut used = Room::default();
    for number in pending.iter().filter(|number| seen.insert(*number)) {
        let asked = likely(number, home);
        let with_it = used.plus(Room::taken_by(&literals(&asked)));
        if !with_it.fits(limit) && !batch.numbers.is_empty() {
            break;
        }
        used = with_it;
        batch.spellings.push(asked);
        batch.numbers.push(number.clone());
    }
    batch
}

// === impl Batch ===

impl Batch {
    /// The numbers, each once.
    pub fn numbers(&self) -> &[E164] {
        &self.numbers
    }

    /// The batch with at most so many of its numbers.
    pub(crate) fn first(mut self, count: usize) -> Self {
        self.numbers.truncate(count.max(1));
        self.spellings.truncate(count.max(1));
        self
    }

    /// Adds rarer spellings while there is room, the likeliest of each number first.
    pub(crate) fn filled(mut self, shape: &Shape, home: &Region) -> Self {
        /// With less room for each number, nothing fits that is worth the search for it.
        const WORTH_IT: usize = 24;
        let limit = Room::of(shape, self.url_bytes);
        let taken = self
            .spellings
            .iter()
            .map(|list| Room::taken_by(&literals(list)));
        let mut used = taken.fold(Room::default(), Room::plus);
        let left = limit.url_bytes.saturating_sub(used.url_bytes);
        if left < WORTH_IT * self.numbers.len() {
            return self;
        }
        let rare = |(number, known): (&E164, &Vec<String>)| rare(number, home, known).into_iter();
        let mut further: Vec<_> = self.numbers.iter().zip(&self.spellings).map(rare).collect();
        let mut is_full = false;
        while !is_full {
            is_full = true;
            for (list, further) in self.spellings.iter_mut().zip(&mut further) {
                let Some(spelling) = further.next() else {
                    continue;
                };
                let with_it = used.plus(Room::taken_by(&literals([&spelling])));
                if with_it.fits(limit) {
                    used = with_it;
                    list.push(spelling);
                    is_full = false;
                }
            }
        }
        self
    }

    /// The spellings that are asked for the number at a position.
    pub fn spellings(&self, place: usize) -> &[String] {
        self.spellings
            .get(place)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The list of literals for the numbers at these positions.
    pub(crate) fn literals(&self, places: &[usize]) -> String {
        literals(places.iter().flat_map(|place| self.spellings(*place)))
    }
}

/// The space for the list of literals in a query.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    url_bytes: usize,
    statement_chars: usize,
}

impl Room {
    /// The space that the tightest query of the shape leaves.
    fn of(shape: &Shape, url_bytes: usize) -> Self {
        shape
            .slots()
            .iter()
            .map(|slot| {
                let empty = shape.soql(slot, "");
                let times = slot.fields.len();
                // There is one comma fewer than literals: none follows the last.
                let left =
                    |most: usize, taken: usize| most.saturating_sub(taken) / times + ",".len();
                Self {
                    url_bytes: left(url_bytes, empty.url_encoded_len() + URL_OVERHEAD_BYTES),
                    statement_chars: left(MAX_STATEMENT_CHARS, empty.as_str().chars().count()),
                }
            })
            .reduce(|a, b| Self {
                url_bytes: a.url_bytes.min(b.url_bytes),
                statement_chars: a.statement_chars.min(b.statement_chars),
            })
            .unwrap_or_default()
    }

    /// The space that a list and the comma after it take in the URL and in the statement.
    fn taken_by(literals: &str) -> Self {
        Self {
            url_bytes: Soql::text(literals).url_encoded_len() + ",".len(),
            statement_chars: literals.chars().count() + ",".len(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            url_bytes: self.url_bytes + other.url_bytes,
            statement_chars: self.statement_chars + other.statement_chars,
        }
    }

    fn fits(self, limit: Self) -> bool {
        self.url_bytes <= limit.url_bytes && self.statement_chars <= limit.statement_chars
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::phone::parse;
    use crate::resolve::url_limit::{FIRST_URL_BYTES, MAX_URL_BYTES};

    fn numbers(count: usize) -> Vec<E164> {
        (0..count)
            .filter_map(|at| parse(&format!("03{:08}", 20_000_000 + at * 37), &Region::JAPAN).ok())
            .collect()
    }

    #[test]
    fn a_number_is_asked_for_once() {
        let number = numbers(1);
        let twice = [number.clone(), number].concat();
        let shape = Shape::new(Some(false));
        let batch = pack(&shape, &twice, &Region::JAPAN, FIRST_URL_BYTES);
        assert_eq!(batch.numbers().len(), 1);
        let none = pack(&shape, &[], &Region::JAPAN, FIRST_URL_BYTES);
        assert!(none.numbers().is_empty());
        let tight = pack(&shape, &numbers(3), &Region::JAPAN, 10);
        assert_eq!(tight.numbers().len(), 1, "one always goes");
    }

    #[test]
    fn rarer_spellings_go_into_the_room_that_is_worth_the_search_for_it() {
        let (shape, home) = (Shape::new(Some(false)), Region::JAPAN);
        let many = numbers(600);
        for bytes in (4_000..5_000).step_by(25) {
            let batch = pack(&shape, &many, &home, bytes);
            assert_eq!(batch.clone().filled(&shape, &home), batch, "{bytes}");
        }
        let few = pack(&shape, &many[..3], &home, 5_000);
        let filled = few.clone().filled(&shape, &home);
        assert_eq!(filled.numbers(), few.numbers());
        for place in 0..3 {
            let (before, after) = (few.spellings(place), filled.spellings(place));
            assert!(
                after.len() > before.len() && after.starts_with(before),
                "{after:?}"
            );
        }
        let first = filled.first(2);
        assert_eq!(first.numbers(), &few.numbers()[..2]);
        assert_eq!(first.spellings(2), [] as [String; 0]);
        assert_eq!(few.first(0).numbers().len(), 1, "one always goes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn requests_are_full_and_no_query_is_longer_than_meant(
            bytes in 2_000..MAX_URL_BYTES,
            persons: Option<bool>,
        ) {
            let shape = Shape::new(persons);
            let numbers = numbers(600);
            let batch = pack(&shape, &numbers, &Region::JAPAN, bytes);
            let slots = shape.slots();
            prop_assert!(slots.len() <= MAX_QUERIES_PER_COMPOSITE);
            let places: Vec<usize> = (0..batch.numbers().len()).collect();
            let longest = |places: &[usize]| {
                slots.iter().map(|slot| {
                    let soql = shape.soql(slot, &batch.literals(places));
                    let url = format!("/services/data/v50.0/query?q={}", soql.url_encoded());
                    (url.len(), soql.as_str().len())
                }).reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))).unwrap()
            };
            let (url, statement) = longest(&places);
            prop_assert!(url <= bytes && statement <= MAX_STATEMENT_CHARS);
            // One more number would not have fitted.
            prop_assert!(url + 300 > bytes || statement + 300 > MAX_STATEMENT_CHARS);
        }
    }
}
