//! Tests of the client with the simulator: all log-in methods, all refusals, and the number of
//! calls.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod bulk;
mod logins;
mod probing;
mod requests;
mod rights;
mod words;

use salesforce_simulator::{ConnectedApp, Org, Record, Simulator, User, World};
use switchboard::salesforce::{
    ApiVersion, Connection, Credentials, DialPolicy, HttpLimits, RetryPolicy, Transport,
};

const USER: &str = "integration@acme.example";
const PRIVATE_KEY: &str = include_str!("../../src/salesforce/tests/data/rsa-pkcs8.pem");
const PUBLIC_KEY: &str = include_str!("../../src/salesforce/tests/data/rsa-public.pem");

fn user() -> User {
    User::integration(USER).password("p<&\"ss").token("T0k")
}

fn acme() -> Org {
    let app = ConnectedApp::new("key", "s+cret")
        .certificate(PUBLIC_KEY)
        .run_as(USER);
    let people = (0..2_500).map(|number| Record::person("Many").phone(&format!("03-{number:08}")));
    Org::enterprise("Acme")
        .user(user())
        .app(app)
        .account(Record::account("Acme KK"))
        .contact(
            Record::person("O'Neil")
                .phone("+81312345678")
                .of_account("Acme KK"),
        )
        .records("Contact", people)
}

async fn start(org: Org) -> Simulator {
    Simulator::start(World::new().org(org)).await.unwrap()
}

fn transport(simulator: &Simulator) -> Transport {
    let hosts = ["localhost".to_owned()];
    let policy =
        DialPolicy::new(&hosts, true, Some(simulator.ca_pem().as_bytes().to_vec())).unwrap();
    let second = std::time::Duration::from_secs(1);
    let limits = HttpLimits {
        first_byte: second,
        // A busy machine unpacks the largest answers slowly.
        between_bytes: 2 * second,
        total: 4 * second,
        ..HttpLimits::default()
    };
    Transport::with_limits(policy, limits).unwrap()
}

fn connect(simulator: &Simulator, credentials: Credentials) -> Connection {
    connect_with(simulator, credentials, ApiVersion::DEFAULT)
}

fn connect_with(
    simulator: &Simulator,
    credentials: Credentials,
    version: ApiVersion,
) -> Connection {
    let url = simulator.url().parse().unwrap();
    let retry = RetryPolicy {
        base: std::time::Duration::from_millis(5),
        ..RetryPolicy::default()
    };
    Connection::new(transport(simulator), url, version, credentials).retry(retry)
}

fn password() -> Credentials {
    Credentials::Password {
        username: USER.to_owned(),
        password: "p<&\"ss".into(),
        security_token: Some("T0k".into()),
    }
}

fn wrong_password() -> Credentials {
    Credentials::Password {
        username: USER.to_owned(),
        password: "wrong".into(),
        security_token: Some("T0k".into()),
    }
}

fn oauth_password() -> Credentials {
    Credentials::OauthPassword {
        username: USER.to_owned(),
        password: "p<&\"ss".into(),
        security_token: Some("T0k".into()),
        client_id: "key".to_owned(),
        client_secret: "s+cret".into(),
    }
}

fn jwt() -> Credentials {
    Credentials::JwtBearer {
        username: USER.to_owned(),
        client_id: "key".to_owned(),
        private_key: PRIVATE_KEY.into(),
    }
}

fn client_credentials() -> Credentials {
    Credentials::ClientCredentials {
        client_id: "key".to_owned(),
        client_secret: "s+cret".into(),
    }
}
