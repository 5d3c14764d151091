//! Bulk API 2.0 queries: a job is made, waited for, and its rows are read page by page, each handed
//! on while it arrives (facts: Salesforce changes E). Every request is an API call.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::Method;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::debug;

use super::{Connection, resource};
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::{Meaning, Retry};
use crate::salesforce::answers::{Flow, Incoming, about_a_job};
use crate::salesforce::credentials::environment::ApiVersion;
use crate::salesforce::rest::Path;
use crate::salesforce::rest::bulk::{
    ABORT_BODY, JobId, JobState, MOST_OF_A_JOB, MOST_OF_A_RESULT, Next, PageHead, Place, QueryJob,
    ROWS_OF_A_PAGE, create_body, read_job,
};
use crate::salesforce::rest::csv::{CsvError, CsvRows};
use crate::salesforce::transport::{Outgoing, Wanted, millis};

const JSON: &str = "application/json; charset=UTF-8";

/// How many questions for a job in a row may fail in passing.
const MOST_FAILED_POLLS: u32 = 5;

/// How much of a page is made to rows at a time, in bytes. A row may have two bytes, and takes
/// hundreds when it is read.
const PIECE: usize = 4 << 10;

/// How a job is waited for. Each question for its state is an API call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The pause after the first question; each pause is half as long again as the one before.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How long to wait in all.
    pub in_all: Duration,
}

/// The rows of a job. What was read stays right when an error follows: [`place`](Self::place) says
/// where to go on.
pub struct JobRows<T> {
    connection: Connection,
    job: QueryJob,
    rows_of_a_page: u32,
    /// Behind the last row that was handed on.
    place: Place,
    page: Option<OpenPage>,
    ready: VecDeque<T>,
    /// How often in a row a page broke off.
    failed: u32,
    is_done: bool,
}

/// A page that is arriving.
struct OpenPage {
    body: Flow,
    /// What has arrived and is not read yet.
    left: Bytes,
    csv: CsvRows,
    head: PageHead,
    /// The rows at its beginning that were handed on before.
    skip: u64,
}

// === impl Patience ===

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(2),
            longest: Duration::from_secs(30),
            in_all: Duration::from_secs(30 * 60),
        }
    }
}

impl Connection {
    /// Makes a query job: one API call. With `deleted`, deleted records are among its rows. A lost
    /// answer is asked for again: a second job reads the same, and Salesforce forgets the first.
    pub async fn create_query_job(&self, soql: &str, deleted: bool) -> Result<QueryJob, Error> {
        let version = self.api_version();
        if version < ApiVersion::WITH_BULK_QUERIES {
            let detail = format!("API version {version} has none; 47.0 brought them.");
            return Err(Error::new(Meaning::BulkUnavailable, Phase::Request, detail));
        }
        let body = Bytes::from(create_body(soql, deleted));
        let incoming = self.ask(Method::POST, &Path::Jobs, Some(body)).await?;
        read_job(&incoming, &self.shared.redactor)
    }

    /// Asks for the state of a job: one API call. A job that is gone is CursorExpired: what it read
    /// is read anew.
    pub async fn query_job(&self, id: &JobId) -> Result<QueryJob, Error> {
        let asked = self.ask(Method::GET, &Path::Job(id.clone()), None).await;
        read_job(&asked.map_err(about_a_job)?, &self.shared.redactor)
    }

    /// Waits until a job is complete. A job that runs on when the patience or the calls of the
    /// connection are used up is returned as it is; one that ended without results is an error.
    pub async fn wait_for_query_job(
        &self,
        id: &JobId,
        patience: Patience,
    ) -> Result<QueryJob, Error> {
        let began = Instant::now();
        let (mut pause, mut failed) = (patience.first, 0);
        loop {
            let asked = self.query_job(id).await;
            match &asked {
                Ok(job) => {
                    if let Some(failure) = job.failure(&self.shared.redactor) {
                        return Err(failure);
                    }
                    if job.state == JobState::Complete {
                        return asked;
                    }
                    failed = 0;
                }
                Err(error) => {
                    failed += 1;
                    let passes =
                        error.retry() == Retry::Later && error.meaning() != Meaning::CursorExpired;
                    if !passes || failed > MOST_FAILED_POLLS {
                        return asked;
                    }
                }
            }
            if began.elapsed() + pause > patience.in_all || !self.may_repeat() {
                return asked;
            }
            // Many that wait do not ask at once.
            tokio::time::sleep(pause.mul_f64(0.75 + rand::random::<f64>() / 4.0)).await;
            pause = pause.mul_f64(1.5).min(patience.longest);
        }
    }

    /// The rows of a complete job behind a place. Nothing is sent before the first row is asked
    /// for.
    pub fn query_job_rows<T: DeserializeOwned>(&self, job: &QueryJob, from: Place) -> JobRows<T> {
        JobRows {
            connection: self.clone(),
            rows_of_a_page: ROWS_OF_A_PAGE,
            // There is nothing to read.
            is_done: job.records == Some(0),
            job: job.clone(),
            place: from,
            page: None,
            ready: VecDeque::new(),
            failed: 0,
        }
    }

