//! The state of one batch: the requests that are still to be sent, and the records so far. No I/O.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::query::{Shape, Slot};
use super::record::{Record, Row};
use super::url_limit::is_too_much;
use super::{Batch, Finding, MAX_ALTERNATIVES, Object, ResolveError};
use crate::phone::{E164, Region};
use crate::salesforce::{Error, NextPage, Page, Subrequest, Subresponse};

/// The search for the numbers of one batch.
pub(crate) struct Search<'a> {
    batch: &'a Batch,
    home: Region,
    open: Vec<Ask>,
    records: Vec<Record>,
    /// The best object that each number was found on.
    found_on: HashMap<E164, Object>,
    /// The records that hold each number, as far as rows were read.
    holders: HashMap<E164, HashSet<(Object, String)>>,
}

/// The most records of an object that are kept for a number and a query: the best, and those that
/// are listed beside it.
const MAX_KEPT: usize = 1 + MAX_ALTERNATIVES;

/// A query that is still to be sent, or has pages that are still to be read.
#[derive(Debug, Clone)]
struct Ask {
    slot: Slot,
    /// The positions in the batch of the requested numbers.
    places: Vec<usize>,
    next: Option<NextPage>,
    rows: u64,
    /// How many records of each object this query has already found for a number. It returns the
    /// newest records first, so later records of the same object are no better. A query of Contact
    /// also returns the person contacts of person accounts, which are records of Account.
    seen: HashMap<(E164, Object), usize>,
}

/// The result of a request.
#[derive(Debug)]
pub(crate) enum Absorbed {
    /// Salesforce answered, possibly with findings about data that the user does not see.
    Answered(Vec<Finding>),
    /// A query was too long or too complex for Salesforce: fewer numbers may pass.
    TooMuch(Error),
}

// === impl Search ===

impl<'a> Search<'a> {
    /// A search before its first request.
    pub(crate) fn new(shape: &Shape, batch: &'a Batch, home: Region) -> Self {
        let all: Vec<usize> = (0..batch.numbers().len()).collect();
        let slots = shape.slots().into_iter();
        let open = slots.map(|slot| Ask::new(slot, all.clone())).collect();
        Self {
            batch,
            home,
            open,
            records: Vec::new(),
            found_on: HashMap::new(),
            holders: HashMap::new(),
        }
    }

    /// The subrequests of the next composite request; empty when the search is complete.
    pub(crate) fn requests(&self, shape: &Shape) -> Vec<Subrequest> {
        self.open
            .iter()
            .enumerate()
            .map(|(at, ask)| match &ask.next {
                Some(next) => Subrequest::query_next(reference(at), next),
                None => {
                    let soql = shape.soql(&ask.slot, &self.batch.literals(&ask.places));
                    Subrequest::query(reference(at), soql.as_str())
                }
            })
            .collect()
    }

