//! Converts a failure response of any interface to the error that it means.

pub(crate) mod error;
pub(crate) mod error_codes;
pub(crate) mod meaning;

use std::fmt;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::HeaderMap;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::error::{Error, Phase};
use self::meaning::Meaning;
use super::credentials::Method;
use super::text::xml::Element;
use super::text::{BodyKind, Redactor, html_words, kind};
use crate::json;

/// A complete, decoded response.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The value of the flag that was asked for, if the answer has it.
    pub(crate) flag: Option<bool>,
    /// The body of a success that was asked for as a stream; `text` is empty then.
    pub(crate) flow: Option<Flow>,
}

/// A body, unpacked, as it arrives.
pub(crate) type Flow = BoxStream<'static, Result<Bytes, Error>>;

/// One entry of REST's error array (facts: Salesforce 2.9).
#[derive(Debug, Deserialize)]
pub(crate) struct RestError {
    #[serde(alias = "exceptionCode", alias = "statusCode")]
    #[serde(rename = "errorCode")]
    code: String,
    #[serde(default, alias = "exceptionMessage")]
    message: Option<String>,
}

#[derive(Deserialize)]
struct OauthError {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

// === impl OauthError ===

impl OauthError {
    /// Reads `error=…&error_description=…`, which some answers are instead of JSON
    /// (facts: Salesforce 1.2).
    fn of_form(text: &str) -> Option<Self> {
        text.starts_with("error").then_some(())?;
        let value = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(text.as_bytes());
            pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        Some(Self {
            error: value("error").filter(|error| !error.is_empty())?,
            error_description: value("error_description"),
        })
    }
}

/// The first of REST's errors: an array, or the single object that some edges send.
pub(crate) fn first_rest_error(text: &str) -> Option<RestError> {
    struct First;

    impl<'de> Visitor<'de> for First {
        type Value = Option<RestError>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of errors")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut first = None;
            while first.is_none() {
                match list.next_element::<&RawValue>()? {
                    Some(entry) => first = serde_json::from_str(entry.get()).ok(),
                    None => return Ok(None),
                }
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    struct Errors(Option<RestError>);

    impl<'de> Deserialize<'de> for Errors {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(First).map(Errors)
        }
    }

    if text.starts_with('{') {
        return json::read(text).ok();
    }
    json::read::<Errors>(text).ok()?.0
}

/// The error of a REST response, or of one part of a composite response.
pub(crate) fn rest_error(
    status: u16,
    error: &RestError,
    phase: Phase,
    redactor: &Redactor,
) -> Error {
    let message = error.message.as_deref().unwrap_or_default();
    let is_new = phase == Phase::Login
        && is_refusal(status, phase)
        && error_codes::exception(&error.code, message, phase).is_none();
    if is_new {
        return refused_in_new_words(&quote(&error.code, message, redactor))
            .with_status(status)
            .with_code(redactor.excerpt(&error.code));
    }
    exception(status, &error.code, message, phase, redactor)
}

/// Whether a status alone refuses a request, and nothing is known of it that would pass.
fn is_refusal(status: u16, phase: Phase) -> bool {
    (400..500).contains(&status) && error_codes::meaning_of_status(status, phase).is_none()
}

/// The error of a response that is not a success.
pub(crate) fn failure(incoming: &Incoming, phase: Phase, redactor: &Redactor) -> Error {
    let text = incoming.text.trim_start_matches('\u{feff}').trim();
    if let Some(error) = first_rest_error(text) {
        return rest_error(incoming.status, &error, phase, redactor);
    } else if let Ok(error) = json::read::<OauthError>(text) {
        return oauth_error(incoming.status, &error, Method::Password, phase, redactor);
    } else if let Some((code, message)) = soap_fault(text) {
        let ours = |c: char| c.is_ascii_uppercase() || c == '_';
        let name = code.rsplit(':').next().unwrap_or_default().trim();
        let is_new = phase == Phase::Login
            && error_codes::exception(&code, &message, phase).is_none()
            && !name.is_empty()
            && name.chars().all(ours);
        if is_new {
            // The status of each fault is 500, so it says nothing.
            let quoted = quote(name, &message, redactor);
            return refused_in_new_words(&quoted)
                .with_status(incoming.status)
                .with_code(redactor.excerpt(name));
        }
        return exception(incoming.status, &code, &message, phase, redactor);
    } else if text.eq_ignore_ascii_case("Bad_OAuth_Token") {
        // The identity service returns this for a stale token: 403 and plain text
        // (facts: Salesforce 1.2).
        return exception(incoming.status, text, "", phase, redactor);
    }
    unexpected(incoming, phase, redactor)
}

/// The error of an OAuth response.
pub(crate) fn oauth_failure(incoming: &Incoming, method: Method, redactor: &Redactor) -> Error {
    let text = incoming.text.trim();
    let error = json::read::<OauthError>(text)
        .ok()
        .or_else(|| OauthError::of_form(text));
    match error {
        Some(error) => oauth_error(incoming.status, &error, method, Phase::Login, redactor),
        None => failure(incoming, Phase::Login, redactor),
    }
}

fn oauth_error(
    status: u16,
    error: &OauthError,
    method: Method,
    phase: Phase,
    redactor: &Redactor,
) -> Error {
    let description = error.error_description.as_deref().unwrap_or_default();
    let quoted = match description {
        "" => redactor.excerpt(&error.error),
        description => format!(
            "{} ({})",
            redactor.excerpt(description),
            redactor.excerpt(&error.error)
        ),
    };
    match error_codes::oauth(&error.error, description) {
        // Salesforce returns the same for a blocked flow as for a wrong password
        // (facts: Salesforce 1.2).
        Some(Meaning::InvalidLogin) if method == Method::OauthPassword => Error::new(
            Meaning::InvalidLogin,
            phase,
            format!(
                "Salesforce says: {quoted}. It says the same when the organization blocks the OAuth username-password flow (Setup > OAuth and OpenID Connect Settings)."
            ),
        ),
        Some(meaning) => Error::new(meaning, phase, says(&quoted)),
        None if phase == Phase::Login && is_refusal(status, phase) => {
            refused_in_new_words(&quoted)
        }
        None => unknown_code(status, &quoted, phase),
    }
    .with_status(status)
    .with_code(redactor.excerpt(&error.error))
}

/// The error for a refused log-in whose words are not in our tables. It counts as a refusal: the
/// next one might lock the user.
fn refused_in_new_words(quoted: &str) -> Error {
    let detail = format!("Salesforce refuses it in words that are not known here: {quoted}.");
    Error::new(Meaning::InvalidLogin, Phase::Login, detail)
}

/// A message of Salesforce's with its code.
fn quote(code: &str, message: &str, redactor: &Redactor) -> String {
    // SOAP repeats the code at the start of the message.
    let message = message.trim();
    let message = message
        .strip_prefix(code)
        .map_or(message, |rest| rest.trim_start_matches([':', ' ']));
    match message {
        "" => redactor.excerpt(code),
        message => format!("{} ({})", redactor.excerpt(message), redactor.excerpt(code)),
    }
}

fn exception(status: u16, code: &str, message: &str, phase: Phase, redactor: &Redactor) -> Error {
    let plain = code.rsplit(':').next().unwrap_or(code).trim();
    let quoted = quote(plain, message, redactor);
    let error = match error_codes::exception(code, message, phase) {
        Some(meaning) => Error::new(meaning, phase, says(&quoted)),
        None => unknown_code(status, &quoted, phase),
    };
    let error = error.with_status(status).with_code(redactor.excerpt(plain));
    let transient = matches!(
        error.meaning(),
        Meaning::RowLocked | Meaning::ConcurrentLimit
    );
    if transient || error_codes::status(status).retries.is_some() {
        error.repeatable()
    } else {
        error
    }
}

/// The error for a code that is not in our tables. The status may still give its meaning.
fn unknown_code(status: u16, quoted: &str, phase: Phase) -> Error {
    let meaning = error_codes::meaning_of_status(status, phase).unwrap_or(Meaning::UnknownCode);
    Error::new(
        meaning,
        phase,
        format!("Salesforce answers with a code that is not known here (HTTP {status}): {quoted}."),
    )
}

/// The code and message of a SOAP fault, in any namespace.
pub(crate) fn soap_fault(text: &str) -> Option<(String, String)> {
    let root = Element::parse(text).ok()?;
    let fault = root.find("Fault")?;
    let exception = fault
        .find("exceptionCode")
        .map(Element::text)
        .filter(|code| !code.is_empty());
    // SOAP 1.2 uses the names Code/Value and Reason/Text.
    let code = exception
        .or_else(|| fault.text_of("faultcode"))
        .or_else(|| fault.child("Code").and_then(|code| code.text_of("Value")))
        .unwrap_or_default();
    let message = fault
        .text_of("faultstring")
        .or_else(|| {
            fault
                .find("exceptionMessage")
                .map(Element::text)
                .filter(|message| !message.is_empty())
        })
        .or_else(|| {
            fault
                .child("Reason")
                .and_then(|reason| reason.text_of("Text"))
        })
        .unwrap_or_default();
    // Without a code of Salesforce's, the code is in the message, before the colon.
    let code = match (exception, message.split_once(": ")) {
        (None, Some((first, _)))
            if first
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_') =>
        {
            first
        }
        _ => code,
    };
    Some((code.to_owned(), message.to_owned()))
}

/// The error for a response that does not come from Salesforce. It describes the kind of response.
pub(crate) fn unexpected(incoming: &Incoming, phase: Phase, redactor: &Redactor) -> Error {
    let status = incoming.status;
    let text = incoming.text.trim();
    let what = match kind(text) {
        BodyKind::Empty => format!("an empty answer came (HTTP {status})."),
        BodyKind::Html => format!(
            "an HTML page came instead of an API answer (HTTP {status}): \"{}\".",
            redactor.excerpt(&html_words(&redactor.scrub(text)))
        ),
        // JSON and XML are shown only as an outline: their values may be secrets.
        BodyKind::Json => format!(
            "JSON of another shape came (HTTP {status}): {}.",
            redactor.excerpt(&outline(text))
        ),
        BodyKind::Xml => {
            let root =
                Element::parse(text).map_or("broken".to_owned(), |root| root.name().to_owned());
            format!(
                "XML of another shape came (HTTP {status}): <{}>.",
                redactor.excerpt(&root)
            )
        }
        BodyKind::Other => format!(
            "text that is neither JSON nor XML came (HTTP {status}): \"{}\".",
            redactor.excerpt(text)
        ),
    };
    let what = match status {
        407 => format!("the proxy wants a user and a password; {what}"),
        511 => format!("the network wants a log-in of its own (captive portal); {what}"),
        _ => what,
    };
    let error = Error::new(
        error_codes::meaning_of_status(status, phase).unwrap_or(Meaning::UnexpectedAnswer),
        phase,
        what,
    );
    let error = error.with_status(status);
    if error_codes::status(status).retries.is_some() {
        error.repeatable()
    } else {
        error
    }
}

/// The outline of a JSON value: its type and its field names.
fn outline(text: &str) -> String {
    /// More names than a message can quote.
    const MOST_NAMES: usize = 50;

    struct Outline;

    impl<'de> Visitor<'de> for Outline {
        type Value = String;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object or a list")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<String, A::Error> {
            let mut names = Vec::new();
            while let Some((name, _)) = fields.next_entry::<String, IgnoredAny>()? {
                if names.len() < MOST_NAMES && !names.contains(&name) {
                    names.push(name);
                }
            }
            Ok(format!("an object with {}", names.join(", ")))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
            let mut count = 0_usize;
            while list.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(format!("an array of {count}"))
        }
    }

    struct Outlined(String);

    impl<'de> Deserialize<'de> for Outlined {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Outline).map(Outlined)
        }
    }

    match json::read(text) {
        Ok(Outlined(outline)) => outline,
        Err(json::JsonError::TooDeep) => {
            "lists or objects that lie too deep in each other".to_owned()
        }
        Err(json::JsonError::Unreadable(_)) => "a single value".to_owned(),
    }
}