    /// Ends a job and deletes its results: one API call, or two if it may still run. A job that is
    /// gone is no error.
    pub async fn end_query_job(&self, job: &QueryJob) -> Result<(), Error> {
        let path = Path::Job(job.id.clone());
        if job.state == JobState::Running {
            let body = Some(Bytes::from_static(ABORT_BODY.as_bytes()));
            // It may have ended by now, which the deletion shows.
            match self
                .ask(Method::PATCH, &path, body)
                .await
                .map_err(about_a_job)
            {
                Err(error) if error.meaning() == Meaning::CursorExpired => return Ok(()),
                Ok(_) | Err(_) => {}
            }
        }
        match self
            .ask(Method::DELETE, &path, None)
            .await
            .map_err(about_a_job)
        {
            Err(error) if error.meaning() != Meaning::CursorExpired => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &Path,
        body: Option<Bytes>,
    ) -> Result<Incoming, Error> {
        let path = path.path(self.api_version());
        let make = |session: &super::Session| {
            let url = resource(session, &path)?;
            Ok(Outgoing {
                method: method.clone(),
                body: body.clone().map(|body| (JSON, body)),
                ..Outgoing::get(url, Wanted::Text(MOST_OF_A_JOB))
            })
        };
        let (incoming, session) = self.call(&make).await?;
        session.prove();
        Ok(incoming)
    }
}

// === impl JobRows ===

impl<T: DeserializeOwned> JobRows<T> {
    /// Sets the rows of a page: fewer make a page smaller, and cost more API calls.
    #[must_use]
    pub fn rows_of_a_page(self, rows: u32) -> Self {
        Self {
            rows_of_a_page: rows.max(1),
            ..self
        }
    }

    /// Where to go on behind the last row that was returned.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The next row; `None` after the last, which is only said when Salesforce's counts agree. A
    /// page that breaks off is asked for again from the row that is missing.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                self.place.within += 1;
                return Ok(Some(row));
            }
            if self.is_done {
                return Ok(None);
            }
            if self.page.is_none() {
                self.page = Some(self.open().await?);
            }
            if let Err(error) = self.advance().await {
                self.page = None;
                self.ready.clear();
                self.pause_after(error).await?;
            }
        }
    }

    /// Reads on in the page.
    async fn advance(&mut self) -> Result<(), Error> {
        let Some(page) = &mut self.page else {
            return Ok(());
        };
        if page.left.is_empty() {
            match page.body.next().await.transpose()? {
                Some(piece) => page.left = piece,
                None => return self.turn(),
            }
        }
        let piece = page.left.split_to(page.left.len().min(PIECE));
        page.csv.read(&piece, &mut self.ready).map_err(unreadable)?;
        let known = usize::try_from(page.skip).unwrap_or(usize::MAX);
        let known = known.min(self.ready.len());
        self.ready.drain(..known);
        page.skip -= known as u64;
        Ok(())
    }

    /// Exclusive, so that a run can move between threads: a page that arrives cannot be shared.
    async fn open(&mut self) -> Result<OpenPage, Error> {
        let path = Path::Results {
            job: self.job.id.clone(),
            locator: self.place.locator.clone(),
            most: self.rows_of_a_page,
        };
        let wanted = Wanted::Flow(MOST_OF_A_RESULT);
        let incoming = self
            .connection
            .get(&path, wanted)
            .await
            .map_err(about_a_job)?;
        let kind = incoming.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.to_ascii_lowercase();
        if kind.contains("html") || kind.contains("json") || kind.contains("xml") {
            let detail = "the results of a bulk query came as something else than CSV.";
            let error = Error::new(Meaning::UnexpectedAnswer, Phase::Request, detail);
            return Err(error.with_status(incoming.status));
        }
        Ok(OpenPage {
            head: PageHead::read(&incoming.headers),
            body: incoming
                .flow
                .unwrap_or_else(|| futures::stream::empty().boxed()),
            left: Bytes::new(),
            csv: CsvRows::default(),
            skip: self.place.within,
        })
    }

    /// Ends a page that has arrived, and goes to the next.
    fn turn(&mut self) -> Result<(), Error> {
        let Some(page) = self.page.take() else {
            return Ok(());
        };
        let rows = page.csv.finish().map_err(unreadable)?;
        if page.skip > 0 || page.head.rows.is_some_and(|expected| expected != rows) {
            let expected = page.head.rows.unwrap_or(self.place.within);
            return Err(short(format!("a page of {expected} rows brought {rows}.")));
        }
        let all = self.place.before.saturating_add(rows);
        let total = self.job.records;
        if total.is_some_and(|total| all > total) {
            return Err(short(format!(
                "{all} rows came of {}.",
                total.unwrap_or_default()
            )));
        }
        match page.head.next {
            Next::Page(locator) => {
                if rows == 0 || self.place.locator.as_ref() == Some(&locator) {
                    return Err(short("a page leads nowhere.".to_owned()));
                }
                self.place = Place {
                    locator: Some(locator),
                    before: all,
                    within: 0,
                };
                self.failed = 0;
            }
            Next::End | Next::Unknown if total.is_some_and(|total| all < total) => {
                return Err(short(format!(
                    "{all} rows came of {}.",
                    total.unwrap_or_default()
                )));
            }
            Next::Unknown if total.is_none() => {
                return Err(short(
                    "nothing says whether a page was the last.".to_owned(),
                ));
            }
            Next::End | Next::Unknown => self.is_done = true,
        }
        Ok(())
    }

    async fn pause_after(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        let retry = self.connection.retry;
        let pause = retry.pause(&error, self.failed, rand::random());
        let Some(pause) = pause.filter(|_| self.connection.may_repeat()) else {
            return Err(error);
        };
        debug!(
            why = error.meaning().code(),
            rows = self.place.rows(),
            wait_ms = millis(pause),
            "a page of results broke off and is asked for again"
        );
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The error for results that are not what Salesforce counted. No part is taken for the whole.
fn short(detail: String) -> Error {
    Error::new(Meaning::BulkJobFailed, Phase::Request, detail)
}

fn unreadable(error: CsvError) -> Error {
    let meaning = match error {
        CsvError::BrokenOff => Meaning::BulkJobFailed,
        _ => Meaning::UnexpectedAnswer,
    };
    let detail = format!("the results of a bulk query cannot be read: {error}.");
    Error::new(meaning, Phase::Request, detail)
}
