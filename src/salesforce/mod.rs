//! The Salesforce client: log-in methods, session, REST, SOQL, errors by meaning, the probe, and the
//! guard over whom it may call. It knows nothing of Kubernetes.
//!
//! One [`Transport`] for the whole process, one [`Connection`] for each credential, cloned by whoever
//! uses it. A connection logs in when it first needs a session and keeps it; [`probe`] is the connection
//! test. The way of a request: `connection` (session, renewal, repetition) → `transport` (guard, sizes,
//! times) → `answer` (what came back) → `words` (what Salesforce's words mean) → `meaning` (what the
//! tenant is told).
//!
//! Facts about Salesforce are quoted with their source where they are used; "facts n.n" means the
//! project's own collection.

mod address;
mod answer;
mod connection;
mod credentials;
mod dial;
mod environment;
mod error;
mod findings;
mod keys;
mod login;
mod meaning;
mod pace;
mod permissions;
mod probe;
mod rest;
mod retry;
mod session;
mod soql;
#[cfg(test)]
mod tests;
mod text;
mod transport;
mod usage;
mod warnings;
mod words;
mod xml;

pub use connection::{BeforeLogin, Connection};
pub use credentials::{Credentials, Fingerprint, FingerprintKey, InvalidFingerprint, Method};
pub use dial::{DEFAULT_HOSTS, DialError, DialPolicy};
pub use environment::{ApiVersion, Environment, InvalidApiVersion};
pub use error::{Error, Phase};
pub use findings::{Access, Answer, Findings, Organization, Warning};
pub use keys::{Incomplete, SecretKey, Unusable, secret_text};
pub use meaning::{Meaning, Retry};
pub use probe::probe;
pub use rest::{MAX_SUBQUERIES, MAX_SUBREQUESTS, NextPage, Page, Subrequest, Subresponse, Version};
pub use retry::RetryPolicy;
pub use session::{SessionInfo, SharedSession};
pub use soql::{MAX_LITERAL_CHARS, MAX_STATEMENT_CHARS, Soql, SoqlLiteral};
pub use transport::{Limits, Transport};
pub use usage::{Spent, Usage};