fn says(quoted: &str) -> String {
    format!("Salesforce says: {quoted}.")
}

/// Whether the failure of one part of a composite request is not about its question, so that it
/// does what the same answer to the whole request would do.
pub(crate) fn concerns_the_connection(error: &Error) -> bool {
    error.is_repeatable()
        || matches!(
            error.meaning(),
            Meaning::SessionExpired
                | Meaning::SessionNotForApi
                | Meaning::RequestLimitExceeded
                | Meaning::ConcurrentLimit
                | Meaning::ApiDisabledForOrg
                | Meaning::ApiDisabledForUser
                | Meaning::OrganizationUnavailable
                | Meaning::OrganizationInMaintenance
                | Meaning::BlockedBySecurityPolicy
                | Meaning::UserInactive
                | Meaning::PasswordExpired
                | Meaning::SalesforceError
                | Meaning::Unreachable
        )
}

/// The error of a request for a bulk job or its results. A job is kept for days and read with the
/// version that made it (facts: Salesforce changes E2): what is not there any more, or belongs to
/// another version, is asked for anew.
pub(crate) fn about_a_job(error: Error) -> Error {
    let is_gone = error.meaning() == Meaning::NotFound || error.status() == Some(409);
    if is_gone {
        error.with_meaning(Meaning::CursorExpired)
    } else {
        error
    }
}

