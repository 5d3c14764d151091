//! Tests of the connection test.

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::{Org, Sharing, Simulator, World};
use switchboard::salesforce::{Environment, Meaning, Visibility, probe};

use crate::{USER, acme, connect, connect_with, jwt, password, start};

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
            .map(|warning| warning.code.to_string())
            .collect()
    };
    let private = findings(standard(|_| {})).await;
    assert_eq!(private.access.contact, Visibility::No);

    let public = findings(standard(|org| {
        for object in ["Contact", "Account", "Lead"] {
            org.sharing.insert(object.to_owned(), Sharing::Read);
        }
    }))
    .await;
    assert_eq!(public.access.contact, Visibility::Yes);
    assert!(
        codes(&public).contains(&"ViewAllMissing".to_owned()),
        "{:?}",
        public.warnings
    );

    let no_lead = findings(acme().with(|org| org.missing_objects.push("Lead".to_owned()))).await;
    assert_eq!(
        (no_lead.access.contact, no_lead.access.lead),
        (Visibility::Yes, Visibility::Absent)
    );

    let one_missing =
        findings(acme().grants("Integration", |grants| grants.without_view_all("Contact"))).await;
    assert_eq!(
        (one_missing.access.contact, one_missing.access.account),
        (Visibility::No, Visibility::Yes)
    );

    let administrator = findings(
        acme().with(|org| org.user_mut(USER).unwrap().profile = "System Administrator".into()),
    )
    .await;
    assert_eq!(administrator.access.lead, Visibility::Yes);

    let no_task = findings(acme().grants("Integration", |grants| grants.deny("EditTask"))).await;
    assert_eq!(no_task.create_task, Visibility::No);
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
        matches!(unreadable.access.contact, Visibility::Unknown(_)),
        "{:?}",
        unreadable.access
    );
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
