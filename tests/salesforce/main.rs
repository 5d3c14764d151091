//! The client against the simulator: every way in, every refusal, and what it costs.

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::{
    ConnectedApp, Effect, Fault, HostRole, LoginHours, Org, Record, Sharing, Simulator, User, World,
};
use serde_json::Value;
use switchboard::salesforce::{
    Answer, ApiVersion, Connection, Credentials, DialPolicy, Environment, Limits, Meaning,
    RetryPolicy, Subrequest, Transport, probe,
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
    let limits = Limits {
        first_byte: second,
        between_bytes: second,
        total: 3 * second,
        ..Limits::default()
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

#[tokio::test]
async fn every_method_logs_in_and_the_probe_costs_three_calls() {
    for credentials in [password(), oauth_password(), jwt(), client_credentials()] {
        let simulator = start(acme()).await;
        let method = credentials.method();
        let connection = connect(&simulator, credentials);
        let findings = probe(&connection).await.unwrap();
        assert_eq!(findings.organization.name, "Acme", "{method}");
        assert_eq!(
            findings.organization.edition.as_deref(),
            Some("Enterprise Edition"),
            "{method}"
        );
        assert_eq!(findings.organization.id.len(), 18, "{method}");
        assert_eq!(
            findings.organization.id, findings.session.organization_id,
            "{method}"
        );
        assert_eq!(
            findings.organization.person_accounts,
            Some(false),
            "{method}"
        );
        assert_eq!(findings.session.username.as_deref(), Some(USER), "{method}");
        let access = &findings.access;
        assert_eq!(
            (&access.contact, &access.account, &access.lead),
            (&Answer::Yes, &Answer::Yes, &Answer::Yes),
            "{method}"
        );
        assert_eq!(findings.create_task, Answer::Yes, "{method}");
        let counters = simulator.counters();
        assert_eq!(
            (
                counters.logins_ok(),
                counters.logins_failed(),
                counters.api_calls()
            ),
            (1, 0, 3),
            "{method}"
        );
        assert_eq!(
            (connection.spent().logins, connection.spent().calls),
            (1, 3),
            "{method}"
        );
        let usage = findings.usage.unwrap();
        assert_eq!(usage.used, simulator.used("Acme").unwrap(), "{method}");
        // The session is kept: a second probe logs in no more.
        probe(&connection).await.unwrap();
        assert_eq!(simulator.counters().logins_ok(), 1, "{method}");
        simulator.shutdown().await;
    }
}

/// What is done to the organization, and what the probe then says.
#[tokio::test]
async fn every_refusal_has_its_meaning() {
    type Change = fn(&mut Org);
    fn user(org: &mut Org) -> &mut User {
        org.user_mut(USER).unwrap()
    }
    #[rustfmt::skip]
    let table: Vec<(&str, fn() -> Credentials, Change, Meaning)> = vec![
        ("wrong password", wrong_password, |_| {}, Meaning::InvalidLogin),
        ("inactive", password, |org| user(org).active = false, Meaning::InvalidLogin),
        ("frozen", password, |org| user(org).frozen = true, Meaning::InvalidLogin),
        ("locked", password, |org| user(org).locked = true, Meaning::InvalidLogin),
        ("expired password", password, |org| user(org).password_expired = true, Meaning::PasswordExpired),
        ("address", password, |org| user(org).login_ip_ranges = vec!["192.0.2.0/24".into()], Meaning::IpRestricted),
        ("SOAP off", password, |org| org.soap_login = false, Meaning::LoginMethodDisabled),
        ("no Any API Auth", password, |org| {
            org.soap_login_needs_any_api_auth = true;
            user(org).profile = "Standard User".into();
        }, Meaning::LoginMethodDisabled),
        ("no API", password, |org| org.api = false, Meaning::ApiDisabledForOrg),
        ("no API, JWT", jwt, |org| org.api = false, Meaning::ApiDisabledForOrg),
        ("user without API", password, |org| user(org).profile = "No API".into(), Meaning::ApiDisabledForUser),
        ("user without API, JWT", jwt, |org| user(org).profile = "No API".into(), Meaning::ApiDisabledForUser),
        ("maintenance", password, |org| org.maintenance = true, Meaning::Unreachable),
        ("REST refused", password, |org| user(org).rest_session_refused = true, Meaning::SessionNotForApi),
        ("quota", password, |org| org.daily_limit = Some(0), Meaning::RequestLimitExceeded),
        ("OAuth password off", oauth_password, |org| org.oauth_password = false, Meaning::InvalidLogin),
        ("app blocked", oauth_password, |org| org.apps[0].blocked = true, Meaning::AppBlocked),
        ("unknown app", oauth_password, |org| org.apps[0].client_id = "other".into(), Meaning::InvalidClient),
        ("wrong app secret", oauth_password, |org| org.apps[0].client_secret = "other".into(), Meaning::InvalidClient),
        ("JWT not approved", jwt, |org| org.apps[0].approved_users.clear(), Meaning::AppNotApproved),
        ("JWT inactive user", jwt, |org| user(org).active = false, Meaning::UserInactive),
        ("JWT no certificate", jwt, |org| org.apps[0].certificate = None, Meaning::InvalidAssertion),
        ("JWT to a sandbox", jwt, |org| org.sandbox = true, Meaning::AudienceInvalid),
        ("no run-as user", client_credentials, |org| org.apps[0].run_as = None, Meaning::NoRunAsUser),
        ("flow off", client_credentials, |org| org.apps[0].client_credentials = false, Meaning::LoginMethodDisabled),
        ("wrong secret", client_credentials, |org| org.apps[0].client_secret = "other".into(), Meaning::InvalidClient),
    ];
    for (name, credentials, change, expected) in table {
        let no_api = salesforce_simulator::Profile::integration();
        let no_api = salesforce_simulator::Profile::new("No API", no_api.grants.deny("ApiEnabled"));
        let mut org = acme().profile(no_api);
        change(&mut org);
        let simulator = start(org).await;
        let connection = connect(&simulator, credentials());
        for _ in 0..3 {
            let error = probe(&connection).await.unwrap_err();
            assert_eq!(error.meaning(), expected, "{name}: {error}");
            assert!(
                !error.message().contains("p<&") && !error.message().contains("s+cret"),
                "{name}: {error}"
            );
            if error.refused_login() {
                assert_eq!(
                    connection.spent().logins,
                    1,
                    "{name}: a refused log-in is not repeated"
                );
            }
        }
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_missing_token_is_told_from_a_wrong_password() {
    let simulator = start(acme()).await;
    let credentials = Credentials::Password {
        username: USER.to_owned(),
        password: "p<&\"ss".into(),
        security_token: None,
    };
    let error = connect(&simulator, credentials)
        .session()
        .await
        .unwrap_err();
    assert_eq!(error.meaning(), Meaning::SecurityTokenRequired);
}

#[tokio::test]
async fn login_hours_and_login_rate_pass_by_themselves() {
    let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).time();
    let hours = LoginHours {
        from: now.wrapping_add(SignedDuration::from_hours(2)),
        to: now.wrapping_add(SignedDuration::from_hours(3)),
    };
    let simulator =
        start(acme().with(|org| org.user_mut(USER).unwrap().login_hours = Some(hours))).await;
    let error = connect(&simulator, password()).session().await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::LoginHoursRestricted);
    assert!(!error.refused_login());

    let world = World::new()
        .org(acme())
        .switches(|switches| switches.logins_per_hour = 1);
    let simulator = Simulator::start(world).await.unwrap();
    connect(&simulator, password()).session().await.unwrap();
    let error = connect(&simulator, password()).session().await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::LoginRateExceeded);
}

#[tokio::test]
async fn client_credentials_want_my_domain() {
    let world = World::new()
        .org(acme())
        .host("localhost", HostRole::Production);
    let simulator = Simulator::start(world).await.unwrap();
    let error = connect(&simulator, client_credentials())
        .session()
        .await
        .unwrap_err();
    assert_eq!(error.meaning(), Meaning::MyDomainRequired);
}

#[tokio::test]
async fn a_sandbox_is_reached_with_its_own_audience() {
    let simulator = start(acme().with(|org| org.sandbox = true)).await;
    let connection = connect(&simulator, jwt()).environment(Environment::Sandbox);
    let findings = probe(&connection).await.unwrap();
    assert!(findings.organization.sandbox && !findings.organization.scratch);
    simulator
        .edit_org("Acme", |org| {
            org.trial_expires = Some(Timestamp::now() + SignedDuration::from_hours(240))
        })
        .unwrap();
    assert!(probe(&connection).await.unwrap().organization.scratch);
}

#[tokio::test]
async fn rights_are_proved_and_never_guessed() {
    let standard = |change: fn(&mut Org)| {
        acme()
            .with(|org| org.user_mut(USER).unwrap().profile = "Standard User".into())
            .with(change)
    };
    let findings = async |org: Org| {
        let simulator = start(org).await;
        let findings = probe(&connect(&simulator, password())).await.unwrap();
        simulator.shutdown().await;
        findings
    };
    let codes = |findings: &switchboard::salesforce::Findings| -> Vec<String> {
        findings
            .warnings
            .iter()
            .map(|warning| warning.code.clone())
            .collect()
    };
    let private = findings(standard(|_| {})).await;
    assert_eq!(private.access.contact, Answer::No);

    let public = findings(standard(|org| {
        for object in ["Contact", "Account", "Lead"] {
            org.sharing.insert(object.to_owned(), Sharing::Read);
        }
    }))
    .await;
    assert_eq!(public.access.contact, Answer::Yes);
    assert!(
        codes(&public).contains(&"ViewAllMissing".to_owned()),
        "{:?}",
        public.warnings
    );

    let no_lead = findings(acme().with(|org| org.missing_objects.push("Lead".to_owned()))).await;
    assert_eq!(
        (no_lead.access.contact, no_lead.access.lead),
        (Answer::Yes, Answer::Absent)
    );

    let one_missing =
        findings(acme().grants("Integration", |grants| grants.without_view_all("Contact"))).await;
    assert_eq!(
        (one_missing.access.contact, one_missing.access.account),
        (Answer::No, Answer::Yes)
    );

    let administrator = findings(
        acme().with(|org| org.user_mut(USER).unwrap().profile = "System Administrator".into()),
    )
    .await;
    assert_eq!(administrator.access.lead, Answer::Yes);

    let no_task = findings(acme().grants("Integration", |grants| grants.deny("EditTask"))).await;
    assert_eq!(no_task.create_task, Answer::No);
    assert!(codes(&no_task).contains(&"CannotCreateTask".to_owned()));

    let hidden =
        findings(acme().grants("Integration", |grants| grants.hide("Contact.MobilePhone"))).await;
    assert!(
        codes(&hidden).contains(&"FieldHidden".to_owned()),
        "{:?}",
        hidden.warnings
    );

    let people = findings(acme().with(|org| org.person_accounts = true)).await;
    assert_eq!(people.organization.person_accounts, Some(true));

    let world = World::new()
        .org(acme())
        .switches(|switches| switches.permission_objects_need_view_setup = true);
    let simulator = Simulator::start(world).await.unwrap();
    let unreadable = probe(&connect(&simulator, password())).await.unwrap();
    assert!(
        matches!(unreadable.access.contact, Answer::Unknown(_)),
        "{:?}",
        unreadable.access
    );
}

#[tokio::test]
async fn queries_page_and_composites_cost_one_call() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let first = connection
        .query::<Value>("SELECT Id FROM Contact")
        .await
        .unwrap();
    assert_eq!((first.records.len(), first.total_size), (2_000, 2_501));
    let second = connection
        .query_next::<Value>(&first.next.unwrap())
        .await
        .unwrap();
    assert_eq!((second.records.len(), second.next.is_none()), (501, true));
    let plus = connection
        .query::<Value>("SELECT LastName FROM Contact WHERE Phone = '+81312345678'")
        .await
        .unwrap();
    assert_eq!(plus.records[0]["LastName"], "O'Neil");
    let before = simulator.counters().api_calls();
    let answers = connection
        .composite(&[
            Subrequest::query(
                "contacts",
                "SELECT Name FROM Contact WHERE LastName = 'O\\'Neil'",
            ),
            Subrequest::query("nonsense", "SELECT Name FORM Contact"),
        ])
        .await
        .unwrap();
    assert_eq!(answers[0].page::<Value>().unwrap().total_size, 1);
    assert_eq!(
        answers[1].page::<Value>().unwrap_err().meaning(),
        Meaning::RequestRejected
    );
    assert_eq!(simulator.counters().api_calls() - before, 1);
}

