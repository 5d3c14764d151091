//! Tests of what the statuses say as metrics.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus_client::encoding::text::encode;

use super::*;
use crate::api::conditions::{SYNCED, Verdict};
use crate::api::status::{
    AddressBook as Book, ApiBudget, BookMode, Connection, Filling, Forecast, LastRun, Organization,
    Warning,
};
use crate::api::{AddressBook, fixtures};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn time(second: i64) -> Time {
    Time(at(second))
}

/// An integration that was created at this second, with an empty status.
fn one(name: &str, created: i64) -> SalesforceIntegration {
    let mut resource = fixtures::integration(name);
    resource.metadata.creation_timestamp = Some(time(created));
    resource.status = Some(SalesforceIntegrationStatus {
        observed_generation: Some(1),
        ..SalesforceIntegrationStatus::default()
    });
    resource
}

fn status(resource: &mut SalesforceIntegration) -> &mut SalesforceIntegrationStatus {
    resource.status.as_mut().unwrap()
}

fn fails(resource: &mut SalesforceIntegration, condition: &str, reason: &str, since: i64) {
    let verdict = Verdict::fails(reason, "");
    let conditions = &mut status(resource).conditions;
    conditions::set(conditions, condition, verdict, Some(1), at(since));
}

fn text(integrations: &[SalesforceIntegration], scrape: Scrape) -> String {
    let integrations = integrations.iter().cloned().map(Arc::new).collect();
    let mut text = String::new();
    encode(&mut text, &registry(integrations, scrape)).unwrap();
    text
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        let whole = format!("switchboard_{line}\n");
        assert!(text.contains(&whole), "{line}: {text}");
    }
}

#[test]
fn how_many_integrations_are_not_ready_why_and_since_when_is_told() {
    let mut fleet = [one("acme", 1), one("birch", 2), one("cedar", 3)];
    fails(&mut fleet[0], READY, "InvalidLogin", 500);
    fails(&mut fleet[1], READY, "InvalidLogin", 300);
    fails(&mut fleet[1], SYNCED, "RunFailed", 400);
    fleet[1].metadata.generation = Some(2);
    let scrape = Scrape {
        oldest_wait: Duration::from_millis(7_900),
        ..Scrape::default()
    };
    let text = text(&fleet, scrape);
    let ready = r#"condition="Ready",status="False",reason="InvalidLogin""#;
    has(
        &text,
        &[
            r#"integrations{ready="False",reason="InvalidLogin"} 2"#,
            r#"integrations{ready="Unknown",reason="Pending"} 1"#,
            &format!("conditions{{{ready}}} 2"),
            &format!("conditions_oldest_transition_timestamp_seconds{{{ready}}} 300"),
            r#"conditions{condition="Synced",status="False",reason="RunFailed"} 1"#,
            "queued 1",
            "queue_oldest_seconds 7",
        ],
    );
    assert!(!text.contains("acme"), "no tenant is named: {text}");
}

#[test]
fn what_ends_and_which_log_ins_are_withheld_is_told() {
    let mut fleet = [one("acme", 1), one("birch", 2)];
    fails(&mut fleet[0], CONNECTED, "InvalidLogin", 500);
    fails(&mut fleet[1], CONNECTED, "Unreachable", 500);
    status(&mut fleet[1]).connection = Some(Connection {
        next_attempt_at: Some(time(600)),
        ..Connection::default()
    });
    for code in [
        "SoapLoginRetiring",
        "SoapLoginRetiring",
        "A word of somebody",
    ] {
        status(&mut fleet[0]).warnings.push(Warning {
            code: code.into(),
            message: String::new(),
            remedy: String::new(),
        });
    }
    let text = text(&fleet, Scrape::default());
    has(
        &text,
        &[
            r#"warnings{code="SoapLoginRetiring"} 1"#,
            r#"warnings{code="Unknown"} 1"#,
            r#"warning_end_timestamp_seconds{code="SoapLoginRetiring"} 1811808000"#,
            r#"logins_withheld{reason="InvalidLogin"} 1"#,
        ],
    );
    assert!(
        !text.contains("Unreachable\"} 1\nswitchboard_logins"),
        "{text}"
    );
    assert_eq!(text.matches("switchboard_logins_withheld{").count(), 1);
}

