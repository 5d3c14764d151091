//! The meanings of Salesforce's error codes and texts. Only this module knows the codes and texts,
//! in the spellings of SOAP, OAuth and REST.

use super::error::Phase;
use super::meaning::Meaning;

/// The meaning of an exception code of SOAP or REST; `None` if the code is not known. Codes: the
/// enterprise and partner WSDL's ExceptionCode (facts: Salesforce 1.1), REST's table
/// (facts: Salesforce 2.9).
pub(crate) fn exception(code: &str, message: &str, phase: Phase) -> Option<Meaning> {
    let code = code
        .rsplit(':')
        .next()
        .unwrap_or(code)
        .trim()
        .to_ascii_uppercase();
    let message = message.to_ascii_lowercase();
    let login = phase == Phase::Login;
    Some(match code.as_str() {
        // The code for a log-in over the rate is not known, only its text (facts: Salesforce 1.1).
        _ if login && message.contains("login rate exceeded") => Meaning::LoginRateExceeded,
        "INVALID_LOGIN" => Meaning::InvalidLogin,
        "LOGIN_MUST_USE_SECURITY_TOKEN" => Meaning::SecurityTokenRequired,
        "LOGIN_DURING_RESTRICTED_TIME" => Meaning::LoginHoursRestricted,
        "LOGIN_DURING_RESTRICTED_DOMAIN" => Meaning::IpRestricted,
        "LOGIN_RATE_EXCEEDED" => Meaning::LoginRateExceeded,
        "LOGIN_CHALLENGE_ISSUED" | "LOGIN_CHALLENGE_PENDING" => {
            Meaning::IdentityVerificationRequired
        }
        "PASSWORD_LOCKOUT" => Meaning::UserLocked,
        "INVALID_OPERATION_WITH_EXPIRED_PASSWORD" => Meaning::PasswordExpired,
        "ORG_LOCKED" | "TRIAL_EXPIRED" | "ORG_IS_SIGNING_UP" | "INACTIVE_ORG" => {
            Meaning::OrganizationUnavailable
        }
        "ORG_IN_MAINTENANCE" => Meaning::OrganizationInMaintenance,
        "SERVER_UNAVAILABLE" | "SSO_SERVICE_DOWN" => Meaning::Unreachable,
        "API_CURRENTLY_DISABLED" => Meaning::ApiDisabledForUser,
        // The limits resource returns this code to a user without View Setup. It does not depend on
        // the edition (facts: Salesforce 2.2).
        "API_DISABLED_FOR_ORG" if message.contains("limits resource") => {
            Meaning::InsufficientAccess
        }
        "API_DISABLED_FOR_ORG" => Meaning::ApiDisabledForOrg,
        "CLIENT_NOT_ACCESSIBLE_FOR_USER" | "CLIENT_REQUIRE_UPDATE_FOR_USER" => {
            Meaning::AppNotApproved
        }
        "INVALID_CLIENT" => Meaning::InvalidClient,
        "OAUTH_APP_BLOCKED" => Meaning::AppBlocked,
        "MUTUAL_AUTHENTICATION_FAILED" => Meaning::BlockedBySecurityPolicy,
        // The evaluation of a policy took longer than three seconds
        // (facts: Salesforce changes E6, I3).
        "TXN_SECURITY_METERING_ERROR" => Meaning::SalesforceError,
        code if code.starts_with("TXN_SECURITY") => Meaning::BlockedBySecurityPolicy,
        // "SOAP API login() is disabled by default in this org. Contact the org administrator …"
        // (https://github.com/jsforce/jsforce/issues/1771).
        "INVALID_OPERATION" | "FUNCTIONALITY_NOT_ENABLED" if login => Meaning::LoginMethodDisabled,
        "FUNCTIONALITY_NOT_ENABLED" | "API_ERROR" if message.contains("compound data") => {
            Meaning::RequestRejected
        }
        _ if no_bulk(&code, &message) => Meaning::BulkUnavailable,
        "FUNCTIONALITY_NOT_ENABLED" => Meaning::ObjectUnavailable,
        // For login() it means that the permission Use Any API Auth is missing
        // (facts: Salesforce 1.1).
        "INSUFFICIENT_ACCESS" if login => Meaning::LoginMethodDisabled,
        code if code.starts_with("INSUFFICIENT_ACCESS") => Meaning::InsufficientAccess,
        "INVALID_SESSION_ID" | "INVALIDSESSIONID" if not_for_api(&message) => {
            Meaning::SessionNotForApi
        }
        "INVALID_SESSION_ID" | "INVALIDSESSIONID" | "BAD_OAUTH_TOKEN" => Meaning::SessionExpired,
        // This code has two meanings: a wait of seconds or of hours (facts: Salesforce 2.4).
        "REQUEST_LIMIT_EXCEEDED" if message.contains("concurrent") => Meaning::ConcurrentLimit,
        "LIMIT_EXCEEDED" if login => Meaning::LoginRateExceeded,
        "LIMIT_EXCEEDED" if message.contains("max bulk") => Meaning::BulkLimitExceeded,
        "REQUEST_LIMIT_EXCEEDED" | "LIMIT_EXCEEDED" => Meaning::RequestLimitExceeded,
        "UNSUPPORTED_API_VERSION" | "INVALIDVERSION" | "INVALID_VERSION" => {
            Meaning::UnsupportedApiVersion
        }
        "INVALID_FIELD" | "INVALID_FIELD_FOR_INSERT_UPDATE" => Meaning::FieldUnavailable,
        "INVALID_TYPE" => Meaning::ObjectUnavailable,
        "NOT_FOUND" | "ENTITY_IS_DELETED" => Meaning::NotFound,
        "MALFORMED_QUERY"
        | "MALFORMED_SEARCH"
        | "MALFORMED_ID"
        | "INVALID_SEARCH"
        | "INVALID_QUERY_FILTER_OPERATOR"
        | "NUMBER_OUTSIDE_VALID_RANGE"
        | "REQUIRED_FIELD_MISSING"
        | "JSON_PARSER_ERROR"
        | "INVALID_ID_FIELD"
        | "METHOD_NOT_ALLOWED"
        | "INVALID_CROSS_REFERENCE_KEY"
        | "INVALID_REPLICATION_DATE"
        | "EXCEEDED_ID_LIMIT"
        | "CANNOT_UPDATE_CONVERTED_LEAD"
        | "INVALIDJOB"
        | "INVALIDJOBSTATE"
        | "API_ERROR" => Meaning::RequestRejected,
        "INVALID_QUERY_LOCATOR" | "INVALIDLOCATOR" | "INVALID_LOCATOR" => Meaning::CursorExpired,
        "QUERY_TIMEOUT" | "REQUEST_RUNNING_TOO_LONG" => Meaning::QueryTimeout,
        "QUERY_TOO_COMPLICATED" => Meaning::QueryTooComplicated,
        "UNABLE_TO_LOCK_ROW" => Meaning::RowLocked,
        "UNKNOWN_EXCEPTION" | "INTERNAL_SERVER_ERROR" => Meaning::SalesforceError,
        _ => return None,
    })
}