#[tokio::test]
async fn a_revoked_session_costs_one_login_whoever_notices() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    probe(&connection).await.unwrap();
    simulator.revoke_all_sessions();
    let many = (0..20).map(|_| connection.query::<Value>("SELECT Id FROM Contact LIMIT 1"));
    assert!(
        futures::future::join_all(many)
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(simulator.counters().logins_ok(), 2);
    simulator.revoke_all_sessions();
    assert_eq!(
        probe(&connection.without_login())
            .await
            .unwrap_err()
            .meaning(),
        Meaning::LoginWithheld
    );
    simulator
        .edit_user(USER, |user| user.active = false)
        .unwrap();
    assert_eq!(
        probe(&connection).await.unwrap_err().meaning(),
        Meaning::InvalidLogin
    );
}

#[tokio::test]
async fn faults_are_repeated_or_named() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let query = || connection.query::<Value>("SELECT Id FROM Contact LIMIT 1");
    query().await.unwrap();
    for fault in [
        Fault::status(503),
        Fault::status(502),
        Fault::reset(),
        Fault::error("UNABLE_TO_LOCK_ROW"),
        Fault::new(Effect::Truncated),
    ] {
        simulator.fault(fault.on_path("*/query*").times(2));
        query().await.unwrap();
    }
    let named = [
        (Fault::html(200), Meaning::UnexpectedAnswer),
        (Fault::new(Effect::Garbage), Meaning::UnexpectedAnswer),
        (
            Fault::new(Effect::Empty { status: 200 }),
            Meaning::UnexpectedAnswer,
        ),
        (
            Fault::new(Effect::GzipBomb { megabytes: 64 }),
            Meaning::UnexpectedAnswer,
        ),
        (
            Fault::new(Effect::Redirect("https://evil.example/".to_owned())),
            Meaning::UnexpectedAnswer,
        ),
        (Fault::delay(5_000), Meaning::Unreachable),
        (Fault::error("QUERY_TIMEOUT"), Meaning::QueryTimeout),
        (Fault::status(420), Meaning::Unreachable),
    ];
    for (fault, meaning) in named {
        simulator.fault(fault.on_path("*/query*"));
        let error = query().await.unwrap_err();
        assert_eq!(error.meaning(), meaning, "{error}");
        simulator.clear_faults();
    }
    query().await.unwrap();
    simulator.set_down(true).await;
    assert_eq!(query().await.unwrap_err().meaning(), Meaning::Unreachable);
    simulator.set_down(false).await;
    query().await.unwrap();
    assert_eq!(simulator.counters().logins_ok(), 1);
}

