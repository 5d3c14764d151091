//! Chooses the record for a number.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Alternatives, MAX_ALTERNATIVES, Match, Object, Record};
use crate::phone::E164;

/// Chooses one record for each requested number, by the numbers that its phone fields contain.
/// Contact goes before Account before Lead, then the newest `LastModifiedDate`, then the lowest Id.
/// A record whose number only looks similar is no match.
///
/// `counts` says how many records hold a number, where that is more than there are in `records`.
pub fn choose(
    asked: &[E164],
    records: &[Record],
    counts: &HashMap<E164, usize>,
    instance: Option<&Url>,
) -> HashMap<E164, Match> {
    let asked: HashSet<&E164> = asked.iter().collect();
    let mut holding: HashMap<&E164, Vec<&Record>> = HashMap::new();
    for record in records {
        for number in record
            .numbers
            .iter()
            .filter(|number| asked.contains(*number))
        {
            holding.entry(number).or_default().push(record);
        }
    }
    holding
        .into_iter()
        .filter_map(|(number, records)| {
            let (ranked, rule) = ranked(records);
            let (best, others) = ranked.split_first()?;
            let counted = counts
                .get(number)
                .map_or(0, |count| count.saturating_sub(1));
            let alternatives = (!others.is_empty()).then(|| Alternatives {
                count: counted.max(others.len()) as u64,
                records: others
                    .iter()
                    .take(MAX_ALTERNATIVES)
                    .map(|record| to_match(record, instance, None))
                    .collect(),
                rule,
            });
            Some((number.clone(), to_match(best, instance, alternatives)))
        })
        .collect()
}

/// The rule that chose the record of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// No record holds the number.
    None,
    /// Exactly one record holds it.
    Only,
    /// The best object: Contact before Account before Lead.
    Object,
    /// The newest `LastModifiedDate` within the best object.
    Newest,
    /// The lowest Id among equals.
    LowestId,
}

/// The records that hold a number, best first, and the rule that chose the first.
pub fn why<'a>(number: &E164, records: &'a [Record]) -> (Vec<&'a Record>, Rule) {
    let holding = records
        .iter()
        .filter(|record| record.numbers.contains(number));
    ranked(holding.collect())
}

/// Sorts the records of a number, best first, each once, and names the rule that chose the first.
fn ranked(mut holding: Vec<&Record>) -> (Vec<&Record>, Rule) {
    let mut ids = HashSet::new();
    holding.sort_by(|a, b| rank(a).cmp(&rank(b)));
    holding.retain(|record| ids.insert((record.object, record.id.as_str())));
    let rule = match holding.as_slice() {
        [] => Rule::None,
        [_] => Rule::Only,
        [best, next, ..] if best.object != next.object => Rule::Object,
        [best, next, ..] if best.modified != next.modified => Rule::Newest,
        _ => Rule::LowestId,
    };
    (holding, rule)
}

impl Rule {
    /// Whether more than one record of the best object holds the number.
    pub fn is_ambiguous(self) -> bool {
        matches!(self, Self::Newest | Self::LowestId)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no record holds the number",
            Self::Only => "one record holds the number",
            Self::Object => "chosen by object: Contact before Account before Lead",
            Self::Newest => "chosen by the newest LastModifiedDate",
            Self::LowestId => "chosen by the lowest Id of equals",
        })
    }
}

/// The sort key of a record. The lowest rank wins.
fn rank(record: &Record) -> (Object, Reverse<Option<Timestamp>>, &str) {
    (record.object, Reverse(record.modified), record.id.as_str())
}