    /// Processes the responses to [`Self::requests`]. Objects and fields that Salesforce does not
    /// show are removed from the shape and returned as findings; the rest of the query is sent
    /// again.
    pub(crate) fn absorb(
        &mut self,
        shape: &mut Shape,
        mut answers: Vec<Subresponse>,
    ) -> Result<Absorbed, ResolveError> {
        let asks = std::mem::take(&mut self.open);
        let mut findings = Vec::new();
        let mut changed = BTreeSet::new();
        let before = shape.clone();
        let mut again = Vec::new();
        let mut read_on = Vec::new();
        for (at, ask) in asks.into_iter().enumerate() {
            let place = answers
                .iter()
                .position(|answer| answer.reference_id == reference(at));
            let Some(place) = place else {
                return Err(ResolveError::AnswerMissing(ask.slot.object));
            };
            let page = answers.swap_remove(place).page::<Row>();
            match page {
                Ok(page) => read_on.extend(self.keep(ask, page)),
                Err(error) if is_too_much(&error) => return Ok(Absorbed::TooMuch(error)),
                Err(error) => {
                    let finding = shrink(shape, &ask.slot, &error);
                    // Two queries fail because of the same field; only the first one gives a
                    // finding. What is said of person accounts is said of two objects.
                    let is_other = before.soql(&ask.slot, "") != shape.soql(&ask.slot, "");
                    if finding.is_none() && !changed.contains(&ask.slot.object) && !is_other {
                        return Err(error.into());
                    }
                    changed.insert(ask.slot.object);
                    if finding == Some(Finding::NoPersonAccounts) {
                        // Contacts name them, too, in the same request.
                        changed.extend([Object::Contact, Object::Account]);
                    }
                    findings.extend(finding);
                    again.push(ask);
                }
            }
        }
        self.open = read_on
            .into_iter()
            .filter_map(|(ask, pages)| self.read_on(ask, pages))
            .collect();
        self.ask_again(shape, again);
        if shape.searched().next().is_none() {
            return Err(ResolveError::NothingToSearch);
        }
        Ok(Absorbed::Answered(findings))
    }

    /// The records that were found, and the number of records that hold each number.
    pub(crate) fn into_records(self) -> (Vec<Record>, HashMap<E164, usize>) {
        let counted = self.holders.into_iter();
        let counts = counted.map(|(number, records)| (number, records.len()));
        (self.records, counts.collect())
    }

    /// Keeps a page's rows. Returns the query and the number of its remaining pages, if there are
    /// any.
    fn keep(&mut self, mut ask: Ask, page: Page<Row>) -> Option<(Ask, u64)> {
        let rows = page.records.len() as u64;
        // An answer may hold numbers that nobody asked for, as many as fit into it.
        let places = ask.places.iter();
        let asked: HashSet<E164> = places
            .filter_map(|place| self.batch.numbers().get(*place).cloned())
            .collect();
        for record in page
            .records
            .into_iter()
            .filter_map(|row| row.into_record(ask.slot.object, &self.home))
        {
            let mut is_kept = false;
            for number in record.numbers.iter().filter(|n| asked.contains(n)) {
                let best = self.found_on.entry(number.clone()).or_insert(record.object);
                *best = record.object.min(*best);
                let seen = ask.seen.entry((number.clone(), record.object)).or_default();
                *seen += 1;
                is_kept |= *seen <= MAX_KEPT;
                self.holders
                    .entry(number.clone())
                    .or_default()
                    .insert((record.object, record.id.clone()));
            }
            // An older record of an object that this query has already found for the number is
            // never chosen. If thousands of records have the same number, only some are kept.
            if is_kept {
                self.records.push(record);
            }
        }
        ask.rows += rows;
        ask.next = page.next;
        ask.next.is_some().then(|| {
            let left = page.total_size.saturating_sub(ask.rows);
            (ask, left.div_ceil(rows.max(1)))
        })
    }

    /// Decides how a query with more pages continues. It ends if they can add nothing. Otherwise
    /// its next page is read, or a new query without the found numbers replaces it, so that the
    /// pages of a number on thousands of records are not all read.
    fn read_on(&self, ask: Ask, pages_left: u64) -> Option<Ask> {
        let open: Vec<usize> = ask
            .places
            .iter()
            .copied()
            .filter(|place| self.is_open(&ask, *place))
            .collect();
        match open.len() {
            0 => None,
            open if pages_left <= 1 || open == ask.places.len() => Some(ask),
            _ => Some(Ask::new(ask.slot, open)),
        }
    }

    /// Whether a further page could find this number: this query has not found it yet on its own
    /// object, and no better object has it.
    fn is_open(&self, ask: &Ask, place: usize) -> bool {
        self.batch.numbers().get(place).is_some_and(|number| {
            let found = (number.clone(), ask.slot.object);
            !ask.seen.contains_key(&found)
                && self
                    .found_on
                    .get(number)
                    .is_none_or(|object| *object >= ask.slot.object)
        })
    }

