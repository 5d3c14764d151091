//! Packs numbers into as few composite requests as the limits allow.

use super::query::{Shape, literals};
use crate::phone::{E164, Region, spellings};
use crate::salesforce::{MAX_STATEMENT_CHARS, Soql};

/// Queries in one composite request: "Up to 5 of these subrequests can be query operations",
/// <https://developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-composite-post.html>.
pub const MAX_QUERIES_PER_COMPOSITE: usize = 5;
/// Length of a sub-request's URL. Salesforce states 16,384 bytes for the URI of a request of its own
/// (414 beyond) and nothing for one inside a composite request, so the same is kept here:
/// <https://developer.salesforce.com/docs/platform/api-rest/guide/errorcodes.md>.
pub const MAX_URL_BYTES: usize = 16_384;
/// What stands before the statement: `/services/data/v50.0/query?q=`, with room for a longer version.
const URL_OVERHEAD_BYTES: usize = 48;

/// Numbers that are looked up by one composite request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The numbers.
    pub numbers: Vec<E164>,
    /// All their spellings, as SOQL writes them in a list.
    pub(super) literals: String,
}

/// Packs numbers, each once, in the order given.
pub fn plan(shape: &Shape, numbers: &[E164], home: &Region) -> Vec<Batch> {
    let limit = Room::of(shape);
    let mut batches: Vec<Batch> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut used = Room::default();
    for number in numbers.iter().filter(|number| seen.insert(*number)) {
        let asked = literals(&spellings(number, home));
        let cost = Room::taken_by(&asked);
        match batches.last_mut() {
            Some(batch) if used.plus(cost).fits(limit) => {
                used = used.plus(cost);
                batch.literals.push(',');
                batch.literals.push_str(&asked);
                batch.numbers.push(number.clone());
            }
            _ => {
                used = cost;
                batches.push(Batch {
                    numbers: vec![number.clone()],
                    literals: asked,
                });
            }
        }
    }
    batches
}

/// Room for the list of literals in a query.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    url_bytes: usize,
    statement_chars: usize,
}

impl Room {
    /// The room that the tightest query of the shape leaves.
    fn of(shape: &Shape) -> Self {
        shape
            .slots()
            .iter()
            .map(|slot| {
                let empty = shape.soql(slot, "");
                let times = slot.fields.len();
                let left = |most: usize, taken: usize| most.saturating_sub(taken) / times;
                Self {
                    url_bytes: left(
                        MAX_URL_BYTES,
                        empty.url_encoded().len() + URL_OVERHEAD_BYTES,
                    ),
                    statement_chars: left(MAX_STATEMENT_CHARS, empty.as_str().chars().count()),
                }
            })
            .reduce(|a, b| Self {
                url_bytes: a.url_bytes.min(b.url_bytes),
                statement_chars: a.statement_chars.min(b.statement_chars),
            })
            .unwrap_or_default()
    }

    /// The room that a list takes, with the comma after it.
    fn taken_by(literals: &str) -> Self {
        const ENCODED_COMMA: usize = "%2C".len();
        Self {
            url_bytes: Soql::text(literals).url_encoded().len() + ENCODED_COMMA,
            statement_chars: literals.chars().count() + 1,
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
    use super::*;
    use crate::phone::parse;
    use proptest::prelude::*;

    fn numbers(count: usize) -> Vec<E164> {
        (0..count)
            .filter_map(|at| parse(&format!("03{:08}", 20_000_000 + at * 37), &Region::JAPAN).ok())
            .collect()
    }

    #[test]
    fn many_numbers_share_a_request_and_none_is_lost() {
        let numbers = numbers(1_000);
        let batches = plan(&Shape::new(Some(false)), &numbers, &Region::JAPAN);
        let planned: Vec<E164> = batches
            .iter()
            .flat_map(|batch| batch.numbers.clone())
            .collect();
        assert_eq!(planned, numbers);
        assert!(batches.len() <= 40, "{} requests", batches.len());
    }

    #[test]
    fn a_number_is_asked_for_once() {
        let number = numbers(1);
        let twice = [number.clone(), number].concat();
        assert_eq!(
            plan(&Shape::new(Some(false)), &twice, &Region::JAPAN)[0]
                .numbers
                .len(),
            1
        );
        assert!(plan(&Shape::new(Some(false)), &[], &Region::JAPAN).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn no_query_is_longer_than_salesforce_takes(count in 1_usize..300, persons: Option<bool>) {
            let shape = Shape::new(persons);
            for batch in plan(&shape, &numbers(count), &Region::JAPAN) {
                let slots = shape.slots();
                prop_assert!(slots.len() <= MAX_QUERIES_PER_COMPOSITE);
                for slot in slots {
                    let soql = shape.soql(&slot, &batch.literals);
                    let url = format!("/services/data/v50.0/query?q={}", soql.url_encoded());
                    prop_assert!(url.len() <= MAX_URL_BYTES);
                    prop_assert!(soql.as_str().len() <= MAX_STATEMENT_CHARS);
                }
            }
        }
    }
}
