//! A connection to an org of the simulator, shared by the tests here and by `benches/lookup.rs`.

use super::{ApiVersion, Connection, Credentials, DialPolicy, Simulator, Transport};

/// A connection for a user whose password is "password".
pub(crate) fn connection(salesforce: &Simulator, username: &str) -> Connection {
    let ca = salesforce.ca_pem().as_bytes().to_vec();
    let policy = DialPolicy::new(&["localhost".to_owned()], true, Some(ca)).unwrap();
    let credentials = Credentials::Password {
        username: username.to_owned(),
        password: "password".into(),
        security_token: None,
    };
    Connection::new(
        Transport::new(policy).unwrap(),
        salesforce.url().parse().unwrap(),
        ApiVersion::DEFAULT,
        credentials,
    )
}
