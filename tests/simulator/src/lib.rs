//! A simulator of Salesforce for tests, also available as a program: log-in, REST, SOQL, quotas and
//! faults.
//!
//! ```
//! use salesforce_simulator::{Org, Record, Simulator, User, World};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), salesforce_simulator::Error> {
//! let user = User::integration("integration@acme.example").password("secret").token("token");
//! let acme = Org::enterprise("Acme")
//!     .user(user)
//!     .account(Record::account("Acme KK"))
//!     .contact(Record::person("Sato").phone("03-1234-5678").of_account("Acme KK"));
//! let salesforce = Simulator::start(World::new().org(acme)).await?;
//! println!("{} trusting {}", salesforce.url(), salesforce.ca_pem());
//! assert_eq!(salesforce.counters().logins_ok(), 0);
//! salesforce.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Modules: [`org`] holds configuration and records, `schema` objects and fields, `soql` the query
//! language, `sosl` the search, `bulk` query jobs and their results, `login` and `rest` the
//! endpoints, `faults` deliberate faults, `admin` the endpoint that changes all of it, `server` the
//! client connections.

mod admin;
mod bulk;
mod clock;
pub mod config;
mod core;
mod counters;
mod faults;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod living;
mod login;
mod message;
pub mod org;
pub mod program;
mod rest;
mod router;
mod schema;
mod server;
mod simulator;
mod soql;
mod sosl;
mod switches;

pub use bulk::{BulkOutcome, BulkSwitches};
pub use counters::{Counters, LoggedRequest, Login};
pub use faults::{Effect, Fault, Flood, Matcher};
pub use org::sessions::LoginMethod;
pub use org::{
    ConnectedApp, Edit, Grants, HostRole, LoginHours, NotThere, ObjectAccess, Org, PermissionSet,
    Profile, Record, Sharing, User, UserLicense, World,
};
pub use schema::{CustomField, Kind, Value};
pub use simulator::{Error, Simulator};
pub use sosl::Index as SearchIndex;
pub use switches::Switches;