/// Whether bulk queries are not for this organization or object (facts: Salesforce changes E6).
/// The texts of the older Bulk API are known, too.
fn no_bulk(code: &str, message: &str) -> bool {
    match code {
        "FEATURENOTENABLED" | "FEATURE_NOT_ENABLED" | "INVALIDENTITY" | "INVALID_ENTITY" => true,
        "API_ERROR" => [
            "does not support query",
            "implementation restriction",
            "bulk api",
        ]
        .iter()
        .any(|words| message.contains(words)),
        "FUNCTIONALITY_NOT_ENABLED" => message.contains("bulk"),
        _ => false,
    }
}

/// Whether the session is valid but may not be used here. A new log-in gives the same
/// (facts: Salesforce 2.9).
fn not_for_api(message: &str) -> bool {
    [
        "not valid for use with",
        "high assurance",
        "high_assurance",
        "ip relaxation",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The meaning of an OAuth error; `None` if it is not known. The descriptions differ by age and
/// cause, so they are recognised by their typical words (facts: Salesforce 1.2).
pub(crate) fn oauth(error: &str, description: &str) -> Option<Meaning> {
    let error = error.trim().to_ascii_lowercase();
    let description = description.to_ascii_lowercase();
    let says = |words: &str| description.contains(words);
    // The description is exact; the error code covers many different causes.
    let described = match () {
        () if says("login rate exceeded") => Some(Meaning::LoginRateExceeded),
        () if says("approved this consumer") || says("admin approved") => {
            Some(Meaning::AppNotApproved)
        }
        () if says("audience") => Some(Meaning::AudienceInvalid),
        () if says("expired authorization code") => Some(Meaning::ClockSkew),
        () if says("inactive user") || says("user is inactive") => Some(Meaning::UserInactive),
        () if says("inactive organization") || says("inactive org") => {
            Some(Meaning::OrganizationUnavailable)
        }
        () if says("not supported on this domain") => Some(Meaning::MyDomainRequired),
        () if says("no client credentials user") => Some(Meaning::NoRunAsUser),
        () if says("flow not enabled") || says("flow is not enabled") || says("flow disabled") => {
            Some(Meaning::LoginMethodDisabled)
        }
        () if says("expired access/refresh token") => Some(Meaning::SessionExpired),
        () if says("password has expired") || says("password expired") => {
            Some(Meaning::PasswordExpired)
        }
        () if says("ip restricted") || says("ip address") => Some(Meaning::IpRestricted),
        () if says("login hours") => Some(Meaning::LoginHoursRestricted),
        // The last is said of an External Client App of another org
        // (https://unified.to/blog/salesforce_external_client_apps_on_multiple_organizations).
        () if says("not installed in this org")
            || says("must be installed into org")
            || says("cross-org oauth") =>
        {
            Some(Meaning::AppNotInstalled)
        }
        () if says("security token required") || says("must_use_security_token") => {
            Some(Meaning::SecurityTokenRequired)
        }
        () if says("expired password") => Some(Meaning::PasswordExpired),
        () if says("restricted ip") => Some(Meaning::IpRestricted),
        () if says("assertion expired") || says("jwt expired") || says("assertion has expired") => {
            Some(Meaning::ClockSkew)
        }
        () if says("rate limit exceeded") => Some(Meaning::LoginRateExceeded),
        // Salesforce's own words for a failure that passes, whatever the code.
        () if says("retry your request") || says("already being processed") => {
            Some(Meaning::SalesforceError)
        }
        () if says("app blocked")
            || says("app is blocked")
            || says("app has been blocked")
            || says("app is disabled") =>
        {
            Some(Meaning::AppBlocked)
        }
        () if says("client identifier invalid") || says("invalid client credentials") => {
            Some(Meaning::InvalidClient)
        }
        () if says("invalid assertion") || says("invalid signature") => {
            Some(Meaning::InvalidAssertion)
        }
        () => None,
    };
    if described.is_some() {
        return described;
    }
    Some(match error.as_str() {
        "invalid_grant" => Meaning::InvalidLogin,
        "invalid_client" | "invalid_client_id" | "invalid_client_credentials" => {
            Meaning::InvalidClient
        }
        "app_not_found"
        | "oauth_ec_app_not_found"
        | "oauth_authorization_blocked"
        | "oauth_approval_error_generic" => Meaning::AppNotInstalled,
        "unknown_error" => Meaning::SalesforceError,
        "oauth_app_blocked" => Meaning::AppBlocked,
        "oauth_app_access_denied" | "invalid_app_access" | "access_denied" => {
            Meaning::AppNotApproved
        }
        "unsupported_grant_type" | "unauthorized_client" => Meaning::LoginMethodDisabled,
        "invalid_assertion" => Meaning::InvalidAssertion,
        "inactive_user" => Meaning::UserInactive,
        "inactive_org" => Meaning::OrganizationUnavailable,
        "rate_limit_exceeded" | "login_rate_exceeded" => Meaning::LoginRateExceeded,
        "server_error" | "temporarily_unavailable" => Meaning::Unreachable,
        "invalid_request" => Meaning::RequestRejected,
        other => return exception(other, &description, Phase::Login),
    })
}

/// The meaning of an HTTP status, independent of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// The meaning if the response has no text that is known.
    pub(crate) meaning: Option<Meaning>,
    /// The maximum number of repetitions of a request that is safe to repeat; `None` means none.
    pub(crate) retries: Option<u32>,
    /// Whether Salesforce's edge returns this status while the instance does not respond.
    pub(crate) edge: bool,
}

/// The only table of Salesforce's statuses (facts: Salesforce 2.9, "Status table"). Theirs does not
/// list 407, 408, 429, 431, 504, 520 to 524 and 529: an edge or a proxy returns these.
pub(crate) fn status(status: u16) -> Status {
    const ALWAYS: Option<u32> = Some(u32::MAX);
    let (meaning, retries, edge) = match status {
        401 => (Meaning::SessionExpired, None, false),
        407 => (Meaning::ProxyLoginRequired, None, false),
        404 => (Meaning::NotFound, None, false),
        410 => (Meaning::UnsupportedApiVersion, None, false),
        414 | 431 => (Meaning::RequestTooLong, None, false),
        // The edge has no routing for the host, which rarely recovers within seconds. 406 passes,
        // too (facts: Salesforce changes E6).
        406 | 420 => (Meaning::Unreachable, Some(2), true),
        429 => (Meaning::ConcurrentLimit, ALWAYS, false),
        500 => (Meaning::SalesforceError, ALWAYS, false),
        408 | 502..=504 | 520..=524 | 529 => (Meaning::Unreachable, ALWAYS, true),
        _ => {
            return Status {
                meaning: None,
                retries: None,
                edge: false,
            };
        }
    };
    Status {
        meaning: Some(meaning),
        retries,
        edge,
    }
}

/// The meaning of a status if the response has no text that is known.
pub(crate) fn meaning_of_status(code: u16, phase: Phase) -> Option<Meaning> {
    let meaning = status(code).meaning?;
    // During a log-in there is no session that could have expired.
    (phase == Phase::Request || meaning != Meaning::SessionExpired).then_some(meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_statuses_agrees_with_itself() {
        for code in 100..600 {
            let Status {
                meaning,
                retries,
                edge,
            } = status(code);
            assert_eq!(edge, meaning == Some(Meaning::Unreachable), "{code}");
            let again = matches!(code, 406 | 408 | 420 | 429 | 500 | 502..=504 | 520..=524 | 529);
            assert_eq!(retries.is_some(), again, "{code}");
        }
        assert_eq!(status(420).retries, Some(2));
        let expired = |phase| meaning_of_status(401, phase);
        assert_eq!(expired(Phase::Request), Some(Meaning::SessionExpired));
        assert_eq!(expired(Phase::Login), None);
    }

    /// What each code means during a request and during a log-in, whatever its text.
    #[test]
    fn each_code_has_one_meaning_unless_its_text_tells_more() {
        use Meaning::*;
        let both = |codes: &[&str], meaning: Meaning| -> Vec<(String, Meaning, Meaning)> {
            let codes = codes.iter();
            codes
                .map(|code| ((*code).to_owned(), meaning, meaning))
                .collect()
        };
        let table = [
            both(&["INVALID_LOGIN"], InvalidLogin),
            both(&["LOGIN_MUST_USE_SECURITY_TOKEN"], SecurityTokenRequired),
            both(&["LOGIN_DURING_RESTRICTED_TIME"], LoginHoursRestricted),
            both(&["LOGIN_DURING_RESTRICTED_DOMAIN"], IpRestricted),
            both(&["LOGIN_RATE_EXCEEDED"], LoginRateExceeded),
            both(
                &["LOGIN_CHALLENGE_ISSUED", "LOGIN_CHALLENGE_PENDING"],
                IdentityVerificationRequired,
            ),
            both(&["PASSWORD_LOCKOUT"], UserLocked),
            both(
                &["INVALID_OPERATION_WITH_EXPIRED_PASSWORD"],
                PasswordExpired,
            ),
            both(
                &[
                    "ORG_LOCKED",
                    "TRIAL_EXPIRED",
                    "ORG_IS_SIGNING_UP",
                    "INACTIVE_ORG",
                ],
                OrganizationUnavailable,
            ),
            both(&["ORG_IN_MAINTENANCE"], OrganizationInMaintenance),
            both(&["SERVER_UNAVAILABLE", "SSO_SERVICE_DOWN"], Unreachable),
            both(&["API_CURRENTLY_DISABLED"], ApiDisabledForUser),
            both(&["API_DISABLED_FOR_ORG"], ApiDisabledForOrg),
            both(
                &[
                    "CLIENT_NOT_ACCESSIBLE_FOR_USER",
                    "CLIENT_REQUIRE_UPDATE_FOR_USER",
                ],
                AppNotApproved,
            ),
            both(&["INVALID_CLIENT"], InvalidClient),
            both(&["OAUTH_APP_BLOCKED"], AppBlocked),
            both(
                &["MUTUAL_AUTHENTICATION_FAILED", "TXN_SECURITY_NO_ACCESS"],
                BlockedBySecurityPolicy,
            ),
            both(
                &[
                    "TXN_SECURITY_METERING_ERROR",
                    "UNKNOWN_EXCEPTION",
                    "INTERNAL_SERVER_ERROR",
                ],
                SalesforceError,
            ),
            both(
                &[
                    "FEATURENOTENABLED",
                    "FEATURE_NOT_ENABLED",
                    "INVALIDENTITY",
                    "INVALID_ENTITY",
                ],
                BulkUnavailable,
            ),
            vec![
                (
                    "FUNCTIONALITY_NOT_ENABLED".to_owned(),
                    ObjectUnavailable,
                    LoginMethodDisabled,
                ),
                (
                    "INSUFFICIENT_ACCESS".to_owned(),
                    InsufficientAccess,
                    LoginMethodDisabled,
                ),
                (
                    "LIMIT_EXCEEDED".to_owned(),
                    RequestLimitExceeded,
                    LoginRateExceeded,
                ),
            ],
            both(
                &[
                    "INSUFFICIENT_ACCESS_OR_READONLY",
                    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
                ],
                InsufficientAccess,
            ),
            both(
                &["INVALID_SESSION_ID", "INVALIDSESSIONID", "BAD_OAUTH_TOKEN"],
                SessionExpired,
            ),
            both(&["REQUEST_LIMIT_EXCEEDED"], RequestLimitExceeded),
            both(
                &[
                    "UNSUPPORTED_API_VERSION",
                    "INVALIDVERSION",
                    "INVALID_VERSION",
                ],
                UnsupportedApiVersion,
            ),
            both(
                &["INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"],
                FieldUnavailable,
            ),
            both(&["INVALID_TYPE"], ObjectUnavailable),
            both(&["NOT_FOUND", "ENTITY_IS_DELETED"], NotFound),
            both(
                &[
                    "MALFORMED_QUERY",
                    "MALFORMED_SEARCH",
                    "MALFORMED_ID",
                    "INVALID_SEARCH",
                    "INVALID_QUERY_FILTER_OPERATOR",
                    "NUMBER_OUTSIDE_VALID_RANGE",
                    "REQUIRED_FIELD_MISSING",
                    "JSON_PARSER_ERROR",
                    "INVALID_ID_FIELD",
                    "METHOD_NOT_ALLOWED",
                    "INVALID_CROSS_REFERENCE_KEY",
                    "INVALID_REPLICATION_DATE",
                    "EXCEEDED_ID_LIMIT",
                    "CANNOT_UPDATE_CONVERTED_LEAD",
                    "INVALIDJOB",
                    "INVALIDJOBSTATE",
                    "API_ERROR",
                ],
                RequestRejected,
            ),
            both(
                &["INVALID_QUERY_LOCATOR", "INVALIDLOCATOR", "INVALID_LOCATOR"],
                CursorExpired,
            ),
            both(&["QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG"], QueryTimeout),
            both(&["QUERY_TOO_COMPLICATED"], QueryTooComplicated),
            both(&["UNABLE_TO_LOCK_ROW"], RowLocked),
        ];
        for (code, request, login) in table.concat() {
            for written in [code.clone(), format!("sf:{code}"), code.to_lowercase()] {
                assert_eq!(
                    exception(&written, "x", Phase::Request),
                    Some(request),
                    "{written}"
                );
                assert_eq!(
                    exception(&written, "x", Phase::Login),
                    Some(login),
                    "{written}"
                );
            }
        }
        for (phase, meaning) in [
            (Phase::Request, None),
            (Phase::Login, Some(LoginMethodDisabled)),
        ] {
            assert_eq!(exception("INVALID_OPERATION", "x", phase), meaning);
        }
        assert_eq!(exception("NEW_CODE", "bulk", Phase::Request), None);
    }

    #[test]
    fn the_text_tells_more_than_a_code_of_several_meanings() {
        use Meaning::*;
        let request = Phase::Request;
        for (code, message, phase, meaning) in [
            (
                "SERVER_ERROR",
                "Login rate exceeded",
                Phase::Login,
                Some(LoginRateExceeded),
            ),
            ("SERVER_ERROR", "Login rate exceeded", request, None),
            (
                "API_DISABLED_FOR_ORG",
                "The Limits Resource is not enabled",
                request,
                Some(InsufficientAccess),
            ),
            (
                "FUNCTIONALITY_NOT_ENABLED",
                "FUNCTIONALITY_NOT_ENABLED: Selecting compound data not supported in Bulk Query",
                request,
                Some(RequestRejected),
            ),
            (
                "API_ERROR",
                "compound data, by the Bulk API",
                request,
                Some(RequestRejected),
            ),
            (
                "INVALID_FIELD",
                "compound data",
                request,
                Some(FieldUnavailable),
            ),
            (
                "FUNCTIONALITY_NOT_ENABLED",
                "Bulk is off",
                request,
                Some(BulkUnavailable),
            ),
            (
                "API_ERROR",
                "Entity does not support query",
                request,
                Some(BulkUnavailable),
            ),
            (
                "API_ERROR",
                "Implementation restriction: x",
                request,
                Some(BulkUnavailable),
            ),
            (
                "API_ERROR",
                "not in the Bulk API",
                request,
                Some(BulkUnavailable),
            ),
            (
                "INVALID_TYPE",
                "not in the Bulk API",
                request,
                Some(ObjectUnavailable),
            ),
            (
                "INVALID_SESSION_ID",
                "This session is not valid for use with the REST API",
                request,
                Some(SessionNotForApi),
            ),
            (
                "INVALIDSESSIONID",
                "High assurance session required",
                request,
                Some(SessionNotForApi),
            ),
            (
                "INVALID_SESSION_ID",
                "needs HIGH_ASSURANCE",
                request,
                Some(SessionNotForApi),
            ),
            (
                "INVALID_SESSION_ID",
                "see IP relaxation",
                request,
                Some(SessionNotForApi),
            ),
            (
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentPerOrgLongTxn Limit exceeded",
                request,
                Some(ConcurrentLimit),
            ),
            (
                "LIMIT_EXCEEDED",
                "Max bulk v2 query jobs",
                request,
                Some(BulkLimitExceeded),
            ),
            (
                "LIMIT_EXCEEDED",
                "max bulk",
                Phase::Login,
                Some(LoginRateExceeded),
            ),
        ] {
            assert_eq!(exception(code, message, phase), meaning, "{code} {message}");
        }
    }

    #[test]
    fn the_description_of_an_oauth_error_tells_more_than_its_code() {
        use Meaning::*;
        for (description, meaning) in [
            ("Login rate exceeded", LoginRateExceeded),
            ("user hasn't approved this consumer", AppNotApproved),
            (
                "user is not admin approved to access this app",
                AppNotApproved,
            ),
            ("Audience validation failed", AudienceInvalid),
            ("expired authorization code", ClockSkew),
            ("inactive user", UserInactive),
            ("the user is inactive", UserInactive),
            ("inactive organization", OrganizationUnavailable),
            ("this is an inactive org", OrganizationUnavailable),
            ("request not supported on this domain", MyDomainRequired),
            ("no client credentials user enabled", NoRunAsUser),
            ("client credentials flow not enabled", LoginMethodDisabled),
            ("the flow is not enabled", LoginMethodDisabled),
            ("flow disabled", LoginMethodDisabled),
            ("expired access/refresh token", SessionExpired),
            ("your password has expired", PasswordExpired),
            ("password expired", PasswordExpired),
            ("expired password", PasswordExpired),
            ("ip restricted", IpRestricted),
            ("ip address is not allowed", IpRestricted),
            ("restricted ip", IpRestricted),
            ("outside of login hours", LoginHoursRestricted),
            (
                "External client app is not installed in this org",
                AppNotInstalled,
            ),
            ("app must be installed into org", AppNotInstalled),
            ("Cross-org OAuth flows are not supported", AppNotInstalled),
            ("security token required", SecurityTokenRequired),
            ("LOGIN_MUST_USE_SECURITY_TOKEN", SecurityTokenRequired),
            ("assertion expired", ClockSkew),
            ("JWT expired", ClockSkew),
            ("assertion has expired", ClockSkew),
            ("rate limit exceeded", LoginRateExceeded),
            ("please retry your request", SalesforceError),
            ("token request is already being processed", SalesforceError),
            ("app blocked by admin", AppBlocked),
            ("this app is blocked", AppBlocked),
            ("the app has been blocked", AppBlocked),
            ("app is disabled", AppBlocked),
            ("client identifier invalid", InvalidClient),
            ("invalid client credentials", InvalidClient),
            ("invalid assertion", InvalidAssertion),
            ("invalid signature", InvalidAssertion),
            ("authentication failure", InvalidLogin),
            ("", InvalidLogin),
        ] {
            let capitals = description.to_uppercase();
            for description in [description, &capitals] {
                let read = oauth("invalid_grant", description);
                assert_eq!(read, Some(meaning), "{description}");
            }
        }
    }

    #[test]
    fn each_oauth_error_has_a_meaning_without_a_description() {
        use Meaning::*;
        for (errors, meaning) in [
            ("invalid_grant", InvalidLogin),
            (
                "invalid_client invalid_client_id invalid_client_credentials",
                InvalidClient,
            ),
            (
                "app_not_found oauth_ec_app_not_found oauth_authorization_blocked oauth_approval_error_generic",
                AppNotInstalled,
            ),
            ("unknown_error", SalesforceError),
            ("oauth_app_blocked", AppBlocked),
            (
                "oauth_app_access_denied invalid_app_access access_denied",
                AppNotApproved,
            ),
            (
                "unsupported_grant_type unauthorized_client",
                LoginMethodDisabled,
            ),
            ("invalid_assertion", InvalidAssertion),
            ("inactive_user", UserInactive),
            ("inactive_org", OrganizationUnavailable),
            ("rate_limit_exceeded login_rate_exceeded", LoginRateExceeded),
            ("server_error temporarily_unavailable", Unreachable),
            ("invalid_request", RequestRejected),
            // A code of the other interfaces.
            ("org_locked", OrganizationUnavailable),
            ("insufficient_access", LoginMethodDisabled),
        ] {
            for error in errors.split(' ') {
                assert_eq!(oauth(error, ""), Some(meaning), "{error}");
                assert_eq!(
                    oauth(&format!(" {} ", error.to_uppercase()), "x"),
                    Some(meaning)
                );
            }
        }
        assert_eq!(oauth("new_error", "in new words"), None);
    }

    #[test]
    fn each_status_has_the_meaning_of_the_table() {
        use Meaning::*;
        for code in 100..600 {
            let expected = match code {
                401 => Some(SessionExpired),
                404 => Some(NotFound),
                407 => Some(ProxyLoginRequired),
                410 => Some(UnsupportedApiVersion),
                414 | 431 => Some(RequestTooLong),
                429 => Some(ConcurrentLimit),
                500 => Some(SalesforceError),
                406 | 408 | 420 | 502 | 503 | 504 | 520 | 521 | 522 | 523 | 524 | 529 => {
                    Some(Unreachable)
                }
                _ => None,
            };
            assert_eq!(status(code).meaning, expected, "{code}");
            assert_eq!(meaning_of_status(code, Phase::Request), expected, "{code}");
        }
    }
}