#[test]
fn what_a_suspended_integration_lacks_is_counted_by_readiness_only() {
    let mut fleet = [one("acme", 1)];
    fails(&mut fleet[0], READY, "RunFailed", 500);
    fails(&mut fleet[0], CONNECTED, "InvalidLogin", 500);
    let scrape = Scrape {
        per_integration: 1,
        ..Scrape::default()
    };
    let concerns = [
        "conditions_oldest_transition_timestamp_seconds{",
        "logins_withheld{",
        "integration_condition_transition_timestamp_seconds{",
        "integration_login_withheld{",
    ];
    let works_on = text(&fleet, scrape);
    fleet[0].spec.suspend = true;
    let suspended = text(&fleet, scrape);
    for concern in concerns.map(|name| format!("switchboard_{name}")) {
        assert!(works_on.contains(&concern), "{concern}: {works_on}");
        assert!(!suspended.contains(&concern), "{concern}: {suspended}");
    }
    has(
        &suspended,
        &[r#"integrations{ready="False",reason="RunFailed"} 1"#],
    );
}

#[test]
fn the_integrations_of_an_org_are_added_up_and_its_newest_usage_counts() {
    let mut fleet = [one("acme", 1), one("birch", 2), one("cedar", 3)];
    for (resource, (org, used, seen)) in
        fleet
            .iter_mut()
            .zip([("00D1", 10, 100), ("00D1", 30, 200), ("00D2", 5, 100)])
    {
        let status = status(resource);
        status.organization = Some(Organization {
            id: org.into(),
            ..Organization::default()
        });
        status.api_budget = Some(ApiBudget {
            share: Some(100),
            ..ApiBudget::default()
        });
        status.api_usage = Some(ApiUsage {
            used,
            limit: 1_000,
            percent: used / 10,
            by_this_integration: 7,
            observed_at: time(seen),
        });
    }
    fails(&mut fleet[0], READY, "RunFailed", 1);
    has(
        &text(&fleet, Scrape::default()),
        &[
            r#"salesforce_api_requests_used{organization="00D1"} 30"#,
            r#"salesforce_api_requests_limit{organization="00D1"} 1000"#,
            r#"organization_integrations{organization="00D1"} 2"#,
            r#"organization_integrations_not_ready{organization="00D1"} 1"#,
            r#"organization_budget_requests{organization="00D1"} 200"#,
            r#"organization_budget_requests_used{organization="00D1"} 14"#,
            r#"salesforce_api_requests_used{organization="00D2"} 5"#,
            r#"series_left_out{of="organization"} 0"#,
        ],
    );
}

#[test]
fn of_too_many_orgs_those_near_their_limit_are_told() {
    let fleet: Vec<SalesforceIntegration> = (0..=MAX_ORGS as u64)
        .map(|number| {
            let mut resource = one(&format!("tenant-{number}"), 1);
            let status = status(&mut resource);
            status.organization = Some(Organization {
                id: format!("00D{number:04}"),
                ..Organization::default()
            });
            status.api_usage = Some(ApiUsage {
                used: number,
                limit: 100,
                percent: number,
                by_this_integration: 0,
                observed_at: time(1),
            });
            resource
        })
        .collect();
    let text = text(&fleet, Scrape::default());
    has(
        &text,
        &[
            r#"series_left_out{of="organization"} 1"#,
            r#"salesforce_api_requests_used{organization="00D1000"} 1000"#,
        ],
    );
    assert!(!text.contains("00D0000"));
}

#[test]
fn the_run_that_succeeded_longest_ago_and_what_is_left_to_ask_is_told() {
    let mut fleet = [one("acme", 1), one("birch", 2)];
    for (resource, (succeeded, remaining)) in fleet.iter_mut().zip([(900, 3), (700, 4)]) {
        let status = status(resource);
        status.last_successful_time = Some(time(succeeded));
        status.last_run = Some(LastRun {
            kind: "Sync".into(),
            remaining,
            ..LastRun::default()
        });
    }
    has(
        &text(&fleet, Scrape::default()),
        &[
            r#"oldest_success_timestamp_seconds{kind="Sync"} 700"#,
            "misses_waiting 7",
        ],
    );
}

#[test]
fn series_of_integrations_are_bounded_stay_with_the_older_and_go_with_the_resource() {
    let mut fleet = vec![one("young", 30), one("acme", 10), one("birch", 20)];
    for resource in &mut fleet {
        fails(resource, READY, "RunFailed", 40);
        status(resource).last_run = Some(LastRun {
            kind: "Lookup".into(),
            outcome: "Succeeded".into(),
            started_at: Some(time(50)),
            finished_at: Some(time(62)),
            unmatched: 2,
            ..LastRun::default()
        });
    }
    let two = Scrape {
        per_integration: 2,
        ..Scrape::default()
    };
    let all = text(&fleet, two);
    let birch = r#"namespace="tenant",name="birch""#;
    has(
        &all,
        &[
            &format!(
                r#"integration_condition_transition_timestamp_seconds{{{birch},condition="Ready",status="False",reason="RunFailed"}} 40"#
            ),
            &format!(
                r#"integration_last_run_timestamp_seconds{{{birch},kind="Lookup",outcome="Succeeded"}} 62"#
            ),
            &format!(r#"integration_last_run_numbers{{{birch},result="none"}} 2"#),
            &format!("integration_last_run_duration_seconds{{{birch}}} 12"),
            r#"series_left_out{of="integration"} 1"#,
        ],
    );
    assert!(!all.contains("young"), "{all}");
    fleet.retain(|resource| resource.metadata.name.as_deref() != Some("birch"));
    let less = text(&fleet, two);
    assert!(!less.contains("birch"), "{less}");
    has(&less, &[r#"series_left_out{of="integration"} 0"#]);
    assert!(less.contains(r#"name="young""#), "{less}");
    assert!(!text(&fleet, Scrape::default()).contains("integration_"));
}

#[test]
fn address_books_tell_their_size_how_far_they_are_behind_and_what_each_way_costs() {
    let mut fleet = [one("acme", 1), one("birch", 2), one("cedar", 3)];
    for wants in [0, 1] {
        fleet[wants].spec.contacts.address_book = AddressBook::Full;
    }
    status(&mut fleet[0]).address_book = Some(Book {
        mode: BookMode::Full,
        records: Some(400),
        numbers: Some(500),
        bytes: Some(90_000),
        filled_at: Some(time(1_000)),
        watermark: Some(time(9_000)),
        ..Book::default()
    });
    status(&mut fleet[1]).address_book = Some(Book {
        records: Some(20),
        bytes: Some(5_000),
        filling: Some(Filling {
            rows: 20,
            of: Some(70),
        }),
        ..Book::default()
    });
    status(&mut fleet[2]).address_book = Some(Book {
        forecast: Some(Forecast {
            on_demand: 300,
            full: 50,
            fill: None,
        }),
        ..Book::default()
    });
    let scrape = Scrape {
        per_integration: 3,
        now: at(10_000),
        ..Scrape::default()
    };
    let text = text(&fleet, scrape);
    has(
        &text,
        &[
            r#"address_books{mode="Full"} 1"#,
            r#"address_books{mode="OnDemand"} 1"#,
            "address_books_filling 1",
            "address_book_records 420",
            "address_book_bytes 95000",
            "address_book_lag_seconds 1000",
            r#"integration_address_book_lag_seconds{namespace="tenant",name="acme"} 1000"#,
            r#"integration_address_book_numbers{namespace="tenant",name="acme"} 500"#,
            r#"integration_address_book_fill_records{namespace="tenant",name="birch"} 20"#,
            r#"integration_address_book_fill_records_expected{namespace="tenant",name="birch"} 70"#,
            r#"integration_forecast_api_requests{namespace="tenant",name="cedar",mode="OnDemand"} 300"#,
            r#"integration_forecast_api_requests{namespace="tenant",name="cedar",mode="Full"} 50"#,
        ],
    );
    assert!(!text.contains(r#"lag_seconds{namespace="tenant",name="birch"}"#));
}

/// So that the sums of several leaders can be told from those of one and the one before it.
#[test]
fn every_series_of_one_of_several_shards_says_which_one() {
    let fleet = [one("acme", 1)];
    let scrape = Scrape {
        per_integration: 1,
        shard: "2/4".parse().unwrap(),
        ..Scrape::default()
    };
    let text = text(&fleet, scrape);
    let mut series = text.lines().filter(|line| !line.starts_with('#'));
    assert!(series.clone().count() > 5, "{text}");
    assert!(series.all(|line| line.contains(r#"shard="2""#)), "{text}");
}
