//! Salesforce's errors by code, for faults that name a code.

use serde_json::json;

use crate::login::soap;
use crate::message::{Answer, Request};
use crate::rest::RestError;
use crate::switches::Switches;

/// The error with this code, in the format of the endpoint that was called.
pub(crate) fn salesforce_error(code: &str, request: &Request, switches: &Switches) -> Answer {
    let (status, code, message) = entry(code, switches);
    if request.path.starts_with("/services/Soap/") {
        return soap::fault(code, &message);
    }
    if request.path.starts_with("/services/oauth2/") {
        return Answer::json(400, json!({"error": code, "error_description": message}));
    }
    let error = RestError {
        // The only one of them that was seen with this member.
        fields: (code == "UNABLE_TO_LOCK_ROW").then(Vec::new),
        ..RestError::new(status, code, message)
    };
    error.answer(switches.retry_after)
}

fn entry<'c>(code: &'c str, switches: &Switches) -> (u16, &'c str, String) {
    let (status, message) = match code {
        "INVALID_SESSION_ID" => (401, "Session expired or invalid"),
        "REQUEST_LIMIT_EXCEEDED" => (403, switches.request_limit_message.as_str()),
        // The same code also has a second meaning: seconds, not hours.
        "ConcurrentPerOrgLongTxn" => {
            return (
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentPerOrgLongTxn Limit exceeded".to_owned(),
            );
        }
        "API_DISABLED_FOR_ORG" => (403, "The REST API is not enabled for this Organization."),
        "API_CURRENTLY_DISABLED" => (
            switches.api_currently_disabled_status,
            "API is disabled for this User",
        ),
        "INSUFFICIENT_ACCESS" => (403, "insufficient access rights on object id"),
        "INSUFFICIENT_ACCESS_OR_READONLY" => (400, "insufficient access rights on object id"),
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY" => {
            (400, "insufficient access rights on cross-reference id")
        }
        "UNABLE_TO_LOCK_ROW" => (
            switches.lock_row_status,
            "unable to obtain exclusive access to this record",
        ),
        "QUERY_TIMEOUT" => (
            switches.query_timeout_status,
            "Your query request was running for too long",
        ),
        "QUERY_TOO_COMPLICATED" => (
            400,
            "Query is either selecting too many fields or the filter conditions are too complicated.",
        ),
        "REQUEST_RUNNING_TOO_LONG" => (
            400,
            "Your request was running for too long, and has been stopped.",
        ),
        "INVALIDENTITY" => (400, "Entity is not supported by the Bulk API."),
        "API_ERROR" => (400, "Entity does not support query"),
        "LIMIT_EXCEEDED" => (
            400,
            "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021)",
        ),
        "FEATURENOTENABLED" => (
            400,
            "Feature Not Enabled: query operation requires the org permission BulkApiQuery",
        ),
        "TXN_SECURITY_METERING_ERROR" => (
            400,
            "We can't complete the action because enabled transaction security policies took too long to complete.",
        ),
        "NOT_FOUND" => (404, "The requested resource does not exist"),
        "app_not_found" | "OAUTH_EC_APP_NOT_FOUND" => {
            (400, switches.app_not_found_description.as_str())
        }
        "unknown_error" => (400, "retry your request"),
        "SERVER_UNAVAILABLE" => (503, "Server is unavailable"),
        "UNKNOWN_EXCEPTION" => (500, "An unexpected error occurred."),
        _ => (400, "An error occurred."),
    };
    (status, code, message.to_owned())
}
