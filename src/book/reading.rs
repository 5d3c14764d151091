//! Reads the records of one kind, in portions.

use std::collections::{HashSet, VecDeque};

use serde::de::DeserializeOwned;

use crate::resolve::{
    FlatRow, MAX_ROWS_PER_PAGE, Object, Record, ResolveError, Resolver, Row, Shape,
};
use crate::salesforce::{
    Connection, Error, JobId, JobRows, JobState, Meaning, Page, Patience, Phase, Place, QueryJob,
};

/// How far a part of a fill is: the records of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The kind.
    pub object: Object,
    /// Where reading goes on.
    pub at: At,
    /// Rows without a number that may be kept.
    pub skipped: u64,
    /// How many rows there are, where that is known.
    pub of: Option<u64>,
    /// Whether all were read.
    pub done: bool,
}

/// A place in the records of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Before the first, and nobody knows yet how they are read.
    Beginning,
    /// In the result of a bulk query.
    Job {
        /// The job.
        id: JobId,
        /// The place in its result.
        place: Place,
    },
    /// Behind a record, page by page.
    Page {
        /// The Id of the record; empty before the first.
        after: String,
        /// The rows that were read.
        rows: u64,
    },
}

/// Records that were read.
#[derive(Debug, Default)]
pub struct Portion {
    /// Those with a number, at most as many as were asked for, each once.
    pub records: Vec<Record>,
    /// The rows of others.
    pub skipped: u64,
    /// These rows: records whose phone fields hold no number that may be kept.
    pub without: Vec<Record>,
    /// Whether there are no more.
    pub is_last: bool,
}

/// The records of a kind, while they are read.
pub struct Reading {
    object: Object,
    source: Source,
}

enum Source {
    Job {
        job: QueryJob,
        rows: Box<JobRows<FlatRow>>,
    },
    Pages {
        after: String,
        rows: u64,
        ready: VecDeque<Row>,
        is_last: bool,
    },
}

// === impl Part ===

impl Part {
    /// A part that has not begun, with so many records. Of none nothing is to be read.
    pub fn new(object: Object, of: Option<u64>) -> Self {
        Self {
            object,
            at: At::Beginning,
            skipped: 0,
            of,
            done: of == Some(0),
        }
    }

    /// The rows that were read.
    pub fn rows(&self) -> u64 {
        match &self.at {
            At::Beginning => 0,
            At::Job { place, .. } => place.rows(),
            At::Page { rows, .. } => *rows,
        }
    }

    /// Whether a place in it is known.
    pub fn is_begun(&self) -> bool {
        self.at != At::Beginning
    }

    /// Begins it anew, page by page or in a way that is to be found.
    pub fn begin_anew(&mut self, by_pages: bool) {
        let (after, rows) = (String::new(), 0);
        self.at = match by_pages {
            true => At::Page { after, rows },
            false => At::Beginning,
        };
        (self.skipped, self.done) = (0, false);
    }
}

// === impl Reading ===

impl Reading {
    /// Makes the job that reads all records of a kind: one call. `None` if the user does not see
    /// the object.
    pub async fn make_job(
        resolver: &mut Resolver,
        object: Object,
    ) -> Result<Option<QueryJob>, ResolveError> {
        loop {
            if !resolver.searched_objects().any(|seen| seen == object) {
                return Ok(None);
            }
            resolver.may_ask()?;
            let soql = resolver.shape().soql_all(object, None);
            let made = resolver.connection().create_query_job(soql.as_str(), false);
            let error = match made.await {
                Ok(job) => return Ok(Some(job)),
                Err(error) => error,
            };
            let query = |shape: &Shape| shape.soql_all(object, None);
            if !resolver.leave_out(object, &error, &soql, query) {
                return Err(error.into());
            }
        }
    }

    /// Waits for a job, and reads its result from a place. `None` while the job runs on.
    pub async fn of_job(
        resolver: &Resolver,
        object: Object,
        id: &JobId,
        place: &Place,
        patience: Patience,
    ) -> Result<Option<Self>, ResolveError> {
        resolver.may_ask()?;
        let connection: &Connection = resolver.connection();
        let job = connection.wait_for_query_job(id, patience).await?;
        if job.state != JobState::Complete {
            return Ok(None);
        }
        let rows = Box::new(connection.query_job_rows(&job, place.clone()));
        let source = Source::Job { job, rows };
        Ok(Some(Self { object, source }))
    }

