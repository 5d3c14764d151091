//! Shapes of the REST API: pages, sub-requests, versions.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::environment::ApiVersion;
use super::error::{Error, Phase};
use super::meaning::Meaning;

/// One page of a query's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub records: Vec<T>,
    /// Rows of all pages together.
    pub total_size: u64,
    /// Where the next page is, if there is one. Each page is one API call.
    pub next: Option<NextPage>,
}

/// Where the next page of a query is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextPage(pub(crate) String);

/// One request within a composite request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subrequest {
    pub(crate) reference_id: String,
    pub(crate) path: Path,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Query(String),
    Next(NextPage),
    Describe(String),
}

/// The answer to one request within a composite request.
#[derive(Clone, Debug, PartialEq)]
pub struct Subresponse {
    /// As the request named itself.
    pub reference_id: String,
    /// The HTTP status.
    pub status: u16,
    /// The body: a page, or an array of errors.
    pub body: Value,
}

/// An API version that an instance supports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// Such as "Winter '21".
    pub label: String,
    /// Such as 50.0.
    pub version: ApiVersion,
}

impl Subrequest {
    /// A query.
    pub fn query(reference_id: impl Into<String>, soql: &str) -> Subrequest {
        Subrequest {
            reference_id: reference_id.into(),
            path: Path::Query(soql.to_owned()),
        }
    }

    /// The next page of a query.
    pub fn query_next(reference_id: impl Into<String>, next: &NextPage) -> Subrequest {
        Subrequest {
            reference_id: reference_id.into(),
            path: Path::Next(next.clone()),
        }
    }

    /// The description of an object.
    pub fn describe(reference_id: impl Into<String>, sobject: &str) -> Subrequest {
        Subrequest {
            reference_id: reference_id.into(),
            path: Path::Describe(sobject.to_owned()),
        }
    }
}

impl Subresponse {
    /// The answer as a page of rows, or the error that it is.
    pub fn page<T: DeserializeOwned>(&self) -> Result<Page<T>, Error> {
        Err(Error::new(
            Meaning::UnexpectedAnswer,
            Phase::Request,
            "not there yet",
        ))
    }
}
