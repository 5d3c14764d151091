//! Tests that every row of the tables in docs/facts/salesforce.md, as it is sent on the wire, has
//! exactly one meaning.

use http::HeaderMap;
use serde_json::json;

use super::fault;
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::answers::{Incoming, failure, oauth_failure};
use crate::salesforce::credentials::Method;
use crate::salesforce::text::Redactor;

fn incoming(status: u16, text: impl ToString) -> Incoming {
    Incoming {
        status,
        headers: HeaderMap::new(),
        text: text.to_string(),
        flag: None,
        flow: None,
    }
}

const INVALID: &str = "Invalid username, password, security token; or user locked out.";
const NEW_LOCATION: &str = "Invalid username, password, security token; or user locked out. Are you at a new location? When accessing \
    Salesforce--either via a desktop client or the API--from outside of your company's trusted networks, you must add a security token \
    to your password to log in. To get your new security token, log in to Salesforce.";

/// Facts: Salesforce 1.1: log-in faults and the exception codes of the WSDL.
#[test]
fn soap() {
    #[rustfmt::skip]
    let table = [
        ("INVALID_LOGIN", INVALID, Meaning::InvalidLogin),
        ("INVALID_LOGIN", "Invalid username, password, security token; or user not active, or user locked out", Meaning::InvalidLogin),
        ("LOGIN_MUST_USE_SECURITY_TOKEN", NEW_LOCATION, Meaning::SecurityTokenRequired),
        ("LOGIN_DURING_RESTRICTED_TIME", "", Meaning::LoginHoursRestricted),
        ("LOGIN_DURING_RESTRICTED_DOMAIN", "", Meaning::IpRestricted),
        ("API_CURRENTLY_DISABLED", "API is disabled for this User", Meaning::ApiDisabledForUser),
        ("API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner", Meaning::ApiDisabledForOrg),
        ("INSUFFICIENT_ACCESS", "", Meaning::LoginMethodDisabled),
        ("FUNCTIONALITY_NOT_ENABLED", "", Meaning::LoginMethodDisabled),
        ("INVALID_OPERATION", "SOAP API login() is disabled by default in this org. Contact the org administrator to enable SOAP API login().", Meaning::LoginMethodDisabled),
        ("NEVER_HEARD", "no", Meaning::InvalidLogin),
        ("LOGIN_RATE_EXCEEDED", "Login Rate Exceeded", Meaning::LoginRateExceeded),
        ("INVALID_LOGIN", "Login Rate Exceeded", Meaning::LoginRateExceeded),
        ("SOMETHING_NEW", "Login Rate Exceeded", Meaning::LoginRateExceeded),
        ("UNSUPPORTED_API_VERSION", "", Meaning::UnsupportedApiVersion),
        ("PASSWORD_LOCKOUT", "", Meaning::UserLocked),
        ("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "The users password has expired", Meaning::PasswordExpired),
        ("CLIENT_NOT_ACCESSIBLE_FOR_USER", "", Meaning::AppNotApproved),
        ("CLIENT_REQUIRE_UPDATE_FOR_USER", "", Meaning::AppNotApproved),
        ("INVALID_CLIENT", "", Meaning::InvalidClient),
        ("LOGIN_CHALLENGE_ISSUED", "", Meaning::IdentityVerificationRequired),
        ("LOGIN_CHALLENGE_PENDING", "", Meaning::IdentityVerificationRequired),
        ("MUTUAL_AUTHENTICATION_FAILED", "", Meaning::BlockedBySecurityPolicy),
        ("TXN_SECURITY_NO_ACCESS", "", Meaning::BlockedBySecurityPolicy),
        ("ORG_IN_MAINTENANCE", "", Meaning::OrganizationInMaintenance),
        ("ORG_IS_SIGNING_UP", "", Meaning::OrganizationUnavailable),
        ("ORG_LOCKED", "", Meaning::OrganizationUnavailable),
        ("TRIAL_EXPIRED", "", Meaning::OrganizationUnavailable),
        ("SERVER_UNAVAILABLE", "", Meaning::Unreachable),
        ("SSO_SERVICE_DOWN", "", Meaning::Unreachable),
        ("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader", Meaning::SessionExpired),
        ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", Meaning::RequestLimitExceeded),
        ("UNKNOWN_EXCEPTION", "", Meaning::SalesforceError),
    ];
    for (code, message, expected) in table {
        for spelling in [code.to_owned(), format!("sf:{code}")] {
            for status in [500, 200] {
                let error = failure(
                    &incoming(status, fault(&spelling, message)),
                    Phase::Login,
                    &Redactor::default(),
                );
                assert_eq!(error.meaning(), expected, "{spelling} {message}");
                assert_eq!(error.salesforce_code(), Some(code));
            }
        }
    }
    // SOAP 1.2, other prefixes, no detail: the code is in the reason.
    let bare = "<env:Envelope xmlns:env='x'><env:Body><env:Fault><env:Code><env:Value>env:Sender</env:Value></env:Code>\
        <env:Reason><env:Text>INVALID_LOGIN: no</env:Text></env:Reason></env:Fault></env:Body></env:Envelope>";
    let error = failure(&incoming(500, bare), Phase::Login, &Redactor::default());
    assert_eq!(error.meaning(), Meaning::InvalidLogin);
    assert!(error.message().contains("no (INVALID_LOGIN)"), "{error}");
}

/// Facts: Salesforce 1.2.
#[test]
fn oauth() {
    use Method::{ClientCredentials, JwtBearer, OauthPassword};
    #[rustfmt::skip]
    let table = [
        (OauthPassword, "invalid_grant", "authentication failure", Meaning::InvalidLogin),
        (OauthPassword, "invalid_grant", "authentication failure - Invalid Password", Meaning::InvalidLogin),
        (OauthPassword, "unsupported_grant_type", "grant type not supported", Meaning::LoginMethodDisabled),
        (OauthPassword, "invalid_grant", "login rate exceeded", Meaning::LoginRateExceeded),
        (JwtBearer, "invalid_grant", "expired access/refresh token", Meaning::SessionExpired),
        (JwtBearer, "invalid_grant", "Audience validation failed", Meaning::AudienceInvalid),
        (JwtBearer, "invalid_grant", "audience is invalid", Meaning::AudienceInvalid),
        (JwtBearer, "invalid_grant", "user hasn't approved this consumer", Meaning::AppNotApproved),
        (JwtBearer, "invalid_grant", "user is not admin approved", Meaning::AppNotApproved),
        (JwtBearer, "invalid_app_access", "user is not admin approved to access this app", Meaning::AppNotApproved),
        (JwtBearer, "invalid_grant", "expired authorization code", Meaning::ClockSkew),
        (JwtBearer, "invalid_grant", "inactive user", Meaning::UserInactive),
        (JwtBearer, "invalid_grant", "invalid assertion", Meaning::InvalidAssertion),
        (JwtBearer, "invalid_grant", "ip restricted", Meaning::IpRestricted),
        (ClientCredentials, "invalid_grant", "request not supported on this domain", Meaning::MyDomainRequired),
        (ClientCredentials, "invalid_grant", "no client credentials user enabled", Meaning::NoRunAsUser),
        (ClientCredentials, "invalid_grant", "Client credentials flow not enabled", Meaning::LoginMethodDisabled),
        (ClientCredentials, "unsupported_grant_type", "", Meaning::LoginMethodDisabled),
        (ClientCredentials, "invalid_client_id", "client identifier invalid", Meaning::InvalidClient),
        (ClientCredentials, "invalid_client", "invalid client credentials", Meaning::InvalidClient),
        (ClientCredentials, "OAUTH_APP_BLOCKED", "this app is blocked by admin", Meaning::AppBlocked),
        (ClientCredentials, "server_error", "", Meaning::Unreachable),
        (ClientCredentials, "app_not_found", "External client app is not installed in this org", Meaning::AppNotInstalled),
        (JwtBearer, "OAUTH_EC_APP_NOT_FOUND", "", Meaning::AppNotInstalled),
        (JwtBearer, "invalid_client", "app must be installed into org", Meaning::AppNotInstalled),
        (ClientCredentials, "unknown_error", "retry your request", Meaning::SalesforceError),
        (OauthPassword, "unknown_error", "", Meaning::SalesforceError),
        (OauthPassword, "invalid_grant", "authentication failure - Failed: API security token required", Meaning::SecurityTokenRequired),
        (OauthPassword, "never_heard", "no", Meaning::InvalidLogin),
        (JwtBearer, "OAUTH_AUTHORIZATION_BLOCKED", "Cross-org OAuth flows are not supported for this external client app", Meaning::AppNotInstalled),
        (ClientCredentials, "invalid_grant", "Cross-org OAuth flows are not supported for this external client app", Meaning::AppNotInstalled),
        (JwtBearer, "OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error has occured during authentication. Please try again.", Meaning::AppNotInstalled),
        (JwtBearer, "invalid_app_access", "", Meaning::AppNotApproved),
    ];
    for (method, error, description, expected) in table {
        let body = json!({"error": error, "error_description": description});
        let error = oauth_failure(&incoming(400, body), method, &Redactor::default());
        assert_eq!(error.meaning(), expected, "{error} {description}");
        assert_eq!(error.phase(), Phase::Login);
    }
    let blocked = json!({"error": "invalid_grant", "error_description": "authentication failure"});
    let error = oauth_failure(&incoming(400, blocked), OauthPassword, &Redactor::default());
    assert!(
        error
            .message()
            .contains("blocks the OAuth username-password flow"),
        "{error}"
    );
}

/// Facts: Salesforce 2.9 and 2.4.
#[test]
fn rest() {
    #[rustfmt::skip]
    let table = [
        (401, "INVALID_SESSION_ID", "Session expired or invalid", Meaning::SessionExpired),
        (401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API", Meaning::SessionNotForApi),
        (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", Meaning::RequestLimitExceeded),
        (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", Meaning::ConcurrentLimit),
        (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", Meaning::ConcurrentLimit),
        (403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization.", Meaning::ApiDisabledForOrg),
        (403, "API_DISABLED_FOR_ORG", "limits resource is not enabled", Meaning::InsufficientAccess),
        (403, "API_CURRENTLY_DISABLED", "API is disabled for this User", Meaning::ApiDisabledForUser),
        (403, "INSUFFICIENT_ACCESS", "insufficient access rights on object id", Meaning::InsufficientAccess),
        (400, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on id", Meaning::InsufficientAccess),
        (400, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "insufficient access rights on cross-reference id", Meaning::InsufficientAccess),
        (400, "INVALID_FIELD", "No such column 'X' on entity 'Contact'.", Meaning::FieldUnavailable),
        (400, "INVALID_TYPE", "sObject type 'Lead' is not supported.", Meaning::ObjectUnavailable),
        (400, "MALFORMED_QUERY", "unexpected token: 'FORM'", Meaning::RequestRejected),
        (400, "MALFORMED_SEARCH", "No search term found. The search term must be enclosed in braces.", Meaning::RequestRejected),
        (400, "MALFORMED_ID", "Account ID: id value of incorrect type: 1", Meaning::RequestRejected),
        (400, "INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Name.", Meaning::FieldUnavailable),
        (400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", Meaning::RequestRejected),
        (400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", Meaning::RowLocked),
        (400, "QUERY_TIMEOUT", "Your query request was running for too long", Meaning::QueryTimeout),
        (503, "QUERY_TIMEOUT", "Your query request was running for too long", Meaning::QueryTimeout),
        (400, "REQUEST_RUNNING_TOO_LONG", "", Meaning::QueryTimeout),
        (400, "QUERY_TOO_COMPLICATED", "", Meaning::QueryTooComplicated),
        (400, "INVALID_QUERY_LOCATOR", "invalid query locator", Meaning::CursorExpired),
        (400, "NUMBER_OUTSIDE_VALID_RANGE", "", Meaning::RequestRejected),
        (404, "NOT_FOUND", "The requested resource does not exist", Meaning::NotFound),
        (400, "INVALIDENTITY", "Entity 'X' is not supported by the Bulk API.", Meaning::BulkUnavailable),
        (400, "API_ERROR", "ContentDocumentLink does not support query", Meaning::BulkUnavailable),
        (400, "API_ERROR", "Implementation restriction: Contact requires View All", Meaning::BulkUnavailable),
        (400, "API_ERROR", "Selecting compound data not supported in Bulk Query", Meaning::RequestRejected),
        (400, "FUNCTIONALITY_NOT_ENABLED", "Selecting compound data not supported in Bulk Query", Meaning::RequestRejected),
        (400, "FUNCTIONALITY_NOT_ENABLED", "Aggregate Relationships not supported in Bulk Query", Meaning::BulkUnavailable),
        (400, "FeatureNotEnabled", "query operation requires the org permission BulkApiQuery", Meaning::BulkUnavailable),
        (400, "LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021)", Meaning::BulkLimitExceeded),
        (400, "LIMIT_EXCEEDED", "Max bulk v2 query result size stored (1000000000) kb per 24 hrs has been exceeded", Meaning::BulkLimitExceeded),
        (400, "INVALIDJOBSTATE", "The job is in the state Aborted", Meaning::RequestRejected),
        (404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: x", Meaning::NotFound),
        (410, "UNSUPPORTED_API_VERSION", "", Meaning::UnsupportedApiVersion),
        (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.", Meaning::SalesforceError),
        (503, "SERVER_UNAVAILABLE", "", Meaning::Unreachable),
        (403, "SOMETHING_NEW", "words", Meaning::UnknownCode),
        (410, "SOMETHING_NEW", "words", Meaning::UnsupportedApiVersion),
        (401, "SOMETHING_NEW", "words", Meaning::SessionExpired),
    ];
    for (status, code, message, expected) in table {
        for body in [
            json!([{"message": message, "errorCode": code}]),
            json!([{"errorCode": code, "message": message, "fields": []}]),
            json!({"errorCode": code, "message": message}),
        ] {
            let error = failure(
                &incoming(status, body),
                Phase::Request,
                &Redactor::default(),
            );
            assert_eq!(error.meaning(), expected, "{status} {code} {message}");
            assert_eq!(error.status(), Some(status));
            assert!(
                error
                    .message()
                    .contains(if message.is_empty() { code } else { message }),
                "{error}"
            );
        }
    }
    let stale = failure(
        &incoming(403, "Bad_OAuth_Token"),
        Phase::Request,
        &Redactor::default(),
    );
    assert_eq!(stale.meaning(), Meaning::SessionExpired);
}

/// What the facts name as a code of an error has words of its own; nothing known sends a tenant to
/// look for a captive portal.
#[test]
fn every_code_of_the_facts_is_known() {
    let facts = [
        include_str!("../../../docs/facts/salesforce.md"),
        include_str!("../../../docs/facts/salesforce-changes.md"),
    ]
    .concat();
    // A clause of SOSL.
    // No code, and the beginning of two.
    let no_codes = ["SPELL_CORRECTION", "LOGIN_DURING_RESTRICTED"];
    let is_code = |word: &&str| {
        let letters = |c: char| c.is_ascii_uppercase() || c == '_';
        word.len() > 6 && word.contains('_') && word.chars().all(letters)
    };
    let words = facts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let codes: std::collections::BTreeSet<&str> = words
        .map(|word| word.trim_matches('_'))
        .filter(is_code)
        .filter(|word| !no_codes.contains(word))
        .collect();
    assert!(codes.len() > 40, "{codes:?}");
    // A log-in that is refused in new words counts as refused.
    let is_new = |error: &Error| {
        error.meaning() == Meaning::InvalidLogin && error.message().contains("not known here")
    };
    let unknown: Vec<&&str> = codes
        .iter()
        .filter(|code| {
            let rest = json!([{"errorCode": code, "message": ""}]);
            let rest = failure(&incoming(400, rest), Phase::Request, &Redactor::default());
            let oauth = json!({"error": code, "error_description": ""});
            let oauth = oauth_failure(
                &incoming(400, oauth),
                Method::JwtBearer,
                &Redactor::default(),
            );
            rest.meaning() == Meaning::UnknownCode && is_new(&oauth)
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let body = json!({"error": "something_new", "error_description": ""});
    let new = oauth_failure(
        &incoming(400, body),
        Method::JwtBearer,
        &Redactor::default(),
    );
    assert!(is_new(&new), "{new}");
    let form = "error=invalid_client&error_description=app+must+be+installed+into+org";
    let absent = oauth_failure(
        &incoming(400, form),
        Method::ClientCredentials,
        &Redactor::default(),
    );
    assert_eq!(absent.meaning(), Meaning::AppNotInstalled);
    // Gateways answer a log-in in the shape of the REST API.
    let body = json!([{"errorCode": "SOMETHING_NEW", "message": "words"}]);
    for (status, is) in [(400, true), (403, true), (500, false), (503, false)] {
        let answer = incoming(status, body.clone());
        let new = failure(&answer, Phase::Login, &Redactor::default());
        assert_eq!(is_new(&new), is, "{status}: {new}");
    }
}

/// Responses that do not come from Salesforce are described by their kind.
#[test]
fn oddities() {
    #[rustfmt::skip]
    let table = [
        (200, "", Meaning::UnexpectedAnswer, "an empty answer"),
        (204, "", Meaning::UnexpectedAnswer, "an empty answer"),
        (200, "<html><head><title>Welcome to Café WiFi</title></head></html>", Meaning::UnexpectedAnswer, "an HTML page"),
        (200, "<html><head><title>Welcome to Café WiFi</title></head></html>", Meaning::UnexpectedAnswer, "Welcome to Café WiFi"),
        (511, "<html><body>Log in</body></html>", Meaning::UnexpectedAnswer, "captive portal"),
        (407, "", Meaning::ProxyLoginRequired, "the proxy wants a user and a password"),
        (403, "<!DOCTYPE html><html><body>Access denied</body></html>", Meaning::UnexpectedAnswer, "an HTML page"),
        (414, "<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>", Meaning::RequestTooLong, "URI Too Long"),
        (431, "", Meaning::RequestTooLong, "HTTP 431"),
        (420, "", Meaning::Unreachable, "HTTP 420"),
        (429, "", Meaning::ConcurrentLimit, "HTTP 429"),
        (500, "<html><body>Oops</body></html>", Meaning::SalesforceError, "an HTML page"),
        (502, "", Meaning::Unreachable, "HTTP 502"),
        (503, "<html><title>We are down for maintenance</title></html>", Meaning::Unreachable, "down for maintenance"),
        (504, "", Meaning::Unreachable, "HTTP 504"),
        (404, "<html>not here</html>", Meaning::NotFound, "an HTML page"),
        (410, "", Meaning::UnsupportedApiVersion, "HTTP 410"),
        (200, "{\"status\": \"ok\"}", Meaning::UnexpectedAnswer, "JSON of another shape"),
        (200, "[1, 2]", Meaning::UnexpectedAnswer, "an array of 2"),
        (200, "<a><b/></a>", Meaning::UnexpectedAnswer, "XML of another shape came (HTTP 200): <a>"),
        (200, "%PDF-1.7", Meaning::UnexpectedAnswer, "neither JSON nor XML"),
    ];
    for (status, body, expected, words) in table {
        let error = failure(
            &incoming(status, body),
            Phase::Request,
            &Redactor::default(),
        );
        assert_eq!(error.meaning(), expected, "{status} {body}");
        assert!(error.message().contains(words), "{error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_answer_breaks_the_reader(
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        start in proptest::sample::select(vec!["", "<?xml encoding=", "<html><title", "[{\"errorCode\":\"", "{\"error\":\"", "\u{feff}", "<a:Fault>"]),
        status in 100u16..600,
    ) {
        let mut bytes = start.as_bytes().to_vec();
        bytes.extend(body);
        let text = crate::salesforce::text::decode(&HeaderMap::new(), bytes, 64 << 10).text;
        let error = failure(&incoming(status, text), Phase::Request, &Redactor::new(["secret".into()]));
        proptest::prop_assert!(error.message().chars().count() < 900);
    }
}

#[test]
fn quoted_answers_hold_no_secret_and_no_flood() {
    let redactor = Redactor::new(["hunter2&<>".into()]);
    let flood = "very ".repeat(1_000);
    for text in [
        fault("INVALID_LOGIN", "password hunter2&amp;&lt;&gt; is wrong"),
        json!([{"errorCode": "X", "message": format!("hunter2&<> {flood}")}]).to_string(),
        json!({"error": "invalid_grant", "error_description": "got hunter2%26%3C%3E"}).to_string(),
        format!("<html><body>hunter2&<> {flood}"),
        json!({"access_token": "hunter2&<>", "token": "00Dxx!AQsecret"}).to_string(),
    ] {
        for phase in [Phase::Login, Phase::Request] {
            let message = failure(&incoming(400, &text), phase, &redactor).message();
            assert!(
                !message.contains("hunter2") && !message.contains("AQsecret"),
                "{message}"
            );
            assert!(message.chars().count() < 700, "{message}");
        }
    }
}