    /// Reads page by page behind a record.
    pub fn of_pages(object: Object, after: &str, rows: u64) -> Self {
        let source = Source::Pages {
            after: after.to_owned(),
            rows,
            ready: VecDeque::new(),
            is_last: false,
        };
        Self { object, source }
    }

    /// Where to go on behind the last portion.
    pub fn at(&self) -> At {
        match &self.source {
            Source::Job { job, rows } => At::Job {
                id: job.id.clone(),
                place: rows.place().clone(),
            },
            Source::Pages { after, rows, .. } => At::Page {
                after: after.clone(),
                rows: *rows,
            },
        }
    }

    /// How many rows there are, where Salesforce told with the job.
    pub fn of(&self) -> Option<u64> {
        match &self.source {
            Source::Job { job, .. } => job.records,
            Source::Pages { .. } => None,
        }
    }

    /// The next records, of at most so many rows. Only a portion that is the last says that there
    /// are no others.
    pub async fn next(
        &mut self,
        resolver: &mut Resolver,
        most: usize,
    ) -> Result<Portion, ResolveError> {
        let mut portion = Portion::default();
        let (mut rows, mut with_phone) = (0, 0);
        let object = self.object;
        let mut ids = HashSet::new();
        while rows < most {
            let Some(row) = self.row(resolver).await? else {
                portion.is_last = true;
                break;
            };
            rows += 1;
            with_phone += usize::from(row.has_phone());
            let Some(record) = row.into_record(object, resolver.home()) else {
                return Err(unexpected("a row came without its Id.").into());
            };
            if record.numbers.is_empty() {
                portion.skipped += 1;
                portion.without.push(record);
            } else if ids.insert(record.id.clone()) {
                portion.records.push(record);
            }
        }
        // All of them were asked for by it.
        if rows > 0 && with_phone == 0 {
            return Err(
                unexpected("rows came without the phone fields that were asked for.").into(),
            );
        }
        Ok(portion)
    }

    async fn row(&mut self, resolver: &mut Resolver) -> Result<Option<Row>, ResolveError> {
        let object = self.object;
        match &mut self.source {
            Source::Job { rows, .. } => Ok(rows.next().await?.map(Row::from)),
            Source::Pages {
                after,
                rows,
                ready,
                is_last,
            } => {
                if ready.is_empty() && !*is_last {
                    let page: Page<Row> = page(resolver, object, after).await?;
                    let came = page.records.len();
                    if page.next.is_none() && (came as u64) < page.total_size {
                        return Err(unexpected("fewer rows came than were counted.").into());
                    }
                    *is_last = page.next.is_none() && came < MAX_ROWS_PER_PAGE;
                    *ready = page.records.into();
                }
                let Some(row) = ready.pop_front() else {
                    return Ok(None);
                };
                match row.id() {
                    Some(id) if id != after => id.clone_into(after),
                    _ => return Err(unexpected("a row came without its Id, or twice.").into()),
                }
                *rows += 1;
                Ok(Some(row))
            }
        }
    }

    /// Deletes the job whose result was read: one call. What is left behind, Salesforce forgets
    /// after a week.
    pub async fn end(self, resolver: &Resolver) -> Result<(), Error> {
        match self.source {
            Source::Job { job, .. } => resolver.connection().end_query_job(&job).await,
            Source::Pages { .. } => Ok(()),
        }
    }
}

async fn page<T: DeserializeOwned>(
    resolver: &mut Resolver,
    object: Object,
    after: &str,
) -> Result<Page<T>, ResolveError> {
    loop {
        if !resolver.searched_objects().any(|seen| seen == object) {
            return Ok(Page {
                records: Vec::new(),
                total_size: 0,
                next: None,
            });
        }
        resolver.may_ask()?;
        let soql = resolver.shape().soql_all(object, Some(after));
        let error = match resolver.connection().query(soql.as_str()).await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        let query = |shape: &Shape| shape.soql_all(object, Some(after));
        if !resolver.leave_out(object, &error, &soql, query) {
            return Err(error.into());
        }
    }
}

fn unexpected(detail: &'static str) -> Error {
    Error::new(Meaning::UnexpectedAnswer, Phase::Request, detail)
}
