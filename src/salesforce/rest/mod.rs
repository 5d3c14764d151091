//! The data types of the REST API: pages, sub-requests, versions. Optional parts may be missing,
//! and numbers may come as strings.

pub(crate) mod bulk;
pub(crate) mod csv;
pub(crate) mod soql;
pub(crate) mod sosl;
pub(crate) mod usage;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::bulk::JobId;
use super::answers::error::{Error, Phase};
use super::answers::meaning::Meaning;
use super::answers::{Incoming, failure, first_rest_error, rest_error, unexpected};
use super::credentials::environment::ApiVersion;
use super::text::Redactor;
use super::text::encode::{percent_encode, query_encode};
use crate::json;
use crate::json::Few;

/// The maximum number of requests in one composite request (facts: Salesforce 2.7).
pub const MAX_SUBREQUESTS: usize = 25;
/// The maximum number of queries in one composite request (facts: Salesforce 2.7).
pub const MAX_SUBQUERIES: usize = 5;
/// The maximum number of rows in a page, and of records that a search names (facts: Salesforce 2.5,
/// 2.6).
const MAX_ROWS: usize = 2_000;

/// The most bytes of a page: twice what 2,000 rows of a look-up have when all their fields are
/// long.
pub(crate) const MOST_OF_A_PAGE: usize = 4 << 20;
/// The most bytes of the answer to a composite request, unless the caller allows less: five pages
/// of 2,000 rows with 1,200 bytes each. A row of a look-up has 500 to 800.
pub(crate) const MOST_OF_A_COMPOSITE: usize = 12 << 20;
/// The most bytes of the answer to a search: 2,000 records with 500 bytes each. Each is an Id with
/// an address.
pub(crate) const MOST_OF_A_SEARCH: usize = 1 << 20;
/// The most bytes of the list of API versions. Each of them has a hundred, and there are three a
/// year.
pub(crate) const MOST_OF_THE_VERSIONS: usize = 128 << 10;
/// The most versions in that list.
const MAX_VERSIONS: usize = 1_000;

/// One page of a query's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub records: Vec<T>,
    /// The number of rows of all pages together.
    pub total_size: u64,
    /// The address of the next page, if there is one. Each page is one API call.
    pub next: Option<NextPage>,
}

/// The address of the next page of a query: a path of the same instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextPage(String);

/// One request within a composite request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subrequest {
    reference_id: String,
    path: Path,
}

/// A resource below `/services/data/vXX.X`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Query(String),
    QueryAll(String),
    Search(String),
    Next(NextPage),
    Describe(String),
    Record {
        sobject: String,
        id: String,
        fields: String,
    },
    Composite,
    Jobs,
    Job(JobId),
    Results {
        job: JobId,
        locator: Option<String>,
        most: u32,
    },
}

/// The response to one request within a composite request.
#[derive(Clone, Debug)]
pub struct Subresponse {
    /// The ID that the request gave itself.
    pub reference_id: String,
    /// The HTTP status.
    pub status: u16,
    /// The body of a success as JSON, which is read when its type is known.
    body: Result<Box<str>, Error>,
}

/// An API version that an instance supports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// The name of the release, such as "Winter '21".
    #[serde(default)]
    pub label: String,
    /// The version number, such as 50.0.
    pub version: ApiVersion,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct RawPage<T> {
    records: Few<T, MAX_ROWS>,
    #[serde(rename = "totalSize", default, deserialize_with = "json::count")]
    total_size: Option<u64>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(rename = "nextRecordsUrl", default, deserialize_with = "json::short")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct RawComposite {
    #[serde(rename = "compositeResponse")]
    responses: Few<RawSubresponse, MAX_SUBREQUESTS>,
}

#[derive(Deserialize)]
struct RawSubresponse {
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(rename = "httpStatusCode", deserialize_with = "json::count")]
    status: Option<u64>,
    #[serde(rename = "referenceId")]
    reference_id: String,
}

// === impl Path ===

