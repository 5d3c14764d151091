//! One batch on its way: which requests are still to send, and what has come back. No I/O.

use super::query::{Shape, Slot};
use super::record::{Record, Row};
use super::{Batch, Finding, Object, ResolveError};
use crate::phone::{E164, Region, parse};
use crate::salesforce::{Error, NextPage, Subrequest, Subresponse};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The search for the numbers of one batch.
pub(super) struct Search<'a> {
    batch: &'a Batch,
    home: Region,
    open: Vec<Ask>,
    records: Vec<Record>,
    /// The best object that each number was found on.
    found_on: HashMap<E164, Object>,
}

/// A query that is still to send, or to read on.
#[derive(Debug, Clone)]
struct Ask {
    slot: Slot,
    next: Option<NextPage>,
    /// Numbers that this query has brought. As it brings the newest first, what follows for them is
    /// no better.
    seen: HashSet<E164>,
}

// === impl Search ===

impl<'a> Search<'a> {
    /// A search of which nothing is sent yet.
    pub(super) fn new(shape: &Shape, batch: &'a Batch, home: Region) -> Self {
        let open = shape.slots().into_iter().map(Ask::new).collect();
        Self {
            batch,
            home,
            open,
            records: Vec::new(),
            found_on: HashMap::new(),
        }
    }

    /// The next composite request; empty when the search is over.
    pub(super) fn requests(&self, shape: &Shape) -> Vec<Subrequest> {
        self.open
            .iter()
            .enumerate()
            .map(|(at, ask)| match &ask.next {
                Some(next) => Subrequest::query_next(reference(at), next),
                None => {
                    let soql = shape.soql(&ask.slot, &self.batch.literals);
                    Subrequest::query(reference(at), soql.as_str())
                }
            })
            .collect()
    }

    /// Takes the answers to [`Self::requests`]. What Salesforce does not show is taken out of the
    /// shape and named; the rest of the query is asked again.
    pub(super) fn absorb(
        &mut self,
        shape: &mut Shape,
        answers: &[Subresponse],
    ) -> Result<Vec<Finding>, ResolveError> {
        let asks = std::mem::take(&mut self.open);
        let mut findings = Vec::new();
        let mut changed = BTreeSet::new();
        let mut again = Vec::new();
        let mut read_on = Vec::new();
        for (at, ask) in asks.into_iter().enumerate() {
            let Some(answer) = answers
                .iter()
                .find(|answer| answer.reference_id == reference(at))
            else {
                return Err(ResolveError::AnswerMissing(ask.slot.object));
            };
            match answer.page::<Row>() {
                Ok(page) => {
                    let mut ask = ask;
                    self.keep(&mut ask, page.records);
                    ask.next = page.next;
                    if ask.next.is_some() {
                        read_on.push(ask);
                    }
                }
                Err(error) => {
                    let finding = shrink(shape, &ask.slot, &error);
                    // Two queries of an object fail by the same field: the first names it.
                    if finding.is_none() && !changed.contains(&ask.slot.object) {
                        return Err(error.into());
                    }
                    changed.insert(ask.slot.object);
                    findings.extend(finding);
                    again.push(ask.slot);
                }
            }
        }
        read_on.retain(|ask| self.is_worth_reading_on(ask));
        self.open = read_on;
        let searched: Vec<_> = shape.searched().collect();
        for mut slot in again {
            slot.fields.retain(|name| {
                searched
                    .iter()
                    .any(|field| field.object == slot.object && field.name == *name)
            });
            if !slot.fields.is_empty() {
                self.open.push(Ask::new(slot));
            }
        }
        if searched.is_empty() {
            return Err(ResolveError::NothingToSearch);
        }
        Ok(findings)
    }

    /// What was found.
    pub(super) fn into_records(self) -> Vec<Record> {
        self.records
    }

    fn keep(&mut self, ask: &mut Ask, rows: Vec<Row>) {
        for record in rows
            .into_iter()
            .filter_map(|row| row.into_record(ask.slot.object))
        {
            for number in record
                .phones
                .iter()
                .filter_map(|text| parse(text, &self.home).ok())
            {
                let best = self.found_on.entry(number.clone()).or_insert(record.object);
                *best = record.object.min(*best);
                ask.seen.insert(number);
            }
            self.records.push(record);
        }
    }

    /// Whether a further page could bring a number that this query has not brought yet and that
    /// stands on no better object.
    fn is_worth_reading_on(&self, ask: &Ask) -> bool {
        self.batch.numbers.iter().any(|number| {
            !ask.seen.contains(number)
                && self
                    .found_on
                    .get(number)
                    .is_none_or(|object| *object >= ask.slot.object)
        })
    }
}

impl Ask {
    fn new(slot: Slot) -> Self {
        Self {
            slot,
            next: None,
            seen: HashSet::new(),
        }
    }
}

/// Reference IDs are letters, digits and underscores and begin with a letter.
fn reference(at: usize) -> String {
    format!("q{at}")
}

