//! The data types of Bulk API 2.0 queries: jobs, their states, places in their results
//! (facts: Salesforce changes E).

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::json;
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::{Incoming, failure, job_failed};
use crate::salesforce::text::Redactor;

/// The rows of a page of results, if the caller wants no other number. Each page is an API call,
/// and has as many bytes as a body may have if each row has 1,600.
pub(crate) const ROWS_OF_A_PAGE: u32 = 20_000;
/// The most bytes of a page of results, packed and unpacked.
pub(crate) const MOST_OF_A_RESULT: usize = 32 << 20;
/// The most bytes of the description of a job.
pub(crate) const MOST_OF_A_JOB: usize = 64 << 10;
/// The longest locator, in bytes. Known ones have ten.
const MAX_LOCATOR: usize = 512;

/// The id of a query job: 15 or 18 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// A text that is not the id of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a bulk job has 15 or 18 letters and digits")]
pub struct InvalidJobId;

/// A query job, as it was when it was last asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryJob {
    /// Its id.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// The number of its records; `None` before it has ended, and where Salesforce does not say
    /// it.
    pub records: Option<u64>,
    error: Option<String>,
}

/// The state of a query job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits, or runs.
    Running,
    /// Its results can be read.
    Complete,
    /// Salesforce gave it up.
    Failed,
    /// Somebody aborted it.
    Aborted,
}

/// A place in the results of a job, behind which reading goes on: it can be kept beside the id of
/// the job, and outlives the process. The default is the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The page; `None` for the first.
    pub(crate) locator: Option<String>,
    /// The rows of all pages before it.
    pub(crate) before: u64,
    /// The rows of the page that were read already.
    pub(crate) within: u64,
}

/// What the headers of a page of results say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageHead {
    /// The rows of the page.
    pub(crate) rows: Option<u64>,
    pub(crate) next: Next,
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The page with this locator.
    Page(String),
    /// Nothing: it was the last.
    End,
    /// The headers do not say it.
    Unknown,
}

// === impl JobId ===

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match plain && matches!(text.len(), 15 | 18) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidJobId),
        }
    }
}

impl TryFrom<String> for JobId {
    type Error = InvalidJobId;

    fn try_from(text: String) -> Result<Self, InvalidJobId> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl QueryJob ===

impl QueryJob {
    /// A job that is complete, as a test makes it.
    #[cfg(test)]
    pub(crate) fn complete(id: JobId, records: Option<u64>) -> Self {
        Self {
            id,
            state: JobState::Complete,
            records,
            error: None,
        }
    }

    /// The error of a job that ended without results; `None` if it runs or is complete.
    pub(crate) fn failure(&self, redactor: &Redactor) -> Option<Error> {
        match self.state {
            JobState::Running | JobState::Complete => None,
            JobState::Aborted => Some(job_failed(Some("the job was aborted"), redactor)),
            JobState::Failed => Some(job_failed(self.error.as_deref(), redactor)),
        }
    }
}

// === impl Place ===

impl Place {
    /// The number of rows before it.
    pub fn rows(&self) -> u64 {
        self.before.saturating_add(self.within)
    }
}

// === impl PageHead ===

impl PageHead {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let plain = |text: &str| {
            text.len() <= MAX_LOCATOR && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        Self {
            rows: text("sforce-numberofrecords").and_then(|number| number.parse().ok()),
            next: match text("sforce-locator") {
                // The word stands on the last page.
                Some(word) if word.eq_ignore_ascii_case("null") => Next::End,
                Some(locator) if !locator.is_empty() && plain(locator) => {
                    Next::Page(locator.to_owned())
                }
                _ => Next::Unknown,
            },
        }
    }
}

/// The body that creates a job. The rest is as Salesforce has it: CSV, commas, line feeds.
pub(crate) fn create_body(soql: &str, deleted: bool) -> String {
    let operation = if deleted { "queryAll" } else { "query" };
    serde_json::json!({"operation": operation, "query": soql}).to_string()
}

/// The body that aborts a job.
pub(crate) const ABORT_BODY: &str = "{\"state\":\"Aborted\"}";

/// Reads the description of a job.
pub(crate) fn read_job(incoming: &Incoming, redactor: &Redactor) -> Result<QueryJob, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw {
        id: JobId,
        state: String,
        #[serde(default, deserialize_with = "json::count")]
        number_records_processed: Option<u64>,
        #[serde(default)]
        error_message: Option<String>,
    }
    let raw: Raw =
        json::read(&incoming.text).map_err(|_| failure(incoming, Phase::Request, redactor))?;
    let state = match raw.state.as_str() {
        "JobComplete" => JobState::Complete,
        "Failed" => JobState::Failed,
        "Aborted" => JobState::Aborted,
        // UploadComplete, InProgress, and what a later version brings.
        _ => JobState::Running,
    };
    Ok(QueryJob {
        id: raw.id,
        state,
        records: raw
            .number_records_processed
            .filter(|_| state == JobState::Complete),
        error: raw.error_message,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::salesforce::Meaning;

    fn job(body: &Value) -> Result<QueryJob, Error> {
        let incoming = Incoming {
            status: 200,
            headers: HeaderMap::new(),
            text: body.to_string(),
            flag: None,
            flow: None,
        };
        read_job(&incoming, &Redactor::default())
    }

    #[test]
    fn a_job_is_read_with_whatever_is_left_out() {
        let id = "7500000000000001AA";
        let running =
            job(&json!({"id": id, "state": "UploadComplete", "apiVersion": 50.0})).unwrap();
        assert_eq!((running.state, running.records), (JobState::Running, None));
        let ended = json!({"id": id, "state": "JobComplete", "numberRecordsProcessed": "12"});
        assert_eq!(job(&ended).unwrap().records, Some(12));
        for (body, words) in [
            (json!({"id": id, "state": "Failed"}), "does not say why"),
            (
                json!({"id": id, "state": "Failed", "errorMessage": "retried more than 15 times"}),
                "15 times",
            ),
            (json!({"id": id, "state": "Aborted"}), "was aborted"),
        ] {
            let error = job(&body).unwrap().failure(&Redactor::default()).unwrap();
            assert_eq!(error.meaning(), Meaning::BulkJobFailed);
            assert!(error.message().contains(words), "{error}");
        }
        for odd in [
            json!({"id": "../x", "state": "Failed"}),
            json!([]),
            json!({"state": "x"}),
        ] {
            assert_eq!(
                job(&odd).unwrap_err().meaning(),
                Meaning::UnexpectedAnswer,
                "{odd}"
            );
        }
    }

    #[test]
    fn the_last_page_says_null() {
        let head = |locator: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("sforce-numberofrecords", "7".parse().unwrap());
            if let Some(locator) = locator {
                headers.insert("sforce-locator", locator.parse().unwrap());
            }
            PageHead::read(&headers)
        };
        assert_eq!(head(Some("null")).next, Next::End);
        assert_eq!(head(Some("MTAwMDA")).next, Next::Page("MTAwMDA".to_owned()));
        assert_eq!(head(Some("10000")).next, Next::Page("10000".to_owned()));
        for odd in [None, Some(""), Some("a b")] {
            assert_eq!((head(odd).next, head(odd).rows), (Next::Unknown, Some(7)));
        }
    }
}
