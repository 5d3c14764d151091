//! Behaviour that the documentation leaves open, or that a test needs to change.
//!
//! Each switch has a documented default; the README's table names the fact behind each. Marks: D
//! documented, C a practitioner's claim, U not verified.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::bulk::BulkSwitches;
use crate::sosl::Index as SearchIndex;

/// Undocumented behaviour of Salesforce, and the sizes of its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Switches {
    /// Newest API version (D).
    pub latest_version: f64,
    /// Oldest API version that still answers (D: 31.0).
    pub oldest_version: f64,
    /// First version without SOAP `login()` (D: 65.0).
    pub soap_login_gone_at: f64,
    /// Body code of REST's 410 for a retired version (U).
    pub retired_code: String,

    /// HTTP status of a SOAP `LoginFault` (U: 500).
    pub login_fault_status: u16,
    /// The message of `INVALID_LOGIN` (W).
    pub invalid_login_message: String,
    /// Whether a locked user gets `PASSWORD_LOCKOUT` instead of `INVALID_LOGIN` (U: never seen).
    pub password_lockout_fault: bool,
    /// Text of `LOGIN_DURING_RESTRICTED_TIME` (U).
    pub restricted_time_message: String,
    /// Text of `LOGIN_DURING_RESTRICTED_DOMAIN` (U).
    pub restricted_domain_message: String,
    /// Text of `INSUFFICIENT_ACCESS` where `login()` is off or needs Use Any API Auth (U).
    pub soap_login_disabled_message: String,
    /// Text of SOAP's `API_DISABLED_FOR_ORG` (U).
    pub soap_api_disabled_message: String,
    /// Whether a missing security token counts as a failed attempt (U).
    pub missing_token_counts: bool,
    /// Maximum log-ins of a user in an hour (D: 3,600); beyond it, all log-ins fail for an hour.
    pub logins_per_hour: u64,
    /// Code of a log-in beyond the rate (C; the Login History says LOGIN_RATE_EXCEEDED).
    pub login_rate_code: String,

    /// `error_description` of a failed OAuth password log-in (W; older:
    /// `authentication failure - Invalid Password`).
    pub oauth_failure_description: String,
    /// `error_description` of a wrong JWT audience (D `Audience validation failed`, C
    /// `audience is invalid`).
    pub jwt_audience_description: String,
    /// `error_description` of a JWT for an app that the user has not approved (W).
    pub jwt_unapproved_description: String,
    /// `error` of a log-in by an External Client App that the org has not installed (W
    /// `app_not_found`, C `OAUTH_EC_APP_NOT_FOUND`; a connected app: `invalid_client`).
    pub app_not_found_error: String,
    /// `error_description` of the same (W; a connected app: `app must be installed into org`).
    pub app_not_found_description: String,
    /// Maximum time from now to a JWT's `exp` (U: not enforced).
    pub jwt_max_ahead: Option<SignedDuration>,
    /// Time for which a JWT's `exp` may be in the past (U).
    pub jwt_leeway: SignedDuration,
    /// Audiences accepted besides the documented ones.
    pub jwt_extra_audiences: Vec<String>,

    /// Time without a call after which a session ends (D: 2 h).
    pub session_ttl: SignedDuration,
    /// Whether failed calls (400, 404, 5xx) count against the daily allocation (U).
    pub count_failed_calls: bool,
    /// Whether calls refused with 401 or 403 count against the daily allocation (U).
    pub count_refused_calls: bool,
    /// HTTP status of `API_CURRENTLY_DISABLED` (U: 403).
    pub api_currently_disabled_status: u16,
    /// Text of `REQUEST_LIMIT_EXCEEDED` for the daily limit (C).
    pub request_limit_message: String,
    /// Seconds in `Retry-After` on 403 and 503; `None` for no header (U: none documented).
    pub retry_after: Option<u64>,
    /// Whether `Sforce-Limit-Info` also has `api-bursts` and `per-app-api-usage` (D, older).
    pub long_limit_info: bool,

    /// Maximum bytes of a request URI (D: 16,384); a longer one gets 414 as HTML.
    pub uri_limit: usize,
    /// Maximum bytes of URI and headers (D: 16,384); more get 431.
    pub header_limit: usize,
    /// Maximum bytes of a composite sub-request's URL; `null` for no limit (U).
    pub subrequest_uri_limit: Option<usize>,
    /// Maximum characters of a SOQL statement (D: 100,000).
    pub soql_limit: usize,
    /// Characters of a statement that gets `QUERY_TOO_COMPLICATED`; `null` for never (D possible,
    /// U when).
    pub too_complicated_at: Option<usize>,
    /// Maximum characters of one string literal (D: 4,000).
    pub literal_limit: usize,
    /// Largest OFFSET (D: 2,000).
    pub offset_limit: u64,
    /// Rows in a page unless the client asks for another size (D: 2,000).
    pub batch_size: usize,
    /// Smallest page that a client may ask for (D: 200).
    pub min_batch_size: usize,
    /// Maximum open query cursors of a user; one more closes the oldest (D: no limit since API
    /// 56.0; the old limit was 10).
    pub max_cursors: usize,
    /// How long `queryAll` shows deleted rows (D: 15 days).
    pub recycle_bin: SignedDuration,
    /// The Bulk API.
    pub bulk: BulkSwitches,
    /// Whether the org answers searches; otherwise 404 (U: what an org without it says).
    pub search_available: bool,
    /// How phone text is split into words (U).
    pub search_index: SearchIndex,
    /// Whether the index takes full-width digits for half-width ones (U: yes).
    pub search_folds_width: bool,
    /// Time after a change until the index has it (C: one to three minutes, or longer).
    pub search_lag: SignedDuration,
    /// Characters of a search text beyond which AND and OR are dropped (D: 4,000).
    pub search_text_limit: usize,
    /// Whether rows without ORDER BY come in an order unrelated to their creation (D: undefined).
    pub shuffle_unordered: bool,
    /// Whether SOQL errors have the statement and position before the message (C).
    pub soql_error_context: bool,
    /// End of the message of `INVALID_TYPE` (U).
    pub invalid_type_tail: String,
    /// HTTP status of `QUERY_TIMEOUT` (U: 400).
    pub query_timeout_status: u16,
    /// HTTP status of `UNABLE_TO_LOCK_ROW` (U: 400).
    pub lock_row_status: u16,

    /// Whether `/limits` needs View Setup and Configuration (D).
    pub limits_need_view_setup: bool,
    /// Whether permission sets, their assignments and ObjectPermissions need View Setup (U: no).
    pub permission_objects_need_view_setup: bool,
    /// Whether UserPermissionAccess can be read (D from 41.0 on; U in every edition).
    pub user_permission_access: bool,
    /// Whether CallCenter and `User.CallCenterId` need Manage Call Centers to be read (U: no).
    pub call_centers_need_permission: bool,
    /// Whether Contact has `IsPersonAccount` in orgs with person accounts (U: yes).
    pub contact_is_person_account: bool,
}