/// Platform licences have no Lead: INVALID_TYPE. A field that does not exist or is hidden from the
/// user: INVALID_FIELD (facts 2.9).
fn shrink(shape: &mut Shape, slot: &Slot, error: &Error) -> Option<Finding> {
    match error.salesforce_code()? {
        "INVALID_TYPE" => shape.drop_object(slot.object),
        "INVALID_FIELD" => shape.drop_field(slot.object, &error.message()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::plan;
    use serde_json::{Value, json};

    fn numbers(texts: &[&str]) -> Vec<E164> {
        texts
            .iter()
            .map(|text| parse(text, &Region::JAPAN).unwrap())
            .collect()
    }

    fn answer(at: usize, status: u16, body: Value) -> Subresponse {
        Subresponse {
            reference_id: reference(at),
            status,
            body,
        }
    }

    fn empty(at: usize) -> Subresponse {
        answer(
            at,
            200,
            json!({"totalSize": 0, "done": true, "records": []}),
        )
    }

    fn refused(at: usize, code: &str, message: &str) -> Subresponse {
        answer(at, 400, json!([{"errorCode": code, "message": message}]))
    }

    fn first_page(at: usize, phone: &str) -> Subresponse {
        let body = json!({
            "totalSize": 5000, "done": false, "nextRecordsUrl": "/services/data/v50.0/query/01g-2000",
            "records": [{"Id": "003A", "Name": "Sato", "Phone": phone}],
        });
        answer(at, 200, body)
    }

    #[test]
    fn a_missing_object_and_a_hidden_field_are_named_and_the_rest_goes_on() {
        let mut shape = Shape::new(Some(false));
        let batch = plan(&shape, &numbers(&["0312345678"]), &Region::JAPAN).remove(0);
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        assert_eq!(search.requests(&shape).len(), 5);
        let hidden = "No such column 'MobilePhone' on entity 'Contact'.";
        let missing = "sObject type 'Lead' is not supported.";
        let answers = [
            refused(0, "INVALID_FIELD", hidden),
            refused(1, "INVALID_FIELD", hidden),
            empty(2),
            refused(3, "INVALID_TYPE", missing),
            refused(4, "INVALID_TYPE", missing),
        ];
        let findings = search.absorb(&mut shape, &answers).unwrap();
        assert_eq!(
            findings,
            [
                Finding::FieldHidden {
                    object: Object::Contact,
                    field: "MobilePhone"
                },
                Finding::ObjectUnavailable(Object::Lead),
            ]
        );
        // Only Contact.Phone is asked again, without the hidden field.
        assert_eq!(search.requests(&shape).len(), 1);
        search.absorb(&mut shape, &[empty(0)]).unwrap();
        assert!(search.requests(&shape).is_empty());
    }

    #[test]
    fn an_error_of_another_kind_ends_the_search() {
        let mut shape = Shape::new(Some(false));
        let batch = plan(&shape, &numbers(&["0312345678"]), &Region::JAPAN).remove(0);
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let mut answers: Vec<_> = (0..5).map(empty).collect();
        answers[2] = refused(
            2,
            "QUERY_TIMEOUT",
            "Your query request was running for too long",
        );
        assert!(matches!(
            search.absorb(&mut shape, &answers),
            Err(ResolveError::Salesforce(_))
        ));
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        assert!(matches!(
            search.absorb(&mut shape, &[empty(0)]),
            Err(ResolveError::AnswerMissing(_))
        ));
    }

    #[test]
    fn a_user_who_sees_nothing_is_an_error_and_not_a_thousand_unknown_numbers() {
        let mut shape = Shape::new(Some(false));
        let batch = plan(&shape, &numbers(&["0312345678"]), &Region::JAPAN).remove(0);
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let answers: Vec<_> = (0..5).map(|at| refused(at, "INVALID_TYPE", "no")).collect();
        assert!(matches!(
            search.absorb(&mut shape, &answers),
            Err(ResolveError::NothingToSearch)
        ));
    }

    #[test]
    fn pages_are_read_on_only_while_they_can_bring_something() {
        let mut shape = Shape::new(Some(false));
        let asked = numbers(&["0312345678", "0312345679"]);
        let batch = plan(&shape, &asked, &Region::JAPAN).remove(0);
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let answers: Vec<_> = (0..5)
            .map(|at| {
                if at == 0 {
                    first_page(at, "03-1234-5678")
                } else {
                    empty(at)
                }
            })
            .collect();
        search.absorb(&mut shape, &answers).unwrap();
        assert_eq!(
            search.requests(&shape).len(),
            1,
            "the second number may be on a later page"
        );
        search
            .absorb(&mut shape, &[first_page(0, "03-1234-5679")])
            .unwrap();
        assert!(
            search.requests(&shape).is_empty(),
            "both numbers have their newest contact"
        );
        assert_eq!(search.into_records().len(), 2);
    }
}
