//! The meanings of Salesforce's responses for the tenant: one table with code, title, cause, remedy
//! and retry policy of every meaning. The texts appear in `kubectl describe`, Events and e-mail.

use std::fmt;

/// The time at which the same request may be retried without any action by a human.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Never: a human must act first.
    Never,
    /// The failure is transient: back off with jitter, from seconds.
    Later,
    /// The failure may pass without any action, but slowly: retry at the ordinary interval.
    AtInterval,
    /// After an hour, because Salesforce blocks for an hour.
    AfterAnHour,
    /// After the rolling 24-hour allocation of API calls has recovered.
    AfterQuota,
}

macro_rules! meanings {
    ($( $(#[$doc:meta])* $name:ident { $title:literal, $cause:literal, $remedy:literal, $retry:ident, refuses_login: $refuses:literal } )+) => {
        /// The meaning of a failure, independent of the interface and the text that reported it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Meaning { $( $(#[$doc])* $name, )+ }

        impl Meaning {
            /// Every meaning, in the order of the table.
            pub const ALL: &'static [Meaning] = &[ $( Meaning::$name, )+ ];

            /// The name used as condition reason and error code.
            pub fn code(self) -> &'static str {
                match self { $( Meaning::$name => stringify!($name), )+ }
            }

            /// The meaning with this code, if there is one.
            pub fn from_code(code: &str) -> Option<Meaning> {
                match code { $( stringify!($name) => Some(Meaning::$name), )+ _ => None }
            }

            /// A short headline without a full stop.
            pub fn title(self) -> &'static str {
                match self { $( Meaning::$name => $title, )+ }
            }

            /// The reason for the failure, as sentences.
            pub fn cause(self) -> &'static str {
                match self { $( Meaning::$name => $cause, )+ }
            }

            /// The next step for the tenant, as sentences.
            pub fn remedy(self) -> &'static str {
                match self { $( Meaning::$name => $remedy, )+ }
            }

            /// The time at which the request may be retried.
            pub fn retry(self) -> Retry {
                match self { $( Meaning::$name => Retry::$retry, )+ }
            }

            /// Whether this response to a log-in counts as a refusal. The same credential is then
            /// not tried again automatically, because a user is locked after as few as three
            /// failures.
            pub fn refuses_login(self) -> bool {
                match self { $( Meaning::$name => $refuses, )+ }
            }
        }
    };
}

