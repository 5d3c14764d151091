//! Tests of the connection test.

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::{Org, Sharing, Simulator, User, World};
use switchboard::salesforce::{Environment, Meaning, UserRow, UsersFound, Visibility, probe};

use crate::{USER, acme, connect, connect_with, jwt, password, start};

#[tokio::test]
async fn a_sandbox_is_reached_with_its_own_audience() {
    let simulator = start(acme().with(|org| org.sandbox = true)).await;
    let connection = connect(&simulator, jwt()).environment(Environment::Sandbox);
    let findings = probe(&connection, &[]).await.unwrap();
    assert!(findings.organization.sandbox && !findings.organization.scratch);
    simulator
        .edit_org("Acme", |org| {
            org.trial_expires = Some(Timestamp::now() + SignedDuration::from_hours(240))
        })
        .unwrap();
    assert!(probe(&connection, &[]).await.unwrap().organization.scratch);
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
        let findings = probe(&connect(&simulator, password()), &[]).await.unwrap();
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
    let unreadable = probe(&connect(&simulator, password()), &[]).await.unwrap();
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
        let error = probe(
            &connect_with(&simulator, password(), version.parse().unwrap()),
            &[],
        )
        .await
        .unwrap_err();
        assert_eq!(error.meaning(), meaning, "{version}: {error}");
    }
    for version in ["40.0", "66.0"] {
        probe(
            &connect_with(&simulator, password(), version.parse().unwrap()),
            &[],
        )
        .await
        .unwrap();
    }
    let world = World::new()
        .org(acme())
        .switches(|switches| switches.oldest_version = 51.0);
    let simulator = Simulator::start(world).await.unwrap();
    for credentials in [password(), jwt()] {
        let error = probe(&connect(&simulator, credentials), &[])
            .await
            .unwrap_err();
        assert_eq!(error.meaning(), Meaning::UnsupportedApiVersion, "{error}");
    }
}

/// An org with this many users in one call center, and their user names.
fn with_users(count: usize) -> (Org, Vec<String>) {
    let names: Vec<String> = (0..count)
        .map(|at| format!("user{at:04}@acme.example"))
        .collect();
    let org = names.iter().fold(acme(), |org, name| {
        org.user(User::standard(name).call_center("Support"))
    });
    (org, names)
}

#[tokio::test]
async fn the_users_of_call_centers_ride_along_and_only_long_lists_cost_calls() {
    for (count, credentials, further) in [
        (50, password(), 0),
        (50, jwt(), 0),
        (1_000, password(), 0),
        (2_000, password(), 1),
    ] {
        let (org, mut names) = with_users(count);
        let simulator = start(org).await;
        let connection = connect(&simulator, credentials);
        probe(&connection, &[]).await.unwrap();
        let without = connection.spent().calls;
        names.push("nobody@acme.example".into());
        let findings = probe(&connection, &names).await.unwrap();
        assert_eq!(connection.spent().calls - without, 3 + further, "{count}");
        let UsersFound::Rows(rows) = findings.users else {
            panic!("{:?}", findings.users)
        };
        assert_eq!(rows.len(), count);
        let is_fine = |row: &UserRow| row.is_active && row.call_center_id.is_some();
        assert!(rows.iter().all(is_fine), "{rows:?}");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn call_centers_that_the_user_may_not_read_are_said_and_fail_nothing() {
    let hidden: [fn(&Simulator); 2] = [
        |simulator| {
            let edited = simulator.edit_org("Acme", |org| {
                org.missing_objects.push("CallCenter".into());
            });
            edited.unwrap();
        },
        |simulator| {
            let edited = simulator.edit(|world| world.switches.call_centers_need_permission = true);
            edited.unwrap();
        },
    ];
    for hide in hidden {
        let (org, names) = with_users(1);
        let simulator = start(org).await;
        hide(&simulator);
        let findings = probe(&connect(&simulator, password()), &names)
            .await
            .unwrap();
        assert_eq!(findings.access.contact, Visibility::Yes);
        let UsersFound::Unreadable(why) = findings.users else {
            panic!("{:?}", findings.users)
        };
        assert!(why.contains("CallCenterId"), "{why}");
        simulator.shutdown().await;
    }
}