impl Path {
    /// The path of the resource, from the root of the instance.
    pub(crate) fn path(&self, version: ApiVersion) -> String {
        match self {
            Self::Query(soql) => {
                format!("/services/data/v{version}/query?q={}", query_encode(soql))
            }
            Self::QueryAll(soql) => {
                format!(
                    "/services/data/v{version}/queryAll?q={}",
                    query_encode(soql)
                )
            }
            Self::Search(sosl) => {
                format!("/services/data/v{version}/search/?q={}", query_encode(sosl))
            }
            Self::Next(next) => next.0.clone(),
            Self::Describe(sobject) => {
                format!(
                    "/services/data/v{version}/sobjects/{}/describe",
                    percent_encode(sobject)
                )
            }
            Self::Record {
                sobject,
                id,
                fields,
            } => {
                let (sobject, id) = (percent_encode(sobject), percent_encode(id));
                let fields = query_encode(fields);
                format!("/services/data/v{version}/sobjects/{sobject}/{id}?fields={fields}")
            }
            Self::Composite => format!("/services/data/v{version}/composite"),
            Self::Jobs => format!("/services/data/v{version}/jobs/query"),
            Self::Job(id) => format!("/services/data/v{version}/jobs/query/{id}"),
            Self::Results { job, locator, most } => {
                let path = format!("/services/data/v{version}/jobs/query/{job}/results");
                match locator {
                    Some(at) => format!("{path}?maxRecords={most}&locator={}", percent_encode(at)),
                    None => format!("{path}?maxRecords={most}"),
                }
            }
        }
    }
}

// === impl NextPage ===

impl NextPage {
    /// Accepts a `nextRecordsUrl` only if it is a path of the same instance.
    fn from_answer(url: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~?=&%".contains(&byte);
        let path =
            url.starts_with("/services/data/") && url.bytes().all(plain) && !url.contains("..");
        path.then(|| Self(url.to_owned()))
    }
}

// === impl Subrequest ===

impl Subrequest {
    /// A request that runs a query.
    pub fn query(reference_id: impl Into<String>, soql: &str) -> Self {
        Self {
            reference_id: reference_id.into(),
            path: Path::Query(soql.to_owned()),
        }
    }

    /// A request that runs a query over deleted records, too (facts: Salesforce changes B1).
    pub fn query_all(reference_id: impl Into<String>, soql: &str) -> Self {
        Self {
            reference_id: reference_id.into(),
            path: Path::QueryAll(soql.to_owned()),
        }
    }

    /// A request for the next page of a query.
    pub fn query_next(reference_id: impl Into<String>, next: &NextPage) -> Self {
        Self {
            reference_id: reference_id.into(),
            path: Path::Next(next.clone()),
        }
    }

    /// A request for the description of an object.
    pub fn describe(reference_id: impl Into<String>, sobject: &str) -> Self {
        Self {
            reference_id: reference_id.into(),
            path: Path::Describe(sobject.to_owned()),
        }
    }

    /// A request for fields of one record. It does not count as a query.
    pub fn record(
        reference_id: impl Into<String>,
        sobject: &str,
        id: &str,
        fields: &[&str],
    ) -> Self {
        Self {
            reference_id: reference_id.into(),
            path: Path::Record {
                sobject: sobject.to_owned(),
                id: id.to_owned(),
                fields: fields.join(","),
            },
        }
    }

    /// The length of this request's URL in bytes.
    pub fn url_len(&self, version: ApiVersion) -> usize {
        self.path.path(version).len()
    }
}

/// The body of a composite request. A request that fails does not undo the others: all of them only
/// read.
pub(crate) fn composite_body(requests: &[Subrequest], version: ApiVersion) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        all_or_none: bool,
        composite_request: Vec<Part<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Part<'a> {
        method: &'static str,
        url: String,
        reference_id: &'a str,
    }
    let parts = requests.iter().map(|request| Part {
        method: "GET",
        url: request.path.path(version),
        reference_id: &request.reference_id,
    });
    let body = Body {
        all_or_none: false,
        composite_request: parts.collect(),
    };
    // Serializing a struct of strings cannot fail.
    serde_json::to_string(&body).unwrap_or_default()
}

// === impl Subresponse ===

impl Subresponse {
    /// Reads the body of a failure. That of a success is kept as it is.
    fn new(reference_id: String, status: u16, body: Box<RawValue>, redactor: &Redactor) -> Self {
        Self {
            reference_id,
            status,
            body: match status {
                200..300 => Ok(body.into()),
                _ => Err(failure_of_part(status, body.get(), redactor)),
            },
        }
    }