#[tokio::test]
async fn versions_are_checked_against_the_instance() {
    let simulator = start(acme()).await;
    for (version, meaning) in [
        ("20.0", Meaning::UnsupportedApiVersion),
        ("99.0", Meaning::UnsupportedApiVersion),
    ] {
        let error = probe(&connect_with(
            &simulator,
            password(),
            version.parse().unwrap(),
        ))
        .await
        .unwrap_err();
        assert_eq!(error.meaning(), meaning, "{version}: {error}");
    }
    for version in ["40.0", "66.0"] {
        probe(&connect_with(
            &simulator,
            password(),
            version.parse().unwrap(),
        ))
        .await
        .unwrap();
    }
    let world = World::new()
        .org(acme())
        .switches(|switches| switches.oldest_version = 51.0);
    let simulator = Simulator::start(world).await.unwrap();
    for credentials in [password(), jwt()] {
        let error = probe(&connect(&simulator, credentials)).await.unwrap_err();
        assert_eq!(error.meaning(), Meaning::UnsupportedApiVersion, "{error}");
    }
}

#[tokio::test]
async fn a_login_that_points_away_and_an_unknown_authority_get_no_further() {
    let simulator =
        start(acme().with(|org| org.instance_url = Some("https://evil.example".to_owned()))).await;
    for credentials in [password(), jwt()] {
        let error = connect(&simulator, credentials)
            .session()
            .await
            .unwrap_err();
        assert_eq!(error.meaning(), Meaning::HostNotAllowed, "{error}");
    }
    let policy = DialPolicy::new(&["localhost".to_owned()], true, None).unwrap();
    let url = simulator.url().parse().unwrap();
    let connection = Connection::new(
        Transport::new(policy).unwrap(),
        url,
        ApiVersion::DEFAULT,
        password(),
    );
    assert_eq!(
        connection.session().await.unwrap_err().meaning(),
        Meaning::CertificateUntrusted
    );
}
