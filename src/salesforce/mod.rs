//! The Salesforce client: log-in methods, session, REST, SOQL, errors by meaning, the probe, and
//! the guard that decides which hosts it may call. It knows nothing of Kubernetes.
//!
//! The process has one [`Transport`], and one [`Connection`] for each credential. Users of a
//! connection clone it. A connection logs in when it first needs a session, and keeps the session.
//! [`probe()`] is the connection test. A request passes through these modules in order:
//! `connection` (session, renewal, repetition) → `transport` (guard, sizes, times) → `answers` (the
//! response) → `error_codes` (the meaning of Salesforce's texts) → `meaning` (the text for the
//! tenant).
//!
//! The folder docs/facts holds what is known of Salesforce, with source and certainty. Comments
//! cite it with page and section: (facts: Salesforce 2.9).

mod answers;
mod connection;
mod credentials;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod login;
mod probe;
mod rest;
#[cfg(test)]
mod tests;
mod text;
mod transport;

pub use self::answers::error::{Error, Phase};
pub use self::answers::meaning::{Meaning, Retry};
pub use self::connection::Connection;
pub use self::connection::bulk::{JobRows, Patience};
pub use self::connection::retry::RetryPolicy;
pub use self::credentials::environment::{ApiVersion, Environment, InvalidApiVersion};
pub use self::credentials::hosts::host_instead_of_pages;
pub use self::credentials::key_names::misspelt;
pub use self::credentials::private_key::NotAKey;
pub use self::credentials::secret_keys::{
    Incomplete, SecretKey, Unusable, is_security_token, secret_text,
};
pub use self::credentials::{Credentials, Fingerprint, FingerprintKey, InvalidFingerprint, Method};
pub use self::login::gate::{LoginGate, LoginWithheld};
#[cfg(test)]
pub(crate) use self::login::session::Granted;
pub use self::login::session::{SessionInfo, SharedSession};
pub use self::probe::findings::{Access, Findings, Organization, Visibility, Warning};
pub use self::probe::users::{UserRow, UsersFound};
pub use self::probe::warning_code::WarningCode;
pub use self::probe::{Proved, probe, probe_again};
pub use self::rest::bulk::{InvalidJobId, JobId, JobState, Place, QueryJob};
pub use self::rest::soql::{MAX_LITERAL_CHARS, MAX_STATEMENT_CHARS, Soql, SoqlLiteral};
pub use self::rest::sosl::Sosl;
pub use self::rest::usage::{Spent, Usage};
pub use self::rest::{
    MAX_SUBQUERIES, MAX_SUBREQUESTS, NextPage, Page, Subrequest, Subresponse, Version,
};
pub(crate) use self::text::xml::escape as escape_markup;
pub use self::transport::dial::{DEFAULT_HOSTS, DialError, DialPolicy};
pub use self::transport::expiry::first_expiry;
pub use self::transport::{HttpLimits, Transport};
