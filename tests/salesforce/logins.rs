//! Tests of all log-in methods and all refusals.

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::{HostRole, LoginHours, Org, Simulator, User, World};
use switchboard::salesforce::{
    ApiVersion, Connection, Credentials, DialPolicy, Meaning, Transport, Visibility, probe,
};

use crate::{
    USER, acme, client_credentials, connect, jwt, oauth_password, password, start, wrong_password,
};

#[tokio::test]
async fn every_method_logs_in_and_the_probe_costs_three_calls() {
    for credentials in [password(), oauth_password(), jwt(), client_credentials()] {
        let simulator = start(acme()).await;
        let method = credentials.method();
        let connection = connect(&simulator, credentials);
        let findings = probe(&connection, &[]).await.unwrap();
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
            (&Visibility::Yes, &Visibility::Yes, &Visibility::Yes),
            "{method}"
        );
        assert_eq!(findings.create_task, Visibility::Yes, "{method}");
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
        // The session is reused: a second probe does not log in again.
        probe(&connection, &[]).await.unwrap();
        assert_eq!(simulator.counters().logins_ok(), 1, "{method}");
        simulator.shutdown().await;
    }
}

/// Pairs of a change of the organization and the expected result of the probe.
#[tokio::test]
async fn every_refusal_has_its_meaning() {
    type Login = fn() -> Credentials;
    type Change = fn(&mut Org);
    fn user(org: &mut Org) -> &mut User {
        org.user_mut(USER).unwrap()
    }
    #[rustfmt::skip]
    let table: Vec<(&str, Login, Change, Meaning)> = vec![
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
            let error = probe(&connection, &[]).await.unwrap_err();
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
