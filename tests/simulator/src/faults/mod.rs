//! Deliberate faults: which requests they affect, how often, and how.

mod errors;

pub(crate) use errors::salesforce_error;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Selects the requests that a fault affects. An absent field matches every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Matcher {
    /// HTTP method: `GET`, `POST`, ...
    pub method: Option<String>,
    /// Path, in which `*` matches any text: `/services/data/*/query*`.
    pub path: Option<String>,
    /// Name of the org.
    pub org: Option<String>,
    /// User name: of the session, or from the body of a log-in request.
    pub user: Option<String>,
}

/// The effect of a fault on a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Effect {
    /// Answers with this status and body.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body.
        #[serde(default)]
        body: String,
        /// Content type of the body.
        #[serde(default = "html")]
        content_type: String,
    },
    /// A Salesforce error with this code, in the format of the endpoint that was called.
    Error(String),
    /// An HTML page, as proxies, captive portals and the Edge send it.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// An answer without a body.
    Empty {
        /// The HTTP status.
        status: u16,
    },
    /// JSON with an unexpected structure.
    Json {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: Json,
    },
    /// Status 200 with bytes that are no JSON, no XML and no UTF-8.
    Garbage,
    /// The headers of the real answer and half of its body; then the client connection is cut.
    Truncated,
    /// The client connection is reset before an answer.
    Reset,
    /// The real answer is delayed.
    Delay {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// The real answer is sent in small pieces.
    Drip {
        /// Bytes in each piece.
        bytes: usize,
        /// Milliseconds between two pieces.
        every_ms: u64,
    },
    /// Status 200 with a small body that unpacks to this many megabytes.
    GzipBomb {
        /// Megabytes after unpacking.
        megabytes: usize,
    },
    /// An answer of this size that is made while it is sent, as a server makes it that means to
    /// use up its client's memory.
    Flood {
        /// What it consists of.
        of: Flood,
        /// Megabytes of the body, unpacked.
        megabytes: usize,
        /// The HTTP status.
        #[serde(default = "ok")]
        status: u16,
        /// Whether it is packed with gzip, to about a thousandth.
        #[serde(default)]
        gzip: bool,
    },
    /// The real results of a bulk query without so many of the last rows of the page; its headers
    /// are those of the whole page.
    FewerRows {
        /// The rows that are missing.
        rows: usize,
    },
    /// The real answer without this header.
    MissingHeader(String),
    /// A redirect to this address.
    Redirect(String),
    /// The real answer to a composite request, in which one part failed.
    Part {
        /// Position of the part, beginning with 0.
        at: usize,
        /// The part's own HTTP status.
        status: u16,
        /// The part's body.
        body: Json,
    },
}

/// What the body of a flood consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Flood {
    /// A JSON array of empty objects.
    Objects,
    /// JSON arrays, each in the one before.
    Depth,
    /// A JSON object with many fields, each an empty object.
    Fields,
    /// A page of empty records; in a composite request, the page of its first part.
    Records,
    /// Pages of 2,000 records with an Id, and as many kilobytes of other fields as the size needs.
    /// The first part of a composite request brings half of it, the others share the rest.
    Rows,
    /// An XML document of empty elements.
    Elements,
    /// One XML element with many attributes.
    Attributes,
    /// Blanks.
    Blanks,
    /// Bytes that are no UTF-8.
    Bytes,
}

fn ok() -> u16 {
    200
}

fn html() -> String {
    "text/html;charset=UTF-8".to_owned()
}

/// A fault. It applies until it is used up, expires or is removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Selects the requests.
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// The effect on the selected requests.
    pub effect: Effect,
    /// Number of matching requests that pass before the fault applies.
    #[serde(default)]
    pub skip: u64,
    /// Number of requests that the fault affects; `None` means no limit.
    #[serde(default)]
    pub times: Option<u64>,
    /// How long the fault applies after it was set, by the simulator's clock.
    #[serde(default, rename = "for")]
    pub lasting: Option<SignedDuration>,
    /// Whether the simulator carries out the request before it loses the answer.
    #[serde(default)]
    pub after: bool,

    #[serde(skip)]
    until: Option<Timestamp>,
}

impl Fault {
    /// A fault that applies to every request, without an end.
    pub fn new(effect: Effect) -> Self {
        Self {
            matcher: Matcher::default(),
            effect,
            skip: 0,
            times: None,
            lasting: None,
            after: false,
            until: None,
        }
    }

    /// A fault that answers with this status and no body.
    pub fn status(status: u16) -> Self {
        Self::new(Effect::Empty { status })
    }

    /// A fault that answers with the Salesforce error of this code.
    pub fn error(code: &str) -> Self {
        Self::new(Effect::Error(code.to_owned()))
    }

    /// A fault that answers with an HTML page and this status.
    pub fn html(status: u16) -> Self {
        Self::new(Effect::Html { status })
    }

    /// A fault that resets the client connection.
    pub fn reset() -> Self {
        Self::new(Effect::Reset)
    }

    /// A fault that delays answers by this many milliseconds.
    pub fn delay(ms: u64) -> Self {
        Self::new(Effect::Delay { ms })
    }

    /// A fault that fails one part of a composite answer with this code; the others are real.
    pub fn part(at: usize, status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!([{"errorCode": code, "message": message}]);
        Self::new(Effect::Part { at, status, body }).on_path("*/composite")
    }

