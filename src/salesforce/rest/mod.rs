//! The data types of the REST API: pages, sub-requests, versions. Optional parts may be missing,
//! and numbers may come as strings.

pub(crate) mod soql;
pub(crate) mod sosl;
pub(crate) mod usage;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::answers::error::{Error, Phase};
use super::answers::meaning::Meaning;
use super::answers::{Incoming, failure, rest_error, rest_errors, unexpected};
use super::credentials::environment::ApiVersion;
use super::text::Redactor;
use super::text::encode::{percent_encode, query_encode};

/// The maximum number of requests in one composite request (facts: Salesforce 2.7).
pub const MAX_SUBREQUESTS: usize = 25;
/// The maximum number of queries in one composite request (facts: Salesforce 2.7).
pub const MAX_SUBQUERIES: usize = 5;

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
    Search(String),
    Next(NextPage),
    Describe(String),
    Record {
        sobject: String,
        id: String,
        fields: String,
    },
    Composite,
}

/// The response to one request within a composite request.
#[derive(Clone, Debug, PartialEq)]
pub struct Subresponse {
    /// The ID that the request gave itself.
    pub reference_id: String,
    /// The HTTP status.
    pub status: u16,
    /// The body: a page, or an array of errors.
    pub body: Value,
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
    records: Vec<T>,
    #[serde(rename = "totalSize", default, deserialize_with = "number")]
    total_size: Option<u64>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(rename = "nextRecordsUrl", default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct RawComposite {
    #[serde(rename = "compositeResponse")]
    responses: Vec<RawSubresponse>,
}

#[derive(Deserialize)]
struct RawSubresponse {
    #[serde(default)]
    body: Value,
    #[serde(rename = "httpStatusCode", deserialize_with = "number")]
    status: Option<u64>,
    #[serde(rename = "referenceId")]
    reference_id: String,
}

/// Reads a number, or a number in quotes.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => number
            .as_u64()
            .map(Some)
            .ok_or_else(|| D::Error::custom("a count is not negative")),
        Value::String(text) => text.trim().parse().map(Some).map_err(D::Error::custom),
        _ => Err(D::Error::custom("a count is a number")),
    }
}

// === impl Path ===

impl Path {
    /// The path of the resource, from the root of the instance.
    pub(crate) fn path(&self, version: ApiVersion) -> String {
        match self {
            Self::Query(soql) => {
                format!("/services/data/v{version}/query?q={}", query_encode(soql))
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

    /// The JSON form in the body of a composite request.
    fn to_json(&self, version: ApiVersion) -> Value {
        serde_json::json!({
            "method": "GET",
            "url": self.path.path(version),
            "referenceId": self.reference_id,
        })
    }
}

/// The body of a composite request. A request that fails does not undo the others: all of them only
/// read.
pub(crate) fn composite_body(requests: &[Subrequest], version: ApiVersion) -> String {
    let requests: Vec<Value> = requests
        .iter()
        .map(|request| request.to_json(version))
        .collect();
    serde_json::json!({ "allOrNone": false, "compositeRequest": requests }).to_string()
}

// === impl Subresponse ===

impl Subresponse {
    /// The response as a page of rows, or as the error that it reports.
    pub fn page<T: DeserializeOwned>(&self) -> Result<Page<T>, Error> {
        self.success()?;
        serde_json::from_value::<RawPage<T>>(self.body.clone())
            .ok()
            .and_then(RawPage::page)
            .ok_or_else(|| self.odd())
    }

    /// The response as one record, or as the error that it reports.
    pub fn record<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.success()?;
        serde_json::from_value(self.body.clone()).map_err(|_| self.odd())
    }

    /// Like [`page`](Self::page), but does not copy the rows: for pages that may be large.
    pub fn into_page<T: DeserializeOwned>(mut self) -> Result<Page<T>, Error> {
        self.success()?;
        let body = self.body.take();
        serde_json::from_value::<RawPage<T>>(body)
            .ok()
            .and_then(RawPage::page)
            .ok_or_else(|| {
                let detail = "one part of a composite answer holds rows of another shape.";
                Error::new(Meaning::UnexpectedAnswer, Phase::Request, detail)
                    .with_status(self.status)
            })
    }

    /// Succeeds if the response is a success; otherwise returns the error that it reports.
    pub fn success(&self) -> Result<(), Error> {
        if (200..300).contains(&self.status) {
            return Ok(());
        }
        match rest_errors(&self.body).and_then(|errors| errors.into_iter().next()) {
            Some(error) => Err(rest_error(
                self.status,
                &error,
                Phase::Request,
                &Redactor::default(),
            )),
            None => Err(self.odd()),
        }
    }

    fn odd(&self) -> Error {
        let text = match &self.body {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let incoming = Incoming {
            status: self.status,
            headers: http::HeaderMap::new(),
            text,
        };
        unexpected(&incoming, Phase::Request, &Redactor::default())
    }
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
        let total_size = self.total_size.unwrap_or(self.records.len() as u64);
        Some(Page {
            records: self.records,
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
    serde_json::from_str::<RawPage<T>>(&incoming.text)
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
    #[serde(untagged)]
    enum Raw {
        Wrapped {
            #[serde(rename = "searchRecords")]
            records: Vec<Found>,
        },
        Bare(Vec<Found>),
    }
    let raw: Raw = serde_json::from_str(&incoming.text)
        .map_err(|_| failure(incoming, Phase::Request, redactor))?;
    let (Raw::Wrapped { records } | Raw::Bare(records)) = raw;
    let records = records.into_iter();
    Ok(records
        .map(|found| (found.attributes.object, found.id))
        .collect())
}

/// Reads a composite response; the results are in the order of the requests.
pub(crate) fn read_composite(
    incoming: &Incoming,
    requests: &[Subrequest],
    redactor: &Redactor,
) -> Result<Vec<Subresponse>, Error> {
    let mut answers = serde_json::from_str::<RawComposite>(&incoming.text)
        .map_err(|_| failure(incoming, Phase::Request, redactor))?
        .responses;
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
            let body = match status {
                200..300 => answer.body,
                _ => redacted(&answer.body, redactor),
            };
            Ok(Subresponse {
                reference_id: answer.reference_id,
                status,
                body,
            })
        })
        .collect()
}

/// The body of a failure, from which a message may quote.
fn redacted(body: &Value, redactor: &Redactor) -> Value {
    let text = redactor.scrub(&body.to_string());
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn incoming(text: impl ToString) -> Incoming {
        Incoming {
            status: 200,
            headers: http::HeaderMap::new(),
            text: text.to_string(),
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