/// The error of a job that Salesforce ended without results, with its own words if it gave some.
pub(crate) fn job_failed(words: Option<&str>, redactor: &Redactor) -> Error {
    let words = words.map(str::trim).filter(|words| !words.is_empty());
    let detail = match words {
        Some(words) => says(&redactor.excerpt(words)),
        None => "Salesforce does not say why.".to_owned(),
    };
    Error::new(Meaning::BulkJobFailed, Phase::Request, detail)
}

/// Whether the failure is about the user's rights, and not about the connection.
pub(crate) fn is_about_rights(meaning: Meaning) -> bool {
    matches!(
        meaning,
        Meaning::InsufficientAccess
            | Meaning::FieldUnavailable
            | Meaning::ObjectUnavailable
            | Meaning::NotFound
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_tells_its_code_in_whatever_version_of_soap_it_is() {
        for (fault, expected) in [
            (
                "<faultcode>sf:INVALID_LOGIN</faultcode><faultstring>INVALID_LOGIN: no</faultstring>",
                ("INVALID_LOGIN", "INVALID_LOGIN: no"),
            ),
            (
                "<faultcode>sf:INVALID_LOGIN</faultcode><faultstring>no</faultstring>",
                ("sf:INVALID_LOGIN", "no"),
            ),
            // Salesforce's own code goes before that of SOAP, unless it is empty.
            (
                "<faultcode>Client</faultcode><faultstring>no</faultstring>\
                 <detail><exceptionCode>ORG_LOCKED</exceptionCode></detail>",
                ("ORG_LOCKED", "no"),
            ),
            (
                "<faultcode>Client</faultcode><faultstring>no</faultstring>\
                 <detail><exceptionCode/></detail>",
                ("Client", "no"),
            ),
            (
                "<faultcode>Client</faultcode><faultstring>ORG_LOCKED: no</faultstring>\
                 <detail><exceptionCode>INVALID_LOGIN</exceptionCode></detail>",
                ("INVALID_LOGIN", "ORG_LOCKED: no"),
            ),
            (
                "<detail><exceptionCode>ORG_LOCKED</exceptionCode>\
                 <exceptionMessage>no</exceptionMessage></detail>",
                ("ORG_LOCKED", "no"),
            ),
            (
                "<detail><exceptionMessage/></detail><Code><Value>Sender</Value></Code>\
                 <Reason><Text>no</Text></Reason>",
                ("Sender", "no"),
            ),
            (
                "<faultcode>Client</faultcode><faultstring>Not valid: no</faultstring>",
                ("Client", "Not valid: no"),
            ),
            ("<detail/>", ("", "")),
        ] {
            let text = format!(
                "<s:Envelope xmlns:s='x'><s:Body><s:Fault>{fault}</s:Fault></s:Body></s:Envelope>"
            );
            let (code, message) = soap_fault(&text).unwrap();
            assert_eq!((code.as_str(), message.as_str()), expected, "{fault}");
        }
        for text in ["", "<a/>", "<Fault>", "{}"] {
            assert_eq!(soap_fault(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_error_of_a_list_that_has_a_code_is_the_error() {
        for (text, expected) in [
            (
                r#"[{"errorCode":"A","message":"x"},{"errorCode":"B"}]"#,
                Some(("A", Some("x"))),
            ),
            (
                r#"[1,{"message":"x"},{"errorCode":"B"},2]"#,
                Some(("B", None)),
            ),
            (
                r#"{"exceptionCode":"A","exceptionMessage":"x"}"#,
                Some(("A", Some("x"))),
            ),
            (
                r#"[{"statusCode":"A","message":"x"}]"#,
                Some(("A", Some("x"))),
            ),
            (r#"[{"errorCode":"A"}"#, None),
            ("[]", None),
            (r#"{"error":"invalid_grant"}"#, None),
            (r#""A""#, None),
            ("", None),
        ] {
            let error = first_rest_error(text);
            let read = error
                .as_ref()
                .map(|error| (error.code.as_str(), error.message.as_deref()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