    /// A fault that answers with a body of this many megabytes.
    pub fn flood(of: Flood, megabytes: usize) -> Self {
        Self::new(Effect::Flood {
            of,
            megabytes,
            status: 200,
            gzip: false,
        })
    }

    /// Limits the fault to requests with this method.
    pub fn on_method(mut self, method: &str) -> Self {
        self.matcher.method = Some(method.to_owned());
        self
    }

    /// Limits the fault to these paths; `*` matches any text.
    pub fn on_path(mut self, pattern: &str) -> Self {
        self.matcher.path = Some(pattern.to_owned());
        self
    }

    /// Limits the fault to requests of this org.
    pub fn on_org(mut self, name: &str) -> Self {
        self.matcher.org = Some(name.to_owned());
        self
    }

    /// Limits the fault to requests of this user.
    pub fn on_user(mut self, username: &str) -> Self {
        self.matcher.user = Some(username.to_owned());
        self
    }

    /// Applies the fault to this number of requests.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Applies the fault once.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Lets this number of matching requests pass first.
    pub fn after_passing(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Applies the fault for this duration, by the simulator's clock.
    pub fn lasting(mut self, duration: SignedDuration) -> Self {
        self.lasting = Some(duration);
        self
    }

    /// Carries out the request, then loses the answer.
    pub fn after_the_deed(mut self) -> Self {
        self.after = true;
        self
    }
}

/// The properties of a request that faults match against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) org: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

impl Matcher {
    fn fits(&self, request: &Traits<'_>) -> bool {
        let method = self
            .method
            .as_ref()
            .is_none_or(|method| method.eq_ignore_ascii_case(request.method));
        let path = self
            .path
            .as_ref()
            .is_none_or(|pattern| glob(pattern, request.path));
        let org = self
            .org
            .as_deref()
            .is_none_or(|org| request.org == Some(org));
        let user = self.user.as_deref().is_none_or(|user| match request.user {
            Some(known) => known.eq_ignore_ascii_case(user),
            None => contains(request.body, user),
        });
        method && path && org && user
    }
}

fn contains(body: &[u8], user: &str) -> bool {
    let body = String::from_utf8_lossy(body);
    let encoded: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
    !user.is_empty() && (body.contains(user) || body.contains(&encoded))
}

/// Whether the text matches a pattern in which `*` matches any text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// The faults that are set at the moment.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault; its duration starts now.
    pub(crate) fn add(&mut self, mut fault: Fault, now: Timestamp) {
        fault.until = fault
            .lasting
            .and_then(|lasting| now.checked_add(lasting).ok());
        self.0.push(fault);
    }

    /// Removes all faults.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The faults that are not used up.
    pub(crate) fn all(&self) -> &[Fault] {
        &self.0
    }

    /// Returns the first fault that applies to this request, and counts the use.
    pub(crate) fn strike(&mut self, request: &Traits<'_>, now: Timestamp) -> Option<Fault> {
        self.0
            .retain(|fault| fault.until.is_none_or(|until| now < until));
        let mut struck = None;
        for fault in self
            .0
            .iter_mut()
            .filter(|fault| fault.matcher.fits(request))
        {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times = times.saturating_sub(1);
            }
            struck = Some(fault.clone());
            break;
        }
        self.0.retain(|fault| fault.times != Some(0));
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Traits<'_> {
        Traits {
            method: "GET",
            path,
            org: Some("Acme"),
            user: None,
            body: b"username=a%40b",
        }
    }

    #[test]
    fn patterns() {
        assert!(
            glob("/a/*/query*", "/a/v50.0/query/01g") && !glob("/a/*/query", "/a/v50.0/query/01g")
        );
        assert!(glob("*", "") && glob("/x", "/x") && !glob("/x", "/xy") && glob("/x*", "/xy"));
        assert!(!glob("/a*b", "/ab/c"));
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        let now = Timestamp::UNIX_EPOCH;
        let mut faults = Faults::default();
        faults.add(
            Fault::status(503).on_path("/q*").after_passing(1).times(2),
            now,
        );
        let mut strikes = |path| faults.strike(&get(path), now).is_some();
        assert!(!strikes("/x"));
        assert!(!strikes("/q1"));
        assert!(strikes("/q1"));
        assert!(strikes("/q2"));
        assert!(!strikes("/q2"));
    }

    #[test]
    fn a_fault_lasts_as_long_as_it_says() {
        let now = Timestamp::UNIX_EPOCH;
        let mut faults = Faults::default();
        faults.add(
            Fault::reset()
                .on_org("Acme")
                .lasting(SignedDuration::from_secs(60)),
            now,
        );
        assert!(
            faults
                .strike(&get("/"), now + SignedDuration::from_secs(59))
                .is_some()
        );
        assert!(
            faults
                .strike(&get("/"), now + SignedDuration::from_secs(60))
                .is_none()
        );
    }

    #[test]
    fn users_are_found_in_the_body_of_a_log_in() {
        let mut faults = Faults::default();
        faults.add(Fault::reset().on_user("a@b"), Timestamp::UNIX_EPOCH);
        assert!(faults.strike(&get("/"), Timestamp::UNIX_EPOCH).is_some());
        let other = Traits {
            user: Some("c@d"),
            ..get("/")
        };
        assert!(faults.strike(&other, Timestamp::UNIX_EPOCH).is_none());
    }
}
