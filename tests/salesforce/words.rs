//! Tests of what Salesforce answers since 2025: apps that are not installed, scopes, hosts that
//! have moved, and composite requests of which a part fails.

use salesforce_simulator::{Fault, HostRole, Simulator, World};
use switchboard::salesforce::{Meaning, probe};

use crate::{acme, client_credentials, connect, jwt, password, start};

#[tokio::test]
async fn a_renamed_my_domain_and_a_page_for_browsers_name_the_host_to_write() {
    for (target, instead) in [
        ("acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("acme.lightning.force.com", "https://acme.my.salesforce.com"),
        ("acme.my.salesforce.mil", "https://acme.my.salesforce.mil"),
    ] {
        let role = HostRole::Moved(target.to_owned());
        let world = World::new().org(acme()).host("localhost", role);
        let simulator = Simulator::start(world).await.unwrap();
        for credentials in [password(), jwt(), client_credentials()] {
            let error = connect(&simulator, credentials)
                .session()
                .await
                .unwrap_err();
            assert_eq!(error.meaning(), Meaning::LoginUrlMoved, "{error}");
            let said = format!("{error} {}", error.remedy());
            assert!(
                said.contains(&format!("write {instead} into loginUrl")),
                "{said}"
            );
            assert!(
                !said.contains("captive portal") && !error.refused_login(),
                "{said}"
            );
        }
        assert_eq!(simulator.counters().logins.len(), 0);
    }
}

#[tokio::test]
async fn a_session_whose_host_has_moved_is_replaced() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    probe(&connection, &[]).await.unwrap();
    let moved =
        salesforce_simulator::Effect::Redirect("https://acme.my.salesforce.com/".to_owned());
    simulator.fault(Fault::new(moved).on_path("/services/data/*").once());
    probe(&connection, &[]).await.unwrap();
    assert_eq!(simulator.counters().logins_ok(), 2);
}

#[tokio::test]
async fn an_app_that_is_not_in_the_org_is_named_and_its_log_in_is_not_repeated() {
    for (error_code, description) in [
        (
            "app_not_found",
            "External client app is not installed in this org",
        ),
        ("OAUTH_EC_APP_NOT_FOUND", "External client app not found"),
        ("invalid_client", "app must be installed into org"),
    ] {
        let mut org = acme();
        org.apps[0].installed = false;
        let world = World::new().org(org).switches(|switches| {
            switches.app_not_found_error = error_code.to_owned();
            switches.app_not_found_description = description.to_owned();
        });
        let simulator = Simulator::start(world).await.unwrap();
        for credentials in [jwt(), client_credentials()] {
            let connection = connect(&simulator, credentials);
            let error = connection.session().await.unwrap_err();
            assert_eq!(error.meaning(), Meaning::AppNotInstalled, "{error}");
            assert!(error.refused_login());
            assert!(error.remedy().contains("My Domain"), "{}", error.remedy());
        }
    }
}

#[tokio::test]
async fn a_session_without_the_scope_api_says_so_first() {
    let mut org = acme();
    org.apps[0].scopes = vec!["openid".to_owned()];
    let simulator = start(org).await;
    for credentials in [jwt(), client_credentials()] {
        let error = probe(&connect(&simulator, credentials), &[])
            .await
            .unwrap_err();
        assert_eq!(error.meaning(), Meaning::SessionNotForApi, "{error}");
        let remedy = error.remedy();
        let (scope, address) = (
            remedy.find("(api)").unwrap(),
            remedy.find("IP address").unwrap(),
        );
        assert!(scope < address, "{remedy}");
    }
    probe(&connect(&simulator, password()), &[]).await.unwrap();
}

#[tokio::test]
async fn a_token_endpoint_that_stumbles_refuses_nobody() {
    let simulator = start(acme()).await;
    simulator.fault(
        Fault::error("unknown_error")
            .on_path("*/oauth2/token")
            .once(),
    );
    let connection = connect(&simulator, jwt());
    let error = connection.session().await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::SalesforceError, "{error}");
    assert!(!error.refused_login());
    connection.session().await.unwrap();
}

#[tokio::test]
async fn a_part_that_fails_in_passing_costs_one_call_more_and_no_finding() {
    let simulator = start(acme()).await;
    let connection = connect(&simulator, password());
    let healthy = probe(&connection, &[]).await.unwrap();
    let calls = simulator.counters().api_calls();
    for (at, status, code, message, logins) in [
        (
            0,
            500,
            "UNKNOWN_EXCEPTION",
            "An unexpected error occurred",
            1,
        ),
        (1, 503, "SERVER_UNAVAILABLE", "Server is unavailable", 1),
        (
            2,
            401,
            "INVALID_SESSION_ID",
            "Session expired or invalid",
            2,
        ),
    ] {
        let before = simulator.counters().api_calls();
        simulator.fault(Fault::part(at, status, code, message).once());
        let findings = probe(&connection, &[]).await.unwrap();
        assert_eq!(findings.access, healthy.access);
        assert_eq!(findings.warnings, healthy.warnings);
        assert_eq!(
            simulator.counters().api_calls() - before,
            calls + 1,
            "{code}"
        );
        assert_eq!(simulator.counters().logins_ok(), logins, "{code}");
    }
    simulator.fault(Fault::part(
        2,
        403,
        "REQUEST_LIMIT_EXCEEDED",
        "TotalRequests Limit exceeded.",
    ));
    let error = probe(&connection, &[]).await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::RequestLimitExceeded, "{error}");
}
