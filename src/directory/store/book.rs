//! The address book: all records of Salesforce with a phone number, and by which numbers they are
//! found.
//!
//! A fill has a generation. What it does not see goes when it ends, in parts; what a change wrote
//! since it began is left as the change wrote it. One writer at a time works on a book.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use url::Url;

use super::database::rows::{RecordRow, micros, object, time};
use super::database::sets::Kind::{self, Number, Text};
use super::database::sets::Rowwise;
use super::database::{Transaction, args, row, uncrossed};
use super::numbers::Gate;
use super::purge::KeyRow;
use super::rules::records::{Changes, Shelf, changes, contacts, without, without_number};
use super::{Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::book::{
    BeginFill, Book, DropReceipt, Fill, FillPart, FinishFill, FinishReceipt, HoldersFound,
    RecordsByObject, WriteRecords, WriteRecordsReceipt,
};
use crate::directory::model::{Contact, RecordObject};
use crate::phone::E164;
use crate::plain_text::folded;

/// The most records that one transaction reads to end a fill, or takes away.
const PIECE: i64 = 2_000;
/// The most records that are read for a statement's numbers.
const MOST_HOLDERS: usize = 5_000;
/// Sorts after every Id.
const LAST: &str = "~";
/// What a row and the keys to it take up beside the texts, in bytes: about.
const BYTES_OF_A_ROW: u64 = 50;

macro_rules! of_a_record {
    () => {
        "r.record_id, r.object, r.company_name, r.person_name, r.title, r.owner_name, r.account_id, r.modified_at, \
         r.numbers, r.generation, r.changed_in"
    };
}

const FIND: &str = "SELECT generation, began_at, parts, swept, filled_at, counted_at, confirmed_at, instance, going, \
     records, numbers FROM books WHERE company = $1";

/// Parameters: $1 company, $2 generation, $3 now, $4 instance.
const BEGIN: &str = "INSERT INTO books (company, generation, began_at, confirmed_at, instance, going, records, numbers) \
     VALUES ($1, $2, $3, $3, $4, 0, 0, 0) ON CONFLICT (company) DO UPDATE SET generation = excluded.generation, \
     began_at = excluded.began_at, parts = NULL, swept = NULL, confirmed_at = excluded.confirmed_at, going = 0, \
     instance = COALESCE(excluded.instance, books.instance)";

/// Parameters: $1 company, $2 and $3 further records and numbers, $4 parts, $5 now, $6 now if they
/// were counted.
const STEP: &str = "UPDATE books SET records = records + $2, numbers = numbers + $3, parts = COALESCE($4, parts), \
     confirmed_at = COALESCE($5, confirmed_at), counted_at = COALESCE($6, counted_at) WHERE company = $1";

/// Parameters: $1 company, $2 up to this record.
const SWEPT: &str = "UPDATE books SET swept = $2 WHERE company = $1";

const FILLED: &str = "UPDATE books SET filled_at = began_at, began_at = NULL, swept = NULL \
     WHERE company = $1";

const GOES: &str =
    "UPDATE books SET going = 1, began_at = NULL, parts = NULL, swept = NULL WHERE company = $1";

const GONE: &str = "DELETE FROM books WHERE company = $1";

/// Parameters: $1 company, $2 after this record, $3 rows. It finds the end of a piece.
pub(crate) const END: &str = "SELECT record_id AS key FROM records WHERE company = $1 AND record_id > $2 \
     ORDER BY record_id LIMIT 1 OFFSET $3";

/// Parameters: $1 company, $2 after this record, $3 up to this record, $4 generation.
pub(crate) const UNSEEN: &str = concat!(
    "SELECT ",
    of_a_record!(),
    " FROM records r WHERE r.company = $1 AND r.record_id > $2 AND r.record_id <= $3 \
     AND (r.generation < $4 OR r.object IS NULL)"
);

/// Parameters: $1 company, $2 most records.
const ANY: &str = concat!(
    "SELECT ",
    of_a_record!(),
    " FROM records r WHERE r.company = $1 LIMIT $2"
);

/// Parameters: $1 company, $2 number, $3 most records.
pub(crate) const HOLDERS: &str = concat!(
    "SELECT ",
    of_a_record!(),
    " FROM record_numbers m JOIN records r ON r.company = m.company AND r.record_id = m.record_id \
     WHERE m.company = $1 AND m.number = $2 LIMIT $3"
);

/// Parameters: $1 company, $2 rows. How long the texts of so many records are.
const SAMPLE: &str = "SELECT CAST(COALESCE(SUM(octet_length(record_id) + octet_length(COALESCE(company_name, '')) \
     + octet_length(COALESCE(person_name, '')) + octet_length(COALESCE(title, '')) \
     + octet_length(COALESCE(owner_name, '')) + octet_length(COALESCE(account_id, '')) \
     + octet_length(numbers)), 0) AS bigint) AS bytes, COUNT(*) AS counted \
     FROM (SELECT * FROM records WHERE company = $1 LIMIT $2) AS sampled";

/// Parameters: $1 company.
const BY_OBJECT: &str = "SELECT object, COUNT(*) AS counted FROM records WHERE company = $1 AND object IS NOT NULL \
     GROUP BY object";

pub(crate) const NEXT: &str =
    "SELECT company AS key FROM books WHERE company > $1 ORDER BY company LIMIT 1";

const IDS: &[(&str, Kind)] = &[("company", Text), ("record_id", Text)];

pub(crate) const RECORDS_OF: Rowwise = Rowwise {
    columns: IDS,
    sql: concat!(
        "SELECT ",
        of_a_record!(),
        " FROM n JOIN records r ON r.company = n.company AND r.record_id = n.record_id"
    ),
};

/// The records that hold numbers.
pub(crate) const HOLDERS_OF: Rowwise = Rowwise {
    columns: &[("company", Text), ("number", Text)],
    sql: concat!(
        "SELECT ",
        of_a_record!(),
        " FROM n JOIN record_numbers m ON m.company = n.company AND m.number = n.number \
         JOIN records r ON r.company = m.company AND r.record_id = m.record_id LIMIT 5000"
    ),
};

const PUT: Rowwise = Rowwise {
    columns: &[
        ("company", Text),
        ("record_id", Text),
        ("object", Text),
        ("company_name", Text),
        ("person_name", Text),
        ("title", Text),
        ("owner_name", Text),
        ("account_id", Text),
        ("modified_at", Number),
        ("numbers", Text),
        ("generation", Number),
        ("changed_in", Number),
        ("company_folded", Text),
        ("person_folded", Text),
    ],
    sql: "INSERT INTO records (company, record_id, object, company_name, person_name, title, owner_name, account_id, \
         modified_at, numbers, generation, changed_in, company_folded, person_folded) \
         SELECT company, record_id, object, company_name, person_name, title, owner_name, account_id, \
         modified_at, numbers, generation, changed_in, company_folded, person_folded FROM n WHERE true \
         ON CONFLICT (company, record_id) DO UPDATE SET object = excluded.object, \
         company_name = excluded.company_name, person_name = excluded.person_name, title = excluded.title, \
         owner_name = excluded.owner_name, account_id = excluded.account_id, modified_at = excluded.modified_at, \
         numbers = excluded.numbers, generation = excluded.generation, changed_in = excluded.changed_in, \
         company_folded = excluded.company_folded, person_folded = excluded.person_folded",
};

pub(crate) const SEEN: Rowwise = Rowwise {
    columns: &[
        ("company", Text),
        ("record_id", Text),
        ("generation", Number),
        ("changed_in", Number),
    ],
    sql: "UPDATE records SET generation = n.generation, changed_in = n.changed_in FROM n \
         WHERE records.company = n.company AND records.record_id = n.record_id",
};

pub(crate) const REMOVE: Rowwise = Rowwise {
    columns: IDS,
    sql: "DELETE FROM records WHERE (company, record_id) IN (SELECT company, record_id FROM n)",
};

const NUMBER_OF_A_RECORD: &[(&str, Kind)] =
    &[("company", Text), ("number", Text), ("record_id", Text)];

pub(crate) const DROP_NUMBERS: Rowwise = Rowwise {
    columns: NUMBER_OF_A_RECORD,
    sql: "DELETE FROM record_numbers WHERE (company, number, record_id) IN \
         (SELECT company, number, record_id FROM n)",
};

const ADD_NUMBERS: Rowwise = Rowwise {
    columns: NUMBER_OF_A_RECORD,
    sql: "INSERT INTO record_numbers (company, number, record_id) SELECT company, number, record_id FROM n WHERE true \
         ON CONFLICT DO NOTHING",
};

/// Writes the names of accounts into their contacts, and the account that theirs was merged into. A
/// fill that read a contact before does not write over it.
pub(crate) const NAME_ACCOUNTS: Rowwise = Rowwise {
    columns: &[
        ("company", Text),
        ("account_id", Text),
        ("name", Text),
        ("folded", Text),
        ("merged_into", Text),
        ("changed_in", Number),
    ],
    // The table comes twice because SQLite, without statistics, would read the whole company.
    sql: "UPDATE records SET company_name = n.name, company_folded = n.folded, account_id = COALESCE(n.merged_into, n.account_id), \
         changed_in = n.changed_in \
         FROM n JOIN records a ON a.company = n.company AND a.account_id = n.account_id \
         WHERE records.company = a.company AND records.record_id = a.record_id \
         AND (records.company_name IS DISTINCT FROM n.name OR n.merged_into IS NOT NULL)",
};

row! {
    struct BookRow {
        generation: i64,
        began_at: Option<i64>,
        parts: Option<String>,
        swept: Option<String>,
        filled_at: Option<i64>,
        counted_at: Option<i64>,
        confirmed_at: i64,
        instance: Option<String>,
        going: i64,
        records: i64,
        numbers: i64,
    }
}

row! {
    struct CountRow {
        object: String,
        counted: i64,
    }
}

row! {
    struct SampleRow {
        bytes: i64,
        counted: i64,
    }
}

// === impl Store ===

impl Store {
    /// The address book of a company.
    pub(crate) async fn book(&self, company: &CompanyId) -> Result<Book, StoreError> {
        let sort = |error| StoreError::sort("read the state of the address book", error);
        let key = args![company.as_str()];
        let row: Option<BookRow> = self.database.optional(FIND, key).await.map_err(sort)?;
        let Some(row) = row.filter(BookRow::is_there) else {
            return Ok(Book::default());
        };
        let sample = args![company.as_str(), 1_000];
        let sample: Option<SampleRow> =
            self.database.optional(SAMPLE, sample).await.map_err(sort)?;
        let bytes = sample.map_or(0, |sample| row.bytes(&sample, company));
        Ok(Book {
            bytes,
            ..row.into_book()?
        })
    }

    /// How many records of each kind the address book of a company holds.
    pub(crate) async fn book_by_object(
        &self,
        company: &CompanyId,
    ) -> Result<RecordsByObject, StoreError> {
        let counted = self.database.all(BY_OBJECT, args![company.as_str()]);
        let rows: Vec<CountRow> = counted
            .await
            .map_err(|error| StoreError::sort("count the address book", error))?;
        let mut counts = RecordsByObject::default();
        for row in rows {
            let count = u64::try_from(row.counted).unwrap_or(0);
            match object(&row.object)? {
                RecordObject::Contact => counts.contact = count,
                RecordObject::Account => counts.account = count,
                RecordObject::Lead => counts.lead = count,
            }
        }
        Ok(counts)
    }

    /// How many records the address book of a company holds; none while it is being taken away.
    pub(crate) async fn book_size(&self, company: &CompanyId) -> Result<u64, StoreError> {
        let row: Option<BookRow> = self
            .database
            .optional(FIND, args![company.as_str()])
            .await
            .map_err(|error| StoreError::sort("read the state of the address book", error))?;
        let records = row.filter(BookRow::is_there).map_or(0, |row| row.records);
        Ok(u64::try_from(records).unwrap_or(0))
    }

    /// Begins a fill, or returns the one that is under way.
    pub(crate) async fn begin_fill(
        &self,
        company: &CompanyId,
        request: &BeginFill,
        now: Timestamp,
    ) -> Result<Book, StoreError> {
        uncrossed(|| self.try_begin_fill(company, request, now))
            .await
            .map_err(|error| StoreError::sort("begin a fill of the address book", error))?;
        self.book(company).await
    }

    async fn try_begin_fill(
        &self,
        company: &CompanyId,
        request: &BeginFill,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let gate = Gate::open(&mut transaction, company).await?;
        let book = locked(&mut transaction, company).await?;
        let goes_on = book.as_ref().is_some_and(|book| book.began_at.is_some()) && !request.anew;
        if gate.is_closed() || goes_on {
            return Ok(());
        }
        // A time: larger than that of any fill before, also of a book that is gone.
        let generation = book.map_or(0, |book| book.generation + 1).max(micros(now));
        let columns = args![
            company.as_str(),
            generation,
            micros(now),
            request.instance.as_deref(),
        ];
        transaction.execute(BEGIN, columns).await?;
        transaction.commit().await
    }

    /// Writes records and takes others away, with how far the fill is that read them.
    pub(crate) async fn write_records(
        &self,
        company: &CompanyId,
        request: &WriteRecords,
        now: Timestamp,
    ) -> Result<WriteRecordsReceipt, StoreError> {
        uncrossed(|| self.try_write_records(company, request, now))
            .await
            .map_err(|error| StoreError::sort("write records", error))
    }

    async fn try_write_records(
        &self,
        company: &CompanyId,
        request: &WriteRecords,
        now: Timestamp,
    ) -> Result<WriteRecordsReceipt, sqlx::Error> {
        let keys = self.number_keys();
        let mut transaction = self.database.begin().await?;
        let gate = Gate::open(&mut transaction, company).await?;
        let book = locked(&mut transaction, company).await?;
        let takes = |book: &BookRow| match &request.fill {
            Some(step) => book.is_filled_by(step.generation),
            None => book.is_there(),
        };
        let Some(book) = book.filter(|book| takes(book) && !gate.is_closed()) else {
            return Ok(WriteRecordsReceipt::default());
        };
        let numbers = request.records.iter().flat_map(|record| &record.numbers);
        let numbers = numbers.map(E164::as_str);
        let erased = gate.erased(&mut transaction, &keys, numbers).await?;
        let accounts = request.accounts.iter().map(|account| {
            args![
                company.as_str(),
                account.record_id.as_str(),
                account.name.as_deref(),
                account.name.as_deref().map(folded),
                account.merged_into.as_deref(),
                book.generation,
            ]
        });
        let accounts = accounts.collect();
        transaction.execute_rows(&NAME_ACCOUNTS, accounts).await?;
        let ids = request.records.iter().map(|record| &record.record_id);
        let ids = ids.chain(&request.gone);
        let ids = ids.map(|id| args![company.as_str(), id.as_str()]).collect();
        let before: Vec<RecordRow> = transaction.all_rows(&RECORDS_OF, ids).await?;
        let before: HashMap<String, RecordRow> = before
            .into_iter()
            .map(|row| (row.record_id.clone(), row))
            .collect();
        let changes = changes(book.shelf(company), request, &before, &erased);
        let parts = request.fill.as_ref().map(|step| &step.parts);
        let parts = parts.filter(|parts| !parts.is_empty());
        // Serializing texts and numbers cannot fail.
        let parts = parts.and_then(|parts| serde_json::to_string(parts).ok());
        let receipt = changes.receipt;
        let step = Step {
            parts,
            confirmed_at: Some(now),
            counted_at: request.counted.then_some(now),
        };
        apply(&mut transaction, company, changes, step).await?;
        transaction.commit().await?;
        Ok(receipt)
    }

    /// Ends a fill, for about as long as `budget`: the records that it did not see go.
    pub(crate) async fn finish_fill(
        &self,
        company: &CompanyId,
        request: FinishFill,
        budget: Duration,
    ) -> Result<FinishReceipt, StoreError> {
        let began = Instant::now();
        let mut removed = 0;
        loop {
            let swept = uncrossed(|| self.sweep(company, request.generation)).await;
            let swept =
                swept.map_err(|error| StoreError::sort("end a fill of the address book", error))?;
            let done = swept.is_none();
            removed += swept.unwrap_or_default();
            if done || began.elapsed() >= budget {
                return Ok(FinishReceipt { done, removed });
            }
        }
    }

    /// Takes the unseen records of a piece away. Returns how many; `None` if the fill has ended.
    async fn sweep(
        &self,
        company: &CompanyId,
        generation: u64,
    ) -> Result<Option<u64>, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let book = locked(&mut transaction, company).await?;
        let Some(book) = book.filter(|book| book.is_filled_by(generation)) else {
            return Ok(None);
        };
        let after = book.swept.clone().unwrap_or_default();
        if after == LAST {
            transaction.execute(FILLED, args![company.as_str()]).await?;
            transaction.commit().await?;
            return Ok(None);
        }
        let end: Option<KeyRow> = transaction
            .optional(END, args![company.as_str(), after.as_str(), PIECE - 1])
            .await?;
        let end = end.map_or_else(|| LAST.to_owned(), |row| row.key);
        let piece = args![
            company.as_str(),
            after.as_str(),
            end.as_str(),
            book.generation
        ];
        let unseen: Vec<RecordRow> = transaction.all(UNSEEN, piece).await?;
        let changes = without(book.shelf(company), &unseen);
        let removed = u64::from(changes.receipt.removed);
        apply(&mut transaction, company, changes, Step::default()).await?;
        let swept = args![company.as_str(), end.as_str()];
        transaction.execute(SWEPT, swept).await?;
        transaction.commit().await?;
        if removed > 0 {
            self.has_deleted();
        }
        Ok(Some(removed))
    }

    /// Takes the address book away, for about as long as `budget`. Nobody is found in it any more
    /// from the first step on.
    pub(crate) async fn drop_book(
        &self,
        company: &str,
        budget: Duration,
    ) -> Result<DropReceipt, StoreError> {
        let began = Instant::now();
        let mut rows = 0;
        loop {
            let gone = uncrossed(|| self.try_drop_book(company)).await;
            let gone =
                gone.map_err(|error| StoreError::sort("take the address book away", error))?;
            let done = gone.is_none();
            rows += gone.unwrap_or_default();
            if done || began.elapsed() >= budget {
                return Ok(DropReceipt { done, rows });
            }
        }
    }

    async fn try_drop_book(&self, company: &str) -> Result<Option<u64>, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let Ok(company) = company.parse::<CompanyId>() else {
            return Ok(None);
        };
        let company = &company;
        let Some(book) = locked(&mut transaction, company).await? else {
            return Ok(None);
        };
        transaction.execute(GOES, args![company.as_str()]).await?;
        let some: Vec<RecordRow> = transaction.all(ANY, args![company.as_str(), PIECE]).await?;
        let is_empty = some.is_empty();
        if is_empty {
            transaction.execute(GONE, args![company.as_str()]).await?;
        } else {
            let changes = without(book.shelf(company), &some);
            apply(&mut transaction, company, changes, Step::default()).await?;
        }
        transaction.commit().await?;
        self.has_deleted();
        Ok((!is_empty).then_some(some.len() as u64))
    }

    /// Takes the address books away that no worker confirmed for longer than their companies keep
    /// things. Returns the number of records.
    pub(crate) async fn purge_book(&self, company: &str, before: i64) -> Result<u64, sqlx::Error> {
        let row: Option<BookRow> = self.database.optional(FIND, args![company]).await?;
        let is_old = |book: &BookRow| book.confirmed_at < before || !book.is_there();
        if !row.as_ref().is_some_and(is_old) {
            return Ok(0);
        }
        let mut rows = 0;
        while let Some(gone) = uncrossed(|| self.try_drop_book(company)).await? {
            rows += gone;
        }
        Ok(rows)
    }

    /// Takes a number out of the address book. Returns how many records held it.
    pub(crate) async fn erase_from_book(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<u64, sqlx::Error> {
        let mut held = 0;
        loop {
            let rows = uncrossed(|| self.try_erase_from_book(company, number)).await?;
            held += rows as u64;
            if rows < PIECE as usize {
                return Ok(held);
            }
        }
    }

    async fn try_erase_from_book(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<usize, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let Some(book) = locked(&mut transaction, company).await? else {
            return Ok(0);
        };
        let key = args![company.as_str(), number.as_str(), PIECE];
        let holders: Vec<RecordRow> = transaction.all(HOLDERS, key).await?;
        let rows = holders.len();
        let changes = without_number(book.shelf(company), number.as_str(), holders);
        apply(&mut transaction, company, changes, Step::default()).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// The records that hold one of the numbers.
    pub(crate) async fn holders(
        &self,
        company: &CompanyId,
        numbers: &[E164],
    ) -> Result<HoldersFound, StoreError> {
        let numbers = numbers.iter().map(E164::as_str);
        let keys = numbers.map(|number| args![company.as_str(), number]);
        let rows: Vec<RecordRow> = self
            .database
            .all_rows(&HOLDERS_OF, keys.collect())
            .await
            .map_err(|error| StoreError::sort("find the records of numbers", error))?;
        let more = rows.len() >= MOST_HOLDERS;
        let mut records = BTreeMap::new();
        for row in rows {
            if let Some(record) = row.into_record()? {
                records.insert(record.record_id.clone(), record);
            }
        }
        let records = records.into_values().collect();
        Ok(HoldersFound { records, more })
    }

    /// Who stands behind numbers without a contact, as far as the address book knows.
    pub(crate) async fn in_book(
        &self,
        company: &CompanyId,
        numbers: &[E164],
    ) -> Result<HashMap<E164, Contact>, StoreError> {
        let found = self.holders(company, numbers).await?;
        if found.records.is_empty() {
            return Ok(HashMap::new());
        }
        let book: Option<BookRow> = self
            .database
            .optional(FIND, args![company.as_str()])
            .await
            .map_err(|error| StoreError::sort("look a number up", error))?;
        let Some(book) = book.filter(BookRow::is_there) else {
            return Ok(HashMap::new());
        };
        let instance = book
            .instance
            .as_deref()
            .and_then(|url| Url::parse(url).ok());
        let confirmed_at = time(book.confirmed_at)?;
        Ok(contacts(
            numbers,
            found.records,
            instance.as_ref(),
            confirmed_at,
        ))
    }
}

/// Keeps other writers of the company's book away for the rest of the transaction, and reads its
/// state.
async fn locked(
    transaction: &mut Transaction,
    company: &CompanyId,
) -> Result<Option<BookRow>, sqlx::Error> {
    transaction.lock("book", [company.as_str()]).await?;
    transaction.optional(FIND, args![company.as_str()]).await
}

/// What a write says of the book itself; `None` leaves what is kept.
#[derive(Default)]
struct Step {
    parts: Option<String>,
    confirmed_at: Option<Timestamp>,
    counted_at: Option<Timestamp>,
}

/// Writes the rows that change, and counts them.
async fn apply(
    transaction: &mut Transaction,
    company: &CompanyId,
    changes: Changes,
    step: Step,
) -> Result<(), sqlx::Error> {
    for (statement, rows) in [
        (&PUT, changes.put),
        (&SEEN, changes.seen),
        (&REMOVE, changes.removed),
        (&DROP_NUMBERS, changes.dropped),
        (&ADD_NUMBERS, changes.added),
    ] {
        transaction.execute_rows(statement, rows).await?;
    }
    let step = args![
        company.as_str(),
        changes.records,
        changes.numbers,
        step.parts,
        step.confirmed_at.map(micros),
        step.counted_at.map(micros),
    ];
    transaction.execute(STEP, step).await.map(drop)
}

// === impl BookRow ===

impl BookRow {
    /// Whether the company has the book, and it is not being taken away.
    fn is_there(&self) -> bool {
        self.going == 0
    }

    fn is_filled_by(&self, generation: u64) -> bool {
        self.began_at.is_some() && i64::try_from(generation) == Ok(self.generation)
    }

    fn shelf<'a>(&self, company: &'a CompanyId) -> Shelf<'a> {
        Shelf {
            company,
            generation: self.generation,
            is_filling: self.began_at.is_some(),
        }
    }

    /// About how many bytes the book takes up.
    fn bytes(&self, sample: &SampleRow, company: &CompanyId) -> u64 {
        let [records, numbers, bytes, counted] =
            [self.records, self.numbers, sample.bytes, sample.counted]
                .map(|count| u64::try_from(count).unwrap_or(0));
        let key = company.as_str().len() as u64 + BYTES_OF_A_ROW;
        let texts = bytes * records / counted.max(1);
        texts + (2 * records + numbers) * key
    }

    fn into_book(self) -> Result<Book, StoreError> {
        let parts: Option<Vec<FillPart>> = self
            .parts
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|_| StoreError::Corrupt("the parts of a fill"))?;
        let parts = parts.unwrap_or_default();
        let filled = match self.began_at {
            None => parts.clone(),
            Some(_) => Vec::new(),
        };
        let fill = self.began_at.map(|began_at| {
            Ok::<_, StoreError>(Fill {
                began_at: time(began_at)?,
                parts,
                finishing: self.swept.is_some(),
            })
        });
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Book {
            generation: count(self.generation),
            fill: fill.transpose()?,
            filled_at: self.filled_at.map(time).transpose()?,
            filled,
            counted_at: self.counted_at.map(time).transpose()?,
            confirmed_at: Some(time(self.confirmed_at)?),
            records: count(self.records),
            numbers: count(self.numbers),
            bytes: 0,
            instance: self.instance,
            by_object: None,
        })
    }
}
