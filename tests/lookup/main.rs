//! Tests of the look-up with orgs that are generated from a seed, and of `switchboard lookup` as a
//! program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod command;
mod fields;
mod generated;
mod habits;
mod recall;

use salesforce_simulator::{Org, Simulator, User};
use switchboard::phone::Region;
use switchboard::resolve::Resolver;
use switchboard::salesforce::{ApiVersion, Connection, Credentials, DialPolicy, Transport};

const USER: &str = "integration@acme.example";
const PASSWORD: &str = "marker-of-the-password";

fn acme() -> Org {
    Org::enterprise("acme").user(User::integration(USER).password(PASSWORD))
}

fn resolver(salesforce: &Simulator) -> Resolver {
    resolver_of(salesforce, Region::JAPAN)
}

fn resolver_of(salesforce: &Simulator, home: Region) -> Resolver {
    let ca = salesforce.ca_pem().as_bytes().to_vec();
    let policy = DialPolicy::new(&["localhost".to_owned()], true, Some(ca)).unwrap();
    let connection = Connection::new(
        Transport::new(policy).unwrap(),
        salesforce.url().parse().unwrap(),
        ApiVersion::DEFAULT,
        Credentials::Password {
            username: USER.to_owned(),
            password: PASSWORD.into(),
            security_token: None,
        },
    );
    Resolver::new(connection, home)
}