    /// The response as a page of rows, or as the error that it reports.
    pub fn page<T: DeserializeOwned>(&self) -> Result<Page<T>, Error> {
        let body = self.body.as_ref().map_err(Error::clone)?;
        let page = json::read::<RawPage<T>>(body).ok();
        page.and_then(RawPage::page).ok_or_else(|| {
            let detail = "one part of a composite answer holds rows of another shape.";
            Error::new(Meaning::UnexpectedAnswer, Phase::Request, detail).with_status(self.status)
        })
    }

    /// The response as one record, or as the error that it reports.
    pub fn record<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let body = self.body.as_ref().map_err(Error::clone)?;
        json::read::<T>(body).map_err(|_| {
            let detail = "one part of a composite answer is a record of another shape.";
            Error::new(Meaning::UnexpectedAnswer, Phase::Request, detail).with_status(self.status)
        })
    }

    /// Succeeds if the response is a success; otherwise returns the error that it reports.
    pub fn success(&self) -> Result<(), Error> {
        self.body.as_ref().map(|_| ()).map_err(Error::clone)
    }

    /// The size of the body that is kept, in bytes.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.len())
    }

    /// A response with this body, as a test makes it.
    #[cfg(test)]
    pub(crate) fn played(reference_id: &str, status: u16, body: &serde_json::Value) -> Self {
        let body = serde_json::value::to_raw_value(body).unwrap();
        Self::new(reference_id.to_owned(), status, body, &Redactor::default())
    }
}

/// The error that one part of a composite answer reports.
fn failure_of_part(status: u16, body: &str, redactor: &Redactor) -> Error {
    if let Some(error) = first_rest_error(body) {
        return rest_error(status, &error, Phase::Request, redactor);
    }
    let incoming = Incoming {
        status,
        headers: http::HeaderMap::new(),
        // The page of a proxy comes as a text.
        text: json::read(body).unwrap_or_else(|_| body.to_owned()),
        flag: None,
        flow: None,
    };
    unexpected(&incoming, Phase::Request, redactor)
}

// === Reading answers ===

impl<T> RawPage<T> {
    fn page(self) -> Option<Page<T>> {
        let next = match self.next {
            Some(url) if self.done != Some(true) => Some(NextPage::from_answer(&url)?),
            // Rows are missing, and nothing says where they are: not a whole answer.
            None if self.done == Some(false) => return None,
            _ => None,
        };
        let Few(records) = self.records;
        let total_size = self.total_size.unwrap_or(records.len() as u64);
        Some(Page {
            records,
            total_size,
            next,
        })
    }
}

/// Reads the response to a query.
pub(crate) fn read_page<T: DeserializeOwned>(
    incoming: &Incoming,
    redactor: &Redactor,
) -> Result<Page<T>, Error> {
    json::read::<RawPage<T>>(&incoming.text)
        .ok()
        .and_then(RawPage::page)
        .ok_or_else(|| failure(incoming, Phase::Request, redactor))
}

/// Reads the response to a search: object and Id of each record. Before version 37.0 the array
/// comes alone (facts: Salesforce 2.6).
pub(crate) fn read_search(
    incoming: &Incoming,
    redactor: &Redactor,
) -> Result<Vec<(String, String)>, Error> {
    #[derive(Deserialize)]
    struct Found {
        attributes: Attributes,
        #[serde(rename = "Id")]
        id: String,
    }
    #[derive(Deserialize)]
    struct Attributes {
        #[serde(rename = "type")]
        object: String,
    }
    #[derive(Deserialize)]
    struct Wrapped {
        #[serde(rename = "searchRecords")]
        records: Few<Found, MAX_ROWS>,
    }
    let read = match incoming.text.trim_start().starts_with('[') {
        true => json::read(&incoming.text),
        false => json::read(&incoming.text).map(|Wrapped { records }| records),
    };
    let Few(found) = read.map_err(|_| failure(incoming, Phase::Request, redactor))?;
    let records = found.into_iter();
    Ok(records
        .map(|found| (found.attributes.object, found.id))
        .collect())
}

/// Reads the list of API versions.
pub(crate) fn read_versions(
    incoming: &Incoming,
    redactor: &Redactor,
) -> Result<Vec<Version>, Error> {
    json::read::<Few<_, MAX_VERSIONS>>(&incoming.text)
        .map(|Few(versions)| versions)
        .map_err(|_| failure(incoming, Phase::Request, redactor))
}

