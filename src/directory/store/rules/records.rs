//! What a write of records means for the address book, and who stands behind a number in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use url::Url;

use crate::company_id::CompanyId;
use crate::directory::model::book::{BookRecord, WriteRecords, WriteRecordsReceipt};
use crate::directory::model::{
    Alternative, Alternatives, ChosenBy, Contact, ContactSource, RecordObject,
};
use crate::directory::store::database::error::StoreError;
use crate::directory::store::database::rows::{RecordRow, e164, micros, object, object_text, time};
use crate::directory::store::database::sets::Rows;
use crate::directory::store::database::{Arg, args};
use crate::phone::E164;
use crate::plain_text::folded;
use crate::resolve::{Match, Object, Record, Rule, choose};

/// Whose book it is, and how it is when a write begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shelf<'a> {
    pub(crate) company: &'a CompanyId,
    pub(crate) generation: i64,
    /// Whether a fill is under way.
    pub(crate) is_filling: bool,
}

/// The rows that a write changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Records to write.
    pub(crate) put: Rows,
    /// Records that were seen as they are: company, record, generation, changed in.
    pub(crate) seen: Rows,
    /// Records that go: company, record.
    pub(crate) removed: Rows,
    /// Numbers that records no longer hold: company, number, record.
    pub(crate) dropped: Rows,
    /// Numbers that records hold now: company, number, record.
    pub(crate) added: Rows,
    /// By how much the counts change.
    pub(crate) records: i64,
    pub(crate) numbers: i64,
    pub(crate) receipt: WriteRecordsReceipt,
}

/// The rows that a write changes. `before` has the records of the request that are there, `erased`
/// the numbers that may not be kept.
///
/// What a fill read is older than a change that was written since the fill began. It therefore
/// leaves such a record as it is, also one that is gone, and only says that it saw it.
pub(crate) fn changes(
    shelf: Shelf<'_>,
    request: &WriteRecords,
    before: &HashMap<String, RecordRow>,
    erased: &HashSet<String>,
) -> Changes {
    let mut changes = Changes::default();
    changes.receipt.taken = true;
    let is_fill = request.fill.is_some();
    let records: BTreeMap<&str, &BookRecord> = request
        .records
        .iter()
        .map(|record| (record.record_id.as_str(), record))
        .collect();
    for (id, record) in records {
        let known = before.get(id);
        if is_fill && let Some(known) = known.filter(|k| k.changed_in == shelf.generation) {
            changes.see(shelf, known, known.changed_in);
            changes.receipt.kept += 1;
            continue;
        }
        let changed_in = if is_fill { 0 } else { shelf.generation };
        let row = row(record, erased, shelf.generation, changed_in);
        if row.numbers.is_empty() {
            changes.receipt.refused += 1;
            changes.remove(shelf, id, known, is_fill);
        } else if let Some(known) = known.filter(|known| same(known, &row)) {
            // Outside of a fill nobody asks who saw it last.
            if shelf.is_filling {
                changes.see(shelf, known, changed_in);
            }
            changes.receipt.kept += 1;
        } else {
            changes.put(shelf, known, row);
            changes.receipt.written += 1;
        }
    }
    let gone: BTreeSet<&str> = request.gone.iter().map(String::as_str).collect();
    for id in gone {
        changes.remove(shelf, id, before.get(id), is_fill);
    }
    changes
}

/// The rows that change when records stop holding a number.
pub(crate) fn without_number(shelf: Shelf<'_>, number: &str, holders: Vec<RecordRow>) -> Changes {
    let mut changes = Changes::default();
    for holder in holders {
        let left: Vec<&str> = numbers(&holder).filter(|held| *held != number).collect();
        if left.is_empty() {
            changes.remove(shelf, &holder.record_id, Some(&holder), false);
        } else {
            let row = RecordRow {
                numbers: left.join(" "),
                ..holder.clone()
            };
            changes.put(shelf, Some(&holder), row);
        }
    }
    changes
}