fn to_match(record: &Record, instance: Option<&Url>, alternatives: Option<Alternatives>) -> Match {
    Match {
        object: record.object,
        id: record.id.clone(),
        company: record.company.clone(),
        person: record.person.clone(),
        title: record.title.clone(),
        owner: record.owner.clone(),
        // `/<Id>` opens a record in Lightning and in Classic.
        link: instance
            .and_then(|url| url.join(&format!("/{}", record.id)).ok())
            .map(String::from),
        alternatives,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::phone::{Region, parse};

    fn record(object: Object, id: &str, day: i64, phone: &str) -> Record {
        Record {
            object,
            id: id.to_owned(),
            company: None,
            person: Some(id.to_owned()),
            title: None,
            owner: None,
            account: None,
            modified: jiff::Timestamp::from_second(day * 86_400).ok(),
            phones: vec![phone.to_owned()],
            numbers: parse(phone, &Region::JAPAN).into_iter().collect(),
        }
    }

    fn chosen(records: &[Record]) -> Option<String> {
        let number: E164 = "+81312345678".parse().unwrap();
        let found = choose(
            std::slice::from_ref(&number),
            records,
            &HashMap::new(),
            None,
        );
        found.get(&number).map(|found| found.id.clone())
    }

    #[test]
    fn a_contact_goes_before_an_account_before_a_lead_whatever_is_newer() {
        let contact = record(Object::Contact, "c", 1, "03-1234-5678");
        let account = record(Object::Account, "a", 2, "0312345678");
        let lead = record(Object::Lead, "l", 3, "+81 3 1234 5678");
        assert_eq!(
            chosen(&[lead.clone(), account.clone(), contact]).as_deref(),
            Some("c")
        );
        assert_eq!(chosen(&[lead.clone(), account]).as_deref(), Some("a"));
        assert_eq!(chosen(&[lead]).as_deref(), Some("l"));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn within_an_object_the_newest_wins_and_the_lowest_id_among_equals() {
        let old = record(Object::Contact, "a", 1, "0312345678");
        let new = record(Object::Contact, "c", 9, "0312345678");
        let same = record(Object::Contact, "b", 9, "0312345678");
        let mut undated = record(Object::Contact, "0", 0, "0312345678");
        undated.modified = None;
        assert_eq!(chosen(&[old, undated, new, same]).as_deref(), Some("b"));
    }

    #[test]
    fn the_rule_that_chose_is_named() {
        let contact = record(Object::Contact, "c", 1, "03-1234-5678");
        let newer = record(Object::Contact, "d", 2, "0312345678");
        let equal = record(Object::Contact, "e", 2, "0312345678");
        let lead = record(Object::Lead, "l", 3, "+81 3 1234 5678");
        let other = record(Object::Lead, "o", 3, "+81 3 1234 5679");
        let number: E164 = "+81312345678".parse().unwrap();
        for (records, rule, best) in [
            (vec![other.clone()], Rule::None, None),
            (
                vec![lead.clone(), other, lead.clone()],
                Rule::Only,
                Some("l"),
            ),
            (vec![lead, contact.clone()], Rule::Object, Some("c")),
            (vec![contact, newer.clone()], Rule::Newest, Some("d")),
            (vec![equal, newer], Rule::LowestId, Some("d")),
        ] {
            let (holding, why) = why(&number, &records);
            assert_eq!(
                (why, holding.first().map(|record| record.id.as_str())),
                (rule, best)
            );
        }
    }

    #[test]
    fn the_others_stand_beside_the_chosen_one_the_best_five_and_how_many_there_are() {
        let number: E164 = "+81312345678".parse().unwrap();
        let mut records: Vec<Record> = (0..7)
            .map(|day| record(Object::Contact, &format!("c{day}"), day, "0312345678"))
            .collect();
        records.push(record(Object::Lead, "l", 99, "0312345678"));
        records.push(records[6].clone());
        let chosen = |records: &[Record], count| {
            let counts = HashMap::from([(number.clone(), count)]);
            choose(std::slice::from_ref(&number), records, &counts, None).remove(&number)
        };
        let found = chosen(&records, 8).unwrap();
        let alternatives = found.alternatives.unwrap();
        let ids: Vec<&str> = alternatives.records.iter().map(|r| r.id.as_str()).collect();
        assert_eq!((found.id.as_str(), alternatives.count), ("c6", 7));
        assert_eq!(ids, ["c5", "c4", "c3", "c2", "c1"]);
        assert_eq!(alternatives.rule, Rule::Newest);
        assert!(alternatives.rule.is_ambiguous());
        assert_eq!(
            chosen(&records, 900).unwrap().alternatives.unwrap().count,
            899
        );
        let two = chosen(&records[6..8], 2).unwrap().alternatives.unwrap();
        assert!(
            !two.rule.is_ambiguous(),
            "a lead beside a contact is not ambiguous"
        );
        assert_eq!(chosen(&records[..1], 1).unwrap().alternatives, None);
    }

    #[test]
    fn a_near_miss_is_no_match() {
        for phone in [
            "03-1234-5679",
            "13-1234-5678",
            "+1 312345678",
            "0312345678 0",
            "",
            "1234-5678",
        ] {
            assert_eq!(
                chosen(&[record(Object::Contact, "c", 1, phone)]),
                None,
                "{phone}"
            );
        }
    }

    #[test]
    fn the_link_opens_the_record_on_the_orgs_own_host() {
        let number: E164 = "+81312345678".parse().unwrap();
        let instance = Url::parse("https://acme.my.salesforce.com/x").unwrap();
        let records = [record(Object::Lead, "00Q1", 1, "0312345678")];
        let asked = std::slice::from_ref(&number);
        let found = choose(asked, &records, &HashMap::new(), Some(&instance));
        assert_eq!(
            found[&number].link.as_deref(),
            Some("https://acme.my.salesforce.com/00Q1")
        );
    }

    proptest! {
        #[test]
        fn the_order_in_which_rows_come_does_not_matter(
            mut rows in prop::collection::vec((0_usize..3, 0_u8..4, 0_i64..3), 1..8),
        ) {
            let records = |rows: &[(usize, u8, i64)]| -> Vec<Record> {
                rows.iter()
                    .map(|(object, id, day)| record(Object::ALL[*object], &id.to_string(), *day, "0312345678"))
                    .collect()
            };
            let forward = chosen(&records(&rows));
            rows.reverse();
            prop_assert_eq!(forward, chosen(&records(&rows)));
        }
    }
}