/// The end of the message of `INVALID_FIELD` and, by default, of `INVALID_TYPE`.
pub(crate) const REFERENCE_TAIL: &str =
    "Please reference your WSDL or the describe call for the appropriate names.";

impl Default for Switches {
    fn default() -> Self {
        Self {
            latest_version: 68.0,
            oldest_version: 31.0,
            soap_login_gone_at: 65.0,
            retired_code: "GONE".into(),
            login_fault_status: 500,
            invalid_login_message:
                "Invalid username, password, security token; or user locked out.".into(),
            password_lockout_fault: false,
            restricted_time_message: "You cannot log in to this organization at this time".into(),
            restricted_domain_message: "You cannot log in to this organization from this domain"
                .into(),
            soap_login_disabled_message: "SOAP API login() is disabled in this org".into(),
            soap_api_disabled_message: "API is not enabled for this Organization or Partner".into(),
            missing_token_counts: false,
            logins_per_hour: 3_600,
            login_rate_code: "INVALID_LOGIN".into(),
            oauth_failure_description: "authentication failure".into(),
            jwt_audience_description: "audience is invalid".into(),
            jwt_unapproved_description: "user hasn't approved this consumer".into(),
            app_not_found_error: "app_not_found".into(),
            app_not_found_description: "External client app is not installed in this org".into(),
            jwt_max_ahead: None,
            jwt_leeway: SignedDuration::ZERO,
            jwt_extra_audiences: Vec::new(),
            session_ttl: SignedDuration::from_hours(2),
            count_failed_calls: true,
            count_refused_calls: false,
            api_currently_disabled_status: 403,
            request_limit_message: "TotalRequests Limit exceeded.".into(),
            retry_after: None,
            long_limit_info: false,
            uri_limit: 16_384,
            header_limit: 16_384,
            subrequest_uri_limit: Some(16_384),
            soql_limit: 100_000,
            too_complicated_at: None,
            literal_limit: 4_000,
            offset_limit: 2_000,
            batch_size: 2_000,
            min_batch_size: 200,
            max_cursors: usize::MAX,
            recycle_bin: SignedDuration::from_hours(15 * 24),
            bulk: BulkSwitches::default(),
            search_available: true,
            search_index: SearchIndex::Both,
            search_folds_width: true,
            search_lag: SignedDuration::ZERO,
            search_text_limit: 4_000,
            shuffle_unordered: false,
            soql_error_context: false,
            invalid_type_tail: format!(
                "If you are attempting to use a custom object, be sure to append the '__c' after the entity name. {REFERENCE_TAIL}"
            ),
            query_timeout_status: 400,
            lock_row_status: 400,
            limits_need_view_setup: true,
            permission_objects_need_view_setup: false,
            user_permission_access: true,
            call_centers_need_permission: false,
            contact_is_person_account: true,
        }
    }
}