/// The rows that change when records go.
pub(crate) fn without(shelf: Shelf<'_>, records: &[RecordRow]) -> Changes {
    let mut changes = Changes::default();
    let shelf = Shelf {
        is_filling: false,
        ..shelf
    };
    for record in records {
        changes.remove(shelf, &record.record_id, Some(record), false);
    }
    changes
}

// === impl Changes ===

impl Changes {
    fn see(&mut self, shelf: Shelf<'_>, known: &RecordRow, changed_in: i64) {
        if (known.generation, known.changed_in) != (shelf.generation, changed_in) {
            let id = known.record_id.as_str();
            let row = args![shelf.company.as_str(), id, shelf.generation, changed_in];
            self.seen.push(row);
        }
    }

    fn put(&mut self, shelf: Shelf<'_>, known: Option<&RecordRow>, row: RecordRow) {
        self.renumber(shelf, &row.record_id, known, Some(&row));
        self.put.push(columns(shelf.company, row));
    }

    /// Takes a record away. While a fill is under way its Id stays, unless the fill itself says so:
    /// a page that was read before must not bring it back.
    fn remove(&mut self, shelf: Shelf<'_>, id: &str, known: Option<&RecordRow>, is_fill: bool) {
        self.renumber(shelf, id, known, None);
        if known.is_some_and(|known| known.object.is_some()) {
            self.receipt.removed += 1;
        }
        if shelf.is_filling && !is_fill {
            self.put.push(columns(shelf.company, gone(id, shelf)));
        } else if known.is_some() {
            self.removed.push(args![shelf.company.as_str(), id]);
        }
    }

    /// Notes which numbers a record holds now and no longer.
    fn renumber(
        &mut self,
        shelf: Shelf<'_>,
        id: &str,
        known: Option<&RecordRow>,
        now: Option<&RecordRow>,
    ) {
        let of = |row: Option<&RecordRow>| -> BTreeSet<String> {
            row.into_iter()
                .flat_map(numbers)
                .map(str::to_owned)
                .collect()
        };
        let (before, after) = (of(known), of(now));
        let row = |number: &String| args![shelf.company.as_str(), number.as_str(), id];
        for number in before.difference(&after) {
            self.dropped.push(row(number));
        }
        for number in after.difference(&before) {
            self.added.push(row(number));
        }
        let is_live = |row: Option<&RecordRow>| i64::from(row.is_some_and(|r| r.object.is_some()));
        self.records += is_live(now) - is_live(known);
        self.numbers += count(&after) - count(&before);
    }
}

fn count(numbers: &BTreeSet<String>) -> i64 {
    i64::try_from(numbers.len()).unwrap_or(i64::MAX)
}

/// The numbers in a record's row.
fn numbers(row: &RecordRow) -> impl Iterator<Item = &str> {
    row.numbers.split_ascii_whitespace()
}

fn row(
    record: &BookRecord,
    erased: &HashSet<String>,
    generation: i64,
    changed_in: i64,
) -> RecordRow {
    let mut numbers: Vec<&str> = Vec::new();
    for number in record.numbers.iter().map(E164::as_str) {
        if !numbers.contains(&number) && !erased.contains(number) {
            numbers.push(number);
        }
    }
    RecordRow {
        record_id: record.record_id.clone(),
        object: Some(object_text(record.object).to_owned()),
        company_name: record.company_name.clone(),
        person_name: record.person_name.clone(),
        title: record.title.clone(),
        owner_name: record.owner_name.clone(),
        account_id: record.account_id.clone(),
        modified_at: record.modified_at.map(micros),
        numbers: numbers.join(" "),
        generation,
        changed_in,
    }
}

/// The row of a record that is gone.
fn gone(id: &str, shelf: Shelf<'_>) -> RecordRow {
    RecordRow {
        record_id: id.to_owned(),
        object: None,
        company_name: None,
        person_name: None,
        title: None,
        owner_name: None,
        account_id: None,
        modified_at: None,
        numbers: String::new(),
        generation: shelf.generation,
        changed_in: shelf.generation,
    }
}

