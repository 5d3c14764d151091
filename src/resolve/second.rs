//! The second question: numbers that no query found are asked of Salesforce's search index.
//!
//! The index holds the words of a field, so it finds a number with an extension, a label, another
//! number beside it, or in full-width digits. One search asks for many numbers and returns Ids; one
//! composite request reads these records. They count by the same rules as those of the first
//! question: a field must hold exactly the number.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tracing::debug;

use super::resolver::Resolver;
use super::{LookedUp, Object, ResolveError, choose};
use crate::phone::{E164, Region, search_phrases};
use crate::salesforce::{Error, Meaning, Sosl};

/// Of a longer search text Salesforce drops AND and OR without a word: 4,000 characters (facts:
/// Salesforce 2.6).
const MAX_SEARCH_CHARS: usize = 3_900;
/// From this part of the allowance on, and of the org's own requests, no second question is asked,
/// in percent.
const NEARLY_USED_PERCENT: u64 = 80;
/// The calls of a second question: a search, and the reading of what it found.
const CALLS: u64 = 2;

/// The result of a second question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecondAnswer {
    /// How many numbers were asked for.
    pub asked: usize,
    /// The numbers that were found, and their records.
    pub looked_up: LookedUp,
    /// The API calls that it cost.
    pub calls: u64,
}

/// A record that the index names.
type Hit = (Object, String);

impl Resolver {
    /// Asks the search index for numbers that [`resolve`](Self::resolve) did not find. It asks for
    /// none where the second question is switched off, where Salesforce has refused it before, and
    /// where the allowance or the org's requests are nearly used up.
    pub async fn resolve_again(&mut self, numbers: &[E164]) -> Result<SecondAnswer, ResolveError> {
        let mut answer = SecondAnswer::default();
        let before = self.connection.spent().calls;
        let mut pending = numbers;
        let mut hits: BTreeSet<Hit> = BTreeSet::new();
        while !pending.is_empty() && self.may_ask_again() {
            let (count, statement) = search(&self.home, pending, self.shape.objects());
            match self.connection.search(&statement).await {
                Ok(found) => hits.extend(found.into_iter().filter_map(hit)),
                Err(error) if is_refused(&error) => {
                    debug!(
                        why = error.meaning().code(),
                        status = error.status(),
                        "Salesforce refuses the search: no second question is asked"
                    );
                    self.second_question = false;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            answer.asked += count;
            pending = pending.get(count..).unwrap_or_default();
        }
        let asked = numbers.get(..answer.asked).unwrap_or_default();
        answer.looked_up = self.read(asked, hits).await?;
        answer.calls = self.connection.spent().calls - before;
        Ok(answer)
    }

    fn may_ask_again(&self) -> bool {
        let is_left = |used: u64, most: u64| {
            u128::from(used) * 100 <= u128::from(most) * u128::from(NEARLY_USED_PERCENT)
        };
        let spent = self.connection.spent().calls + CALLS;
        let usage = self.connection.usage();
        self.second_question
            && self.allowance.0.is_none_or(|most| is_left(spent, most))
            && usage.is_none_or(|usage| is_left(usage.used + CALLS, usage.limit))
    }

    /// Reads the records that the index named and chooses among them.
    async fn read(
        &mut self,
        asked: &[E164],
        hits: BTreeSet<Hit>,
    ) -> Result<LookedUp, ResolveError> {
        let mut ids: BTreeMap<Object, Vec<String>> = BTreeMap::new();
        for (object, id) in hits {
            ids.entry(object).or_default().push(id);
        }
        let mut records = Vec::new();
        self.read_by_id(ids, |home, read| {
            let rows = read.rows.into_iter();
            records.extend(rows.filter_map(|row| row.into_record(read.object, home)));
        })
        .await?;
        // Without counts: the index may know fewer records of a number than there are.
        let found = choose(asked, &records, &HashMap::new(), self.instance.as_ref());
        Ok(LookedUp { found, records })
    }
}

/// The search for as many of the first numbers as one search text can name, at least one.
fn search(home: &Region, pending: &[E164], objects: impl Iterator<Item = Object>) -> (usize, Sosl) {
    let mut text = String::new();
    let mut count = 0;
    for number in pending {
        let terms: Vec<String> = search_phrases(number, home)
            .iter()
            .map(|phrase| Sosl::phrase(phrase))
            .collect();
        let terms = terms.join(" OR ");
        if count > 0 && text.len() + " OR ".len() + terms.len() > MAX_SEARCH_CHARS {
            break;
        }
        if count > 0 {
            text.push_str(" OR ");
        }
        text.push_str(&terms);
        count += 1;
    }
    let objects: Vec<&str> = objects.map(Object::as_str).collect();
    (count, Sosl::in_phone_fields(&text, &objects))
}

/// The record of a hit. An Id goes into a query, so it must look like one.
fn hit((object, id): (String, String)) -> Option<Hit> {
    let object = Object::ALL
        .into_iter()
        .find(|known| known.as_str() == object)?;
    let is_id = matches!(id.len(), 15 | 18) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    is_id.then_some((object, id))
}

/// Whether Salesforce refuses the search itself, and not the user, the session or the moment.
fn is_refused(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 404 | 405 | 414 | 431))
        || matches!(
            error.meaning(),
            Meaning::InsufficientAccess | Meaning::NotFound | Meaning::RequestRejected
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_names_as_many_numbers_as_its_text_may_hold() {
        let numbers: Vec<E164> = (0..500)
            .filter_map(|at| format!("+813{:08}", 31_230_000 + at).parse().ok())
            .collect();
        let (count, statement) = search(&Region::JAPAN, &numbers, Object::ALL.into_iter());
        let text = statement.as_str();
        assert!(count > 70 && count < 100, "{count}");
        assert!(text.len() < 4_200, "{}", text.len());
        assert!(
            text.starts_with("FIND {\"3123 0000\" OR \"0331230000\" OR \"81331230000\" OR"),
            "{text}"
        );
        assert!(
            text.ends_with("} IN PHONE FIELDS RETURNING Contact(Id), Account(Id), Lead(Id) WITH SPELL_CORRECTION = false"),
            "{text}"
        );
        let (one, _) = search(&Region::JAPAN, &numbers[..1], Object::ALL.into_iter());
        assert_eq!(one, 1);
    }

    #[test]
    fn a_hit_is_an_id_of_an_object_that_was_asked_for() {
        let hit = |object: &str, id: &str| hit((object.to_owned(), id.to_owned()));
        assert!(hit("Contact", "003000000000001AAA").is_some());
        assert!(hit("User", "005000000000001AAA").is_none());
        assert!(hit("Contact", "003') OR (Name != '").is_none());
    }
}
