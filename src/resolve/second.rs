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

    /// The text that is searched for.
    fn text(statement: &Sosl) -> String {
        let text = statement.as_str().strip_prefix("FIND {").unwrap();
        text.split_once("} IN").unwrap().0.to_owned()
    }

    #[test]
    fn a_search_text_is_as_long_as_it_may_be_and_no_longer() {
        let home = Region::JAPAN;
        let numbers = |prefix: &str, count: usize| -> Vec<E164> {
            let number = |at| format!("{prefix}{:07}", 1_230_001 + at).parse().unwrap();
            (0..count).map(number).collect()
        };
        let search = |pending: &[E164]| search(&home, pending, Object::ALL.into_iter());
        let length = |of: &[E164]| text(&search(of).1).len();
        // Numbers whose terms are of two lengths fill the text to the last character.
        let (long, short) = ("+8133", "+44207");
        let of_each = [long, short].map(|prefix| length(&numbers(prefix, 1)) + " OR ".len());
        let room = MAX_SEARCH_CHARS + " OR ".len();
        let fits = |shorts: &usize| (room - shorts * of_each[1]).is_multiple_of(of_each[0]);
        let shorts = (0..room / of_each[1]).find(fits).unwrap();
        let longs = (room - shorts * of_each[1]) / of_each[0];
        let exact = [numbers(short, shorts), numbers(long, longs)].concat();
        let (count, statement) = search(&exact);
        assert_eq!(count, exact.len());
        assert_eq!(text(&statement).len(), MAX_SEARCH_CHARS);
        for begin in 0..5 {
            let many = numbers(long, 200);
            let (count, statement) = search(&many[begin..]);
            let taken = text(&statement).len();
            assert_eq!(taken, count * of_each[0] - " OR ".len());
            assert!(taken <= MAX_SEARCH_CHARS);
            assert!(taken + of_each[0] > MAX_SEARCH_CHARS, "one more would fit");
        }
    }

    #[test]
    fn a_search_is_refused_by_its_status_or_its_meaning_and_by_nothing_else() {
        use crate::salesforce::Phase;
        let error = |meaning| Error::new(meaning, Phase::Request, "");
        for status in 300..600 {
            let refused = matches!(status, 400 | 404 | 405 | 414 | 431);
            let error = error(Meaning::SalesforceError).with_status(status);
            assert_eq!(is_refused(&error), refused, "{status}");
        }
        let refuses = [
            Meaning::InsufficientAccess,
            Meaning::NotFound,
            Meaning::RequestRejected,
        ];
        for meaning in Meaning::ALL {
            let refused = refuses.contains(meaning);
            assert_eq!(is_refused(&error(*meaning)), refused, "{meaning:?}");
            let error = error(*meaning).with_status(500);
            assert_eq!(is_refused(&error), refused, "{meaning:?}");
        }
    }

    #[tokio::test]
    async fn no_second_question_is_asked_beyond_four_fifths_of_what_may_be_used() {
        use super::super::Allowance;
        use super::super::tests::{org, resolver};
        let salesforce = salesforce_simulator::Simulator::start(org([]))
            .await
            .unwrap();
        salesforce
            .edit_org("acme", |org| org.daily_limit = Some(100))
            .unwrap();
        let mut resolver = resolver(&salesforce, Region::JAPAN).await;
        // With the two calls of the question: 2 of 2, 3, and of any number.
        for (most, may) in [(Some(2), false), (Some(3), true), (None, true)] {
            resolver = resolver.allowance(Allowance(most));
            assert_eq!(resolver.may_ask_again(), may, "{most:?}");
        }
        let batch = resolver.batch(&["+81312345678".parse().unwrap()]);
        for _ in 0..2 {
            resolver.resolve(&batch).await.unwrap();
        }
        for (most, may) in [(4, false), (5, true), (6, true)] {
            resolver = resolver.allowance(Allowance(Some(most)));
            assert_eq!(resolver.may_ask_again(), may, "4 of {most}");
        }
        resolver = resolver.allowance(Allowance(None)).second_question(false);
        assert!(!resolver.may_ask_again(), "it is switched off");
        resolver = resolver.second_question(true);
        // What the org has used when this call is answered, of a hundred.
        for (used, may) in [(77, true), (78, true), (79, false), (100, false)] {
            salesforce.set_used("acme", used - 1).unwrap();
            resolver.resolve(&batch).await.unwrap();
            assert_eq!(resolver.connection.usage().unwrap().used, used);
            assert_eq!(resolver.may_ask_again(), may, "{used} and two more");
        }
    }

    #[test]
    fn a_hit_is_an_id_of_an_object_that_was_asked_for() {
        let hit = |object: &str, id: &str| hit((object.to_owned(), id.to_owned()));
        assert!(hit("Contact", "003000000000001AAA").is_some());
        assert!(hit("User", "005000000000001AAA").is_none());
        for (length, is_id) in [
            (0, false),
            (14, false),
            (15, true),
            (16, false),
            (17, false),
            (18, true),
            (19, false),
        ] {
            let hit = hit("Lead", &"0".repeat(length));
            let expected = is_id.then(|| (Object::Lead, "0".repeat(length)));
            assert_eq!(hit, expected, "{length}");
        }
        assert!(hit("Contact", "003') OR (Name != '").is_none());
    }
}