/// Reads a composite response; the results are in the order of the requests.
pub(crate) fn read_composite(
    incoming: &Incoming,
    requests: &[Subrequest],
    redactor: &Redactor,
) -> Result<Vec<Subresponse>, Error> {
    let RawComposite {
        responses: Few(mut answers),
    } = json::read(&incoming.text).map_err(|_| failure(incoming, Phase::Request, redactor))?;
    requests
        .iter()
        .map(|request| {
            let place = answers
                .iter()
                .position(|answer| answer.reference_id == request.reference_id);
            let answer = place
                .map(|place| answers.swap_remove(place))
                .ok_or_else(|| {
                    let detail = "the composite answer lacks the answer to one of its requests.";
                    Error::new(Meaning::UnexpectedAnswer, Phase::Request, detail)
                })?;
            let status = answer
                .status
                .and_then(|status| u16::try_from(status).ok())
                .unwrap_or_default();
            let body = answer.body.unwrap_or_else(|| RawValue::NULL.to_owned());
            Ok(Subresponse::new(
                answer.reference_id,
                status,
                body,
                redactor,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn incoming(text: impl ToString) -> Incoming {
        Incoming {
            status: 200,
            headers: http::HeaderMap::new(),
            text: text.to_string(),
            flag: None,
            flow: None,
        }
    }

    #[test]
    fn pages_are_read_with_whatever_is_left_out() {
        let read = |body: Value| read_page::<Value>(&incoming(body), &Redactor::default());
        let page = read(
            json!({"totalSize": "3", "done": false, "nextRecordsUrl": "/services/data/v50.0/query/01g-2000", "records": [{}]}),
        );
        let page = page.unwrap();
        assert_eq!((page.total_size, page.records.len()), (3, 1));
        assert_eq!(
            page.next,
            Some(NextPage("/services/data/v50.0/query/01g-2000".to_owned()))
        );
        assert_eq!(read(json!({"records": [{}, {}]})).unwrap().total_size, 2);
        for odd in [
            json!({"totalSize": 1}),
            json!([]),
            json!({"records": [], "totalSize": -1}),
        ] {
            assert_eq!(
                read(odd.clone()).unwrap_err().meaning(),
                Meaning::UnexpectedAnswer,
                "{odd}"
            );
        }
    }

    #[test]
    fn a_next_page_cannot_lead_elsewhere() {
        for hostile in [
            "https://evil.example/",
            "//evil.example/x",
            "/services/data/../../x",
            "/services/data/ x",
            "@evil",
        ] {
            let body = json!({"done": false, "records": [], "nextRecordsUrl": hostile});
            assert!(
                read_page::<Value>(&incoming(body), &Redactor::default()).is_err(),
                "{hostile}"
            );
        }
    }

    #[test]
    fn composite_answers_come_in_the_order_of_the_requests() {
        let requests = [
            Subrequest::query("a", "SELECT Id FROM Contact"),
            Subrequest::query("b", "x"),
        ];
        let body = json!({"compositeResponse": [
            {"referenceId": "b", "httpStatusCode": "400", "httpHeaders": {}, "body": [{"errorCode": "INVALID_TYPE", "message": "sObject type 'x'"}]},
            {"referenceId": "a", "httpStatusCode": 200, "body": {"records": [], "totalSize": 0, "done": true}},
        ]});
        let answers = read_composite(&incoming(body), &requests, &Redactor::default()).unwrap();
        assert!(answers[0].page::<Value>().unwrap().records.is_empty());
        assert_eq!(
            answers[1].page::<Value>().unwrap_err().meaning(),
            Meaning::ObjectUnavailable
        );
        let missing = json!({"compositeResponse": []});
        assert!(read_composite(&incoming(missing), &requests, &Redactor::default()).is_err());
    }

    #[test]
    fn a_search_is_answered_with_or_without_a_wrapper() {
        let records = json!([{"attributes": {"type": "Contact", "url": "/x"}, "Id": "003A"}]);
        for body in [json!({"searchRecords": records.clone()}), records] {
            let found = read_search(&incoming(body), &Redactor::default()).unwrap();
            assert_eq!(found, [("Contact".to_owned(), "003A".to_owned())]);
        }
        assert!(read_search(&incoming(json!({})), &Redactor::default()).is_err());
    }

    #[test]
    fn a_plus_sign_survives_the_url() {
        let path = Path::Query("SELECT Id FROM Contact WHERE Phone = '+81'".to_owned())
            .path(ApiVersion::DEFAULT);
        assert!(path.ends_with("%3D+'%2B81'"), "{path}");
    }
}