meanings! {
    /// User name, password or token is wrong, or the user may not log in at all.
    InvalidLogin {
        "The log-in was refused",
        "Salesforce does not accept this user name, password and security token here. It gives the same answer for a wrong password or token, a user that is locked, frozen or inactive, and a sandbox user sent to production (or the other way round).",
        "Check user name, password and security token in the Secret (for a log-in by an app: its client id, secret or key, and what the app allows), and that environment (Production or Sandbox) is right. In Salesforce, Setup > Login History says which of them it was. Then update the Secret, or ask for a new test.",
        Never, refuses_login: true
    }
    /// The password is right, but this network also needs a security token.
    SecurityTokenRequired {
        "A security token is required",
        "The password is right, but the log-in comes from a network that the organization does not trust and carried no valid security token.",
        "In Salesforce open the user's personal settings > Reset My Security Token, and put the token that arrives by e-mail into the Secret as securityToken. Or add this cluster's addresses to Setup > Network Access.",
        Never, refuses_login: true
    }
    /// The password is right but has expired.
    PasswordExpired {
        "The password has expired",
        "The user's password has expired; Salesforce grants a session that may do nothing but change the password.",
        "Log in to Salesforce as this user, set a new password, and put it (with the new security token) into the Secret. An integration user should have a password policy without expiry.",
        Never, refuses_login: true
    }
    /// Salesforce reports that the user is locked.
    UserLocked {
        "The user is locked",
        "Too many log-ins failed, so Salesforce locked the user.",
        "Unlock the user in Setup > Users (or wait until the lock-out interval ends), find out who uses an old password, then update the Secret or ask for a new test.",
        Never, refuses_login: true
    }
    /// Salesforce reports that the user is not active.
    UserInactive {
        "The user is not active",
        "The Salesforce user has been deactivated or frozen.",
        "Activate the user in Setup > Users, or name another user. Then update the Secret or ask for a new test.",
        Never, refuses_login: true
    }
    /// The organization does not allow this log-in method.
    LoginMethodDisabled {
        "This log-in method is switched off",
        "The organization does not allow this log-in method, or the user lacks the permission for it. SOAP login() is off by default in organizations created since Winter '26 and may need the permission Use Any API Auth; the OAuth flows are switched on per organization and per app.",
        "Use the method jwtBearer or clientCredentials. To keep this one: for SOAP login(), Setup > User Interface > Enable SOAP API login(), and give the user Use Any API Auth; for OAuth, Setup > OAuth and OpenID Connect Settings and the app's own flow settings.",
        Never, refuses_login: true
    }
    /// Salesforce asks for a code by e-mail or from an authenticator.
    IdentityVerificationRequired {
        "Identity verification is required",
        "Salesforce asks for a verification code or a second factor, which a program cannot give.",
        "Exempt the integration user from the challenge, trust this cluster's addresses in Setup > Network Access, or use the method jwtBearer.",
        Never, refuses_login: true
    }
    /// A policy of the organization blocks the user or the request.
    BlockedBySecurityPolicy {
        "Blocked by a security policy",
        "A transaction security or session policy of the organization blocked the request, or it requires mutual TLS.",
        "Ask the Salesforce administrator to exempt the integration user from the policy that Setup names for this event.",
        Never, refuses_login: true
    }
    /// The network address is outside the allowed ranges.
    IpRestricted {
        "This network address is not allowed",
        "The user's profile or the app allows log-ins only from given IP ranges, and this cluster is outside of them.",
        "Add the cluster's outgoing addresses to the login IP ranges of the user's profile (or relax IP restrictions in the app's policy), then ask for a new test.",
        Never, refuses_login: true
    }
    /// The log-in was outside the user's login hours.
    LoginHoursRestricted {
        "Outside the user's login hours",
        "The user's profile allows log-ins only at given hours.",
        "Remove the login hours from the integration user's profile, or schedule the integration inside them.",
        AtInterval, refuses_login: false
    }
    /// The user logged in more than 3,600 times within an hour.
    LoginRateExceeded {
        "Too many log-ins within an hour",
        "The user logged in more than 3,600 times within an hour; Salesforce blocks further log-ins for an hour.",
        "Find the program that logs in for each request with this user, and give this integration a user of its own.",
        AfterAnHour, refuses_login: false
    }
    /// The consumer key or secret is wrong.
    InvalidClient {
        "The client id or secret is wrong",
        "Salesforce does not know this consumer key, or the secret does not belong to it. A new app needs up to ten minutes to become known.",
        "Copy consumer key and secret of the connected app or External Client App into the Secret as clientId and clientSecret.",
        Never, refuses_login: true
    }
    /// The app exists but not in this organization.
    AppNotInstalled {
        "The app is not installed in this organization",
        "Salesforce knows the connected app or External Client App of this consumer key, but it is not installed or not enabled in the organization that was asked.",
        "Install or enable the app in this organization (Setup > External Client App Manager, or Connected Apps OAuth Usage), or set loginUrl to the My Domain of the organization that has it. Then update the Secret, or ask for a new test.",
        Never, refuses_login: true
    }
    /// The user or an administrator has not approved the app.
    AppNotApproved {
        "The app is not approved for this user",
        "The connected app is not pre-authorised for this user.",
        "In the app's policies set Permitted Users to 'Admin approved users are pre-authorized' and assign the app to the user's profile or a permission set.",
        Never, refuses_login: true
    }
    /// An administrator blocked the app.
    AppBlocked {
        "The app is blocked",
        "An administrator blocked the connected app in this organization.",
        "Unblock it in Setup > Connected Apps OAuth Usage.",
        Never, refuses_login: true
    }
    /// The assertion was made for another environment.
    AudienceInvalid {
        "The assertion is meant for another environment",
        "The audience of the JWT does not belong to this organization: production asked about a sandbox user, or the other way round.",
        "Set environment to Sandbox for a sandbox and to Production for all others.",
        Never, refuses_login: true
    }
    /// The times in the assertion do not fit Salesforce's clock.
    ClockSkew {
        "The assertion has expired on arrival",
        "The JWT is valid for three minutes, and by Salesforce's clock those are over: the clock of this node is wrong.",
        "Correct the time of the cluster's nodes (NTP), then ask for a new test.",
        AtInterval, refuses_login: false
    }
    /// The signature does not match the certificate of the app.
    InvalidAssertion {
        "The assertion was not accepted",
        "The signature of the JWT does not fit the certificate that was uploaded to the app.",
        "Upload the certificate that belongs to privateKey to the app (Use digital signatures), or put the right key into the Secret.",
        Never, refuses_login: true
    }
    /// The private key in the Secret cannot be read; nothing was sent.
    InvalidPrivateKey {
        "The private key cannot be read",
        "privateKey is not an RSA private key in PEM (PKCS#1 or PKCS#8, not encrypted).",
        "Put the whole PEM file, from BEGIN to END line, into the Secret as privateKey.",
        Never, refuses_login: false
    }
    /// Client credentials were sent to a host that does not serve them.
    MyDomainRequired {
        "This host does not serve the method",
        "The client-credentials flow works only on the organization's own My Domain host.",
        "Set loginUrl to https://<your domain>.my.salesforce.com (a sandbox: https://<domain>--<name>.sandbox.my.salesforce.com).",
        Never, refuses_login: true
    }
    /// The app has no user to run as.
    NoRunAsUser {
        "The app has no user to run as",
        "The client-credentials flow needs an execution user in the app's policies, with the right to use the API.",
        "In the app's policies choose a user under Client Credentials Flow > Run As.",
        Never, refuses_login: true
    }
    /// The edition has no API access.
    ApiDisabledForOrg {
        "The organization has no API access",
        "The API is not enabled for this organization: Essentials, Starter and Group never have it, Professional only as a paid add-on. A new connected app may answer so for some minutes.",
        "Use Enterprise, Performance, Unlimited or Developer Edition, or buy API access for Professional Edition. Then ask for a new test.",
        Never, refuses_login: true
    }
    /// The user lacks the permission to use the API.
    ApiDisabledForUser {
        "The user may not use the API",
        "The user lacks the permission API Enabled.",
        "Give the user's profile or a permission set the permission API Enabled, then ask for a new test.",
        Never, refuses_login: true
    }
    /// The API version is retired, or login() does not exist in it.
    UnsupportedApiVersion {
        "The API version is not supported",
        "Salesforce has retired this API version or does not know it yet.",
        "Set apiVersion to a supported version, for example 50.0.",
        Never, refuses_login: true
    }
    /// The organization is closed, expired or locked.
    OrganizationUnavailable {
        "The organization is closed",
        "The organization is locked, its trial has expired, or it is still being created.",
        "Ask Salesforce or the account owner to reopen the organization, then ask for a new test.",
        Never, refuses_login: true
    }
    /// The organization is in maintenance.
    OrganizationInMaintenance {
        "The organization is in maintenance",
        "Salesforce is moving or maintaining the organization.",
        "Nothing to do: it is tried again by itself. See status.salesforce.com for the instance.",
        Later, refuses_login: false
    }
    /// The daily allocation of API calls is used up.
    RequestLimitExceeded {
        "The daily API allocation is used up",
        "All integrations of the organization together have used its API calls of the last 24 hours.",
        "See Setup > Company Information > API Requests for what uses them; lower apiBudget, or buy more calls. Work goes on by itself as the 24 hours roll on.",
        AfterQuota, refuses_login: false
    }
    /// The organization, its edition or the object has no bulk queries.
    BulkUnavailable {
        "There are no bulk queries here",
        "The organization's edition has no Bulk API, the object is not served by it, or the user lacks the \"View All\" that it wants.",
        "Nothing has to be done: records are read page by page instead, which takes more API calls. For bulk queries give the integration user \"View All\" on the objects that are read.",
        AtInterval, refuses_login: false
    }
    /// The organization's jobs or results of bulk queries of a day are used up.
    BulkLimitExceeded {
        "The daily limit of bulk queries is used up",
        "All integrations of the organization together have made as many bulk queries in the last 24 hours, or stored as much of their results, as Salesforce allows.",
        "See Setup > Bulk Data Load Jobs for what makes them. Work goes on by itself as the 24 hours roll on.",
        AfterQuota, refuses_login: false
    }
    /// A bulk query ended without results, or its results are not whole.
    BulkJobFailed {
        "A bulk query failed",
        "Salesforce ended the job of a bulk query without results, somebody aborted it, or fewer rows came than Salesforce had counted. What came is not taken for the whole.",
        "Nothing to do if it happens once: it is run again. If it stays, see Setup > Bulk Data Load Jobs for the job.",
        AtInterval, refuses_login: false
    }
    /// Too many long requests run at the same time.
    ConcurrentLimit {
        "Too many long requests at once",
        "The organization has too many requests running for 20 seconds or more.",
        "Nothing to do: it is tried again by itself. If it stays, find the integration with the slow queries.",
        Later, refuses_login: false
    }
    /// The session ended, and a new log-in did not help or was not allowed.
    SessionExpired {
        "The session is not valid any more",
        "Salesforce ended the session (expiry, revocation, or another log-out of the user).",
        "Nothing to do if it happens once: the next test logs in again. If it repeats, check the session settings of the user's profile.",
        AtInterval, refuses_login: false
    }
    /// The session is valid but not for REST. A new log-in does not help.
    SessionNotForApi {
        "The session may not be used for the API",
        "The session is valid, but not for the REST API: the app of an OAuth method lacks the scope api, the organization locks sessions to the log-in address, or it requires a high-assurance session.",
        "With an OAuth method, first add the scope 'Manage user data via APIs (api)' to the app. Otherwise relax 'Lock sessions to the IP address from which they originated' or the session security level for the integration user's profile, then ask for a new test.",
        Never, refuses_login: false
    }
    /// The user may not read or change the record or resource.
    InsufficientAccess {
        "The user lacks a permission",
        "The user may not read or change the record or resource.",
        "Give the integration user the permission that the message names.",
        AtInterval, refuses_login: false
    }
    /// A field does not exist or is hidden from the user.
    FieldUnavailable {
        "A field is not visible",
        "A standard field does not exist for this user: field-level security hides it, or the feature that brings it is off.",
        "Make the field that the message names visible to the integration user's profile or permission set.",
        AtInterval, refuses_login: false
    }
    /// An object does not exist or is hidden from the user.
    ObjectUnavailable {
        "An object is not visible",
        "The object does not exist for this user: the licence does not contain it, or the user may not read it.",
        "In Salesforce, give the user read access and \"View All\" on the objects that the message names, by a permission set.",
        AtInterval, refuses_login: false
    }
    /// A path or record does not exist.
    NotFound {
        "Salesforce does not know the resource",
        "The path or record does not exist: a wrong host, an API version that Salesforce does not have, or an organization that is gone.",
        "Check loginUrl and apiVersion.",
        AtInterval, refuses_login: false
    }
    /// Salesforce did not accept our request.
    RequestRejected {
        "Salesforce did not accept the request",
        "The request was malformed in Salesforce's eyes; this is a defect of Switchboard, not of your settings.",
        "Report the message to the operator of Switchboard.",
        AtInterval, refuses_login: false
    }
    /// A URL or header was too long.
    RequestTooLong {
        "The request was too long",
        "A URL or header was longer than Salesforce takes; Switchboard asks in smaller portions.",
        "Nothing to do. If it stays, report it to the operator of Switchboard.",
        AtInterval, refuses_login: false
    }
    /// A query cursor, or a bulk job with its results, no longer exists.
    CursorExpired {
        "A query cursor is gone",
        "Salesforce dropped the cursor of a long query, or the results of a bulk query: they became too old, somebody deleted them, or they belong to another API version.",
        "Nothing to do: the query is run again.",
        Later, refuses_login: false
    }
    /// The query ran too long.
    QueryTimeout {
        "A query ran too long",
        "Salesforce cancelled a query or request after its time limit.",
        "Nothing to do if it happens once. For very large organizations ask Salesforce support for an index on Phone and MobilePhone.",
        Later, refuses_login: false
    }
    /// The query is too complicated.
    QueryTooComplicated {
        "A query was too complicated",
        "Salesforce found the query too complicated; Switchboard asks in smaller portions.",
        "Nothing to do. If it stays, report it to the operator of Switchboard.",
        AtInterval, refuses_login: false
    }
    /// Another transaction holds the record.
    RowLocked {
        "A record is locked",
        "Another transaction holds the record.",
        "Nothing to do: it is tried again by itself.",
        Later, refuses_login: false
    }
    /// Salesforce had an internal error.
    SalesforceError {
        "Salesforce failed",
        "Salesforce reports an internal error.",
        "Nothing to do: it is tried again by itself. See status.salesforce.com if it stays.",
        Later, refuses_login: false
    }
    /// There was no response, or one that reports that the instance does not respond.
    Unreachable {
        "Salesforce cannot be reached",
        "There was no answer in time, the connection failed, or Salesforce's edge reports that the instance does not answer.",
        "Nothing to do if it passes. If it stays: check loginUrl, DNS, proxy and firewall of the cluster, and status.salesforce.com.",
        Later, refuses_login: false
    }
    /// The certificate does not come from a trusted authority.
    CertificateUntrusted {
        "The server's certificate is not trusted",
        "The TLS certificate does not come from a known authority, has expired, or is for another name: often a proxy that opens TLS.",
        "If a proxy of your company is in between, the operator of Switchboard adds its authority (salesforce.caBundle in the chart, --ca-bundle). Otherwise check loginUrl.",
        AtInterval, refuses_login: false
    }
    /// The proxy on the way wants to know who asks.
    ProxyLoginRequired {
        "The proxy wants a user and a password",
        "On the way to Salesforce is a proxy that lets nobody through without a user and a password (HTTP 407).",
        "The operator of Switchboard lets the proxy know the controller and the pods of runs by their addresses. A user and a password in the controller's HTTPS_PROXY help the controller only: pods of runs do not get them, because tenants could read them.",
        AtInterval, refuses_login: false
    }
    /// The dial guard refuses the host.
    HostNotAllowed {
        "This host is not allowed",
        "The host is not on the operator's list, is not https, or resolves to a private address. No connection was made.",
        "Use a loginUrl on salesforce.com, or ask the operator of Switchboard to allow the host (salesforce.hosts and salesforce.allowPrivateNetworks in the chart, --salesforce-hosts and --allow-private-networks).",
        Never, refuses_login: false
    }
    /// Salesforce redirects to another of its hosts.
    LoginUrlMoved {
        "Salesforce answers at another host",
        "The host redirects to another one of Salesforce's own: My Domain was renamed, or loginUrl is the address of pages for browsers. A redirect is not followed, because credentials would go with it.",
        "Write the host that the message names into loginUrl, or leave loginUrl out. Setup > My Domain shows the host of the organization.",
        Never, refuses_login: false
    }
    /// A log-in was needed but is not allowed now.
    LoginWithheld {
        "No log-in was made",
        "A log-in would be needed, but Salesforce refused log-ins as this user within the hour, with this credential or with others, and one more could lock the user.",
        "Put the right credential into the Secret: it is tried by itself at status.connection.nextAttemptAt. If the Secret is right, find out who else logs in as this user with a wrong password.",
        AtInterval, refuses_login: false
    }
    /// Salesforce's own answer, with a code that this version does not know.
    UnknownCode {
        "Salesforce answers with an unknown code",
        "Salesforce answers with an error code that this version of Switchboard does not know.",
        "Look up the code that the message names in Salesforce's documentation; what concerns a log-in also stands in Setup > Login History. Report the message to the operator of Switchboard.",
        AtInterval, refuses_login: false
    }
    /// Salesforce never gives such a response.
    UnexpectedAnswer {
        "An unexpected answer",
        "What came back is not an answer that Salesforce's API gives: often a proxy, a captive portal or a maintenance page in between.",
        "Open loginUrl from the cluster's network and see what answers there; report the message to the operator of Switchboard.",
        AtInterval, refuses_login: false
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_leads_back_to_its_meaning() {
        for meaning in Meaning::ALL {
            assert_eq!(Meaning::from_code(meaning.code()), Some(*meaning));
        }
        assert_eq!(Meaning::from_code("Nonsense"), None);
    }

    #[test]
    fn every_text_is_a_sentence_that_ends() {
        for meaning in Meaning::ALL {
            assert!(meaning.cause().ends_with('.'), "{meaning}");
            assert!(meaning.remedy().ends_with(['.', ')']), "{meaning}");
            assert!(!meaning.title().ends_with('.'), "{meaning}");
        }
    }

    #[test]
    fn a_refused_login_is_never_retried_by_itself() {
        for meaning in Meaning::ALL {
            if meaning.refuses_login() {
                assert_eq!(meaning.retry(), Retry::Never, "{meaning}");
            }
        }
    }
}