/// Whether two rows say the same about a record.
fn same(known: &RecordRow, row: &RecordRow) -> bool {
    let known = RecordRow {
        generation: row.generation,
        changed_in: row.changed_in,
        ..known.clone()
    };
    known == *row
}

/// The columns of a record.
fn columns(company: &CompanyId, row: RecordRow) -> Vec<Arg> {
    let (company_folded, person_folded) = (
        row.company_name.as_deref().map(folded),
        row.person_name.as_deref().map(folded),
    );
    args![
        company.as_str(),
        row.record_id,
        row.object,
        row.company_name,
        row.person_name,
        row.title,
        row.owner_name,
        row.account_id,
        row.modified_at,
        row.numbers,
        row.generation,
        row.changed_in,
        company_folded,
        person_folded,
    ]
}

// === Who it is ===

/// The contacts of numbers, chosen of the records that hold them by the rule of a look-up.
pub(crate) fn contacts(
    asked: &[E164],
    records: Vec<BookRecord>,
    instance: Option<&Url>,
    confirmed_at: Timestamp,
) -> HashMap<E164, Contact> {
    let records: Vec<Record> = records.into_iter().map(record).collect();
    let modified: HashMap<&str, Timestamp> = records
        .iter()
        .filter_map(|record| Some((record.id.as_str(), record.modified?)))
        .collect();
    choose(asked, &records, &HashMap::new(), instance)
        .into_iter()
        .map(|(number, found)| {
            let changed = modified.get(found.id.as_str()).copied();
            let contact = contact(number.clone(), found, changed.unwrap_or(confirmed_at));
            (number, contact)
        })
        .collect()
}

fn record(record: BookRecord) -> Record {
    Record {
        object: match record.object {
            RecordObject::Contact => Object::Contact,
            RecordObject::Account => Object::Account,
            RecordObject::Lead => Object::Lead,
        },
        id: record.record_id,
        company: record.company_name,
        person: record.person_name,
        title: record.title,
        owner: record.owner_name,
        account: record.account_id,
        modified: record.modified_at,
        phones: Vec::new(),
        numbers: record.numbers,
    }
}

fn contact(number: E164, found: Match, updated_at: Timestamp) -> Contact {
    let alternatives = found.alternatives.and_then(|others| {
        let rule = match others.rule {
            Rule::Object => ChosenBy::Object,
            Rule::Newest => ChosenBy::Newest,
            Rule::LowestId => ChosenBy::LowestId,
            Rule::None | Rule::Only => return None,
        };
        Some(Alternatives {
            count: others.count,
            records: others.records.into_iter().map(alternative).collect(),
            rule,
        })
    });
    Contact {
        number,
        company_name: found.company,
        person_name: found.person,
        object: Some(kind(found.object)),
        record_id: Some(found.id),
        link: found.link,
        title: found.title,
        owner_name: found.owner,
        alternatives,
        source: ContactSource::Salesforce,
        updated_at,
        asked_at: None,
        not_found: false,
    }
}

fn alternative(other: Match) -> Alternative {
    Alternative {
        object: kind(other.object),
        record_id: other.id,
        person_name: other.person,
        company_name: other.company,
    }
}

fn kind(object: Object) -> RecordObject {
    match object {
        Object::Contact => RecordObject::Contact,
        Object::Account => RecordObject::Account,
        Object::Lead => RecordObject::Lead,
    }
}

// === impl RecordRow ===

impl RecordRow {
    /// The record; `None` for one that is gone.
    pub(crate) fn into_record(self) -> Result<Option<BookRecord>, StoreError> {
        let Some(text) = &self.object else {
            return Ok(None);
        };
        Ok(Some(BookRecord {
            object: object(text)?,
            numbers: numbers(&self).filter_map(e164).collect(),
            record_id: self.record_id,
            account_id: self.account_id,
            company_name: self.company_name,
            person_name: self.person_name,
            title: self.title,
            owner_name: self.owner_name,
            modified_at: self.modified_at.map(time).transpose()?,
        }))
    }
}
