//! Errors in the REST API's format: `[{"message": ..., "errorCode": ...}]`.

use http::header;
use serde_json::{Value as Json, json};

use crate::message::Answer;
use crate::org::Refusal;
use crate::soql::QueryError;
use crate::switches::Switches;

/// A refused request with its HTTP status.
#[derive(Clone, Debug)]
pub(crate) struct RestError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) fields: Option<Vec<String>>,
}

impl RestError {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            fields: None,
        }
    }

    /// Status 404 for anything that does not exist.
    pub(crate) fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    /// Status 405 for a method that the resource does not support.
    pub(crate) fn method_not_allowed(method: &http::Method) -> Self {
        let others = ["GET", "POST", "PATCH", "DELETE"].into_iter();
        let others: Vec<&str> = others.filter(|other| method != other).collect();
        let others = others.join(", ");
        let message = format!("HTTP Method '{method}' not allowed. Allowed are {others}");
        Self::new(405, "METHOD_NOT_ALLOWED", message)
    }

    /// Status 401 for a session that is unknown, expired or revoked.
    pub(crate) fn invalid_session() -> Self {
        Self::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    /// Converts an error of the SOQL engine; the statement is needed for the context in the
    /// message.
    pub(crate) fn query(error: QueryError, text: &str, switches: &Switches) -> Self {
        let message = match error.at.filter(|_| switches.soql_error_context) {
            Some(at) => in_context(text, at, &error.message),
            None => error.message,
        };
        let status = if error.code == "QUERY_TIMEOUT" {
            switches.query_timeout_status
        } else {
            400
        };
        Self::new(status, error.code, message)
    }

    /// Converts the refusal of a write.
    pub(crate) fn refusal(refusal: Refusal) -> Self {
        let status = if refusal.code == "NOT_FOUND" {
            404
        } else {
            400
        };
        let fields = (status == 400).then_some(refusal.fields);
        Self {
            fields,
            ..Self::new(status, refusal.code, refusal.message)
        }
    }

    /// The error as a JSON body.
    pub(crate) fn body(&self) -> Json {
        let mut error = json!({"message": self.message, "errorCode": self.code});
        if let (Some(fields), Some(map)) = (&self.fields, error.as_object_mut()) {
            map.insert("fields".into(), json!(fields));
        }
        json!([error])
    }

    /// The complete answer with status, headers and body.
    pub(crate) fn answer(&self, retry_after: Option<u64>) -> Answer {
        let mut answer = Answer::json(self.status, self.body());
        if self.status == 401 {
            answer = answer.with(header::WWW_AUTHENTICATE, "Token");
        }
        if let Some(seconds) = retry_after.filter(|_| matches!(self.status, 403 | 503)) {
            answer = answer.with(header::RETRY_AFTER, &seconds.to_string());
        }
        answer
    }
}

/// Shows the statement's line, a mark under the position, and the error message.
fn in_context(text: &str, at: usize, message: &str) -> String {
    let before = text.get(..at).unwrap_or(text);
    let row = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    let excerpt: String = text
        .chars()
        .skip(before.chars().count().saturating_sub(30))
        .take(60)
        .collect();
    let mark = " ".repeat(before.chars().count().min(30));
    format!("\n{excerpt}\n{mark}^\nERROR at Row:{row}:Column:{column}\n{message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_arrays() {
        let error = RestError::refusal(Refusal::new(
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [LastName]",
            &["LastName"],
        ));
        assert_eq!(
            error.body(),
            json!([{"message": "Required fields are missing: [LastName]", "errorCode": "REQUIRED_FIELD_MISSING", "fields": ["LastName"]}])
        );
        assert_eq!(
            RestError::invalid_session().answer(None).headers[header::WWW_AUTHENTICATE],
            "Token"
        );
    }

    #[test]
    fn context_points_at_the_place() {
        let shown = in_context("SELECT Id FORM Contact", 10, "unexpected token: 'FORM'");
        assert!(
            shown.ends_with("ERROR at Row:1:Column:11\nunexpected token: 'FORM'"),
            "{shown}"
        );
    }
}