    /// Repeats the queries that Salesforce refused because of hidden objects or fields, as far as
    /// they are still useful.
    fn ask_again(&mut self, shape: &Shape, refused: Vec<Ask>) {
        let slots = shape.slots();
        for ask in refused {
            let of_object = |slot: &&Slot| slot.object == ask.slot.object;
            // Another field may have to be searched instead of the removed one.
            for slot in slots.iter().filter(of_object).filter(|slot| {
                let same = |name: &&&str| ask.slot.fields.contains(name);
                slot.fields.iter().any(|name| same(&name))
            }) {
                self.open.push(Ask::new(slot.clone(), ask.places.clone()));
            }
        }
    }
}

impl Ask {
    fn new(slot: Slot, places: Vec<usize>) -> Self {
        Self {
            slot,
            places,
            next: None,
            rows: 0,
            seen: HashMap::new(),
        }
    }
}

/// Reference IDs consist of letters, digits and underscores and begin with a letter.
fn reference(at: usize) -> String {
    format!("q{at}")
}

/// Removes what the error names from the shape. Platform licences have no Lead: INVALID_TYPE. A
/// field that does not exist or is hidden from the user: INVALID_FIELD (facts: Salesforce 2.9).
pub(crate) fn shrink(shape: &mut Shape, slot: &Slot, error: &Error) -> Option<Finding> {
    match error.salesforce_code()? {
        "INVALID_TYPE" => shape.drop_object(slot.object),
        "INVALID_FIELD" => shape.drop_field(slot.object, &error.message()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::phone::parse;
    use crate::resolve::plan::pack;
    use crate::resolve::url_limit::FIRST_URL_BYTES;

    fn numbers(texts: &[&str]) -> Vec<E164> {
        texts
            .iter()
            .map(|text| parse(text, &Region::JAPAN).unwrap())
            .collect()
    }

    fn planned(shape: &Shape, numbers: &[E164]) -> Batch {
        pack(shape, numbers, &Region::JAPAN, FIRST_URL_BYTES)
    }

    fn answered(absorbed: Result<Absorbed, ResolveError>) -> Vec<Finding> {
        match absorbed {
            Ok(Absorbed::Answered(findings)) => findings,
            other => panic!("{other:?}"),
        }
    }

    fn answer(at: usize, status: u16, body: Value) -> Subresponse {
        Subresponse::played(&reference(at), status, &body)
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

    fn first_page(at: usize, row: Value) -> Subresponse {
        let body = json!({
            "totalSize": 5000, "done": false, "nextRecordsUrl": "/services/data/v50.0/query/01g-2000",
            "records": [row],
        });
        answer(at, 200, body)
    }

    fn sato(phone: &str) -> Value {
        json!({"Id": "003A", "Name": "Sato", "Phone": phone})
    }

    #[test]
    fn a_missing_object_and_a_hidden_field_are_named_and_the_rest_goes_on() {
        let mut shape = Shape::new(Some(false));
        let batch = planned(&shape, &numbers(&["0312345678"]));
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
        let findings = answered(search.absorb(&mut shape, answers.into()));
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
        // Only Contact.Phone is queried again, without the hidden field.
        assert_eq!(search.requests(&shape).len(), 1);
        answered(search.absorb(&mut shape, vec![empty(0)]));
        assert!(search.requests(&shape).is_empty());
    }

    /// OAuth does not tell whether an org has person accounts, so `switchboard lookup` asks.
    #[test]
    fn an_org_without_person_accounts_refuses_contacts_and_accounts_at_once() {
        let mut shape = Shape::new(None);
        let batch = planned(&shape, &numbers(&["0312345678"]));
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let requests = search.requests(&shape).len();
        let (person, mobile) = (
            "No such column 'IsPersonAccount' on entity 'Account'.",
            "No such column 'PersonMobilePhone' on entity 'Account'.",
        );
        let mut answers: Vec<_> = (0..requests).map(empty).collect();
        for (at, ask) in search.open.iter().enumerate() {
            match ask.slot.object {
                Object::Contact => answers[at] = refused(at, "INVALID_FIELD", person),
                Object::Account => answers[at] = refused(at, "INVALID_FIELD", mobile),
                Object::Lead => {}
            }
        }
        let findings = answered(search.absorb(&mut shape, answers));
        assert_eq!(findings, [Finding::NoPersonAccounts]);
        let again = search.requests(&shape).len();
        assert!(again > 1);
        answered(search.absorb(&mut shape, (0..again).map(empty).collect()));
        assert!(search.requests(&shape).is_empty());
    }

    #[test]
    fn an_org_without_person_accounts_refuses_two_objects_and_the_search_goes_on() {
        let mut shape = Shape::new(None);
        let batch = planned(&shape, &numbers(&["0312345678"]));
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let message = "No such column 'IsPersonAccount' on entity 'Account'.";
        let mut answers: Vec<_> = (0..5).map(empty).collect();
        for (at, answer) in answers.iter_mut().enumerate().take(3) {
            *answer = refused(at, "INVALID_FIELD", message);
        }
        let findings = answered(search.absorb(&mut shape, answers));
        assert_eq!(findings, [Finding::NoPersonAccounts]);
        assert_eq!(search.requests(&shape).len(), 3);
    }

    #[test]
    fn an_error_of_another_kind_ends_the_search() {
        let mut shape = Shape::new(Some(false));
        let batch = planned(&shape, &numbers(&["0312345678"]));
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let mut answers: Vec<_> = (0..5).map(empty).collect();
        answers[2] = refused(2, "UNKNOWN_EXCEPTION", "An unexpected error occurred.");
        assert!(matches!(
            search.absorb(&mut shape, answers),
            Err(ResolveError::Salesforce(_))
        ));
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        assert!(matches!(
            search.absorb(&mut shape, vec![empty(0)]),
            Err(ResolveError::AnswerMissing(_))
        ));
    }

    #[test]
    fn a_user_who_sees_nothing_is_an_error_and_not_a_thousand_unknown_numbers() {
        let mut shape = Shape::new(Some(false));
        let batch = planned(&shape, &numbers(&["0312345678"]));
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let answers: Vec<_> = (0..5).map(|at| refused(at, "INVALID_TYPE", "no")).collect();
        assert!(matches!(
            search.absorb(&mut shape, answers),
            Err(ResolveError::NothingToSearch)
        ));
    }

    #[test]
    fn pages_are_read_on_only_while_they_can_bring_something() {
        let mut shape = Shape::new(Some(false));
        let asked = numbers(&["0312345678", "0312345679"]);
        let batch = planned(&shape, &asked);
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let answers: Vec<_> = (0..5)
            .map(|at| {
                if at == 0 {
                    first_page(at, sato("03-1234-5678"))
                } else {
                    empty(at)
                }
            })
            .collect();
        answered(search.absorb(&mut shape, answers));
        assert_eq!(
            search.requests(&shape).len(),
            1,
            "the second number may be on a later page"
        );
        answered(search.absorb(&mut shape, vec![first_page(0, sato("03-1234-5679"))]));
        assert!(
            search.requests(&shape).is_empty(),
            "both numbers have their newest contact"
        );
        assert_eq!(search.into_records().0.len(), 2);
    }

    #[test]
    fn a_number_on_thousands_of_records_is_asked_out_of_the_way() {
        let mut shape = Shape::new(Some(false));
        let asked = numbers(&["0312345678", "0312345679"]);
        let batch = planned(&shape, &asked);
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let mut answers: Vec<_> = (0..5).map(empty).collect();
        let crowd = json!({"Id": "003A", "Name": "Sato", "Phone": "03-1234-5678"});
        let body = json!({
            "totalSize": 9_000, "done": false, "nextRecordsUrl": "/services/data/v50.0/query/01g-2000",
            "records": vec![crowd; 2_000],
        });
        answers[0] = answer(0, 200, body);
        answered(search.absorb(&mut shape, answers));
        let requests = search.requests(&shape);
        assert_eq!(requests.len(), 1);
        let request = format!("{requests:?}");
        assert!(request.contains("'03-1234-5679'"), "{request}");
        assert!(!request.contains("5678"), "{request}");
        answered(search.absorb(&mut shape, vec![empty(0)]));
        assert!(search.requests(&shape).is_empty());
        let (records, _) = search.into_records();
        assert_eq!(records.len(), MAX_KEPT, "the crowd is not kept");
    }

    #[test]
    fn a_person_contact_hides_no_older_contact_and_is_not_hidden_by_one() {
        let mut shape = Shape::new(Some(true));
        let asked = numbers(&["0312345678"]);
        let batch = planned(&shape, &asked);
        let row = |id: &str, person_account: bool, day: u8| {
            json!({
                "Id": id, "Name": id, "AccountId": format!("001{id}"), "Phone": "03-1234-5678",
                "Account": {"Name": id, "IsPersonAccount": person_account},
                "LastModifiedDate": format!("2026-11-{day:02}T00:00:00.000+0000"),
            })
        };
        for (rows, kept) in [
            ([row("P", true, 2), row("C", false, 1)], ["001P", "C"]),
            ([row("C", false, 2), row("P", true, 1)], ["C", "001P"]),
        ] {
            let mut search = Search::new(&shape, &batch, Region::JAPAN);
            let mut answers: Vec<_> = (0..5).map(empty).collect();
            let body = json!({"totalSize": 2, "done": true, "records": rows});
            answers[0] = answer(0, 200, body);
            answered(search.absorb(&mut shape, answers));
            let (records, counts) = search.into_records();
            let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
            assert_eq!((ids, counts[&asked[0]]), (kept.to_vec(), 2));
        }
    }

    #[test]
    fn a_page_is_read_on_for_a_contact_behind_a_person_contact() {
        let mut shape = Shape::new(Some(true));
        let asked = numbers(&["0312345678"]);
        let batch = planned(&shape, &asked);
        let mut search = Search::new(&shape, &batch, Region::JAPAN);
        let mut answers: Vec<_> = (0..5).map(empty).collect();
        let mut person = sato("03-1234-5678");
        person["Account"] = json!({"IsPersonAccount": true});
        answers[0] = first_page(0, person);
        answered(search.absorb(&mut shape, answers));
        assert_eq!(search.requests(&shape).len(), 1);
        answered(search.absorb(&mut shape, vec![first_page(0, sato("03-1234-5678"))]));
        assert!(search.requests(&shape).is_empty());
    }

    #[test]
    fn a_query_that_is_too_much_is_told_apart() {
        for (status, body) in [
            (
                414,
                json!("<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>"),
            ),
            (431, json!(null)),
            (
                400,
                json!([{"errorCode": "QUERY_TIMEOUT", "message": "too long"}]),
            ),
            (
                400,
                json!([{"errorCode": "QUERY_TOO_COMPLICATED", "message": "no"}]),
            ),
            (
                400,
                json!([{"errorCode": "MALFORMED_QUERY", "message": "SOQL statements cannot be longer"}]),
            ),
        ] {
            let mut shape = Shape::new(Some(false));
            let batch = planned(&shape, &numbers(&["0312345678"]));
            let mut search = Search::new(&shape, &batch, Region::JAPAN);
            let mut answers: Vec<_> = (0..5).map(empty).collect();
            answers[3] = answer(3, status, body);
            let absorbed = search.absorb(&mut shape, answers);
            assert!(matches!(absorbed, Ok(Absorbed::TooMuch(_))), "{status}");
        }
    }
}
