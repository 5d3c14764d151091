//! Rules at the very place where they begin to hold, and with one of their conditions alone.

use serde_json::{Value, json};

use super::fates::{later, pod, terminated, waiting};
use super::*;
use crate::api::API_CALLS;
use crate::api::conditions::{CREDENTIALS_AVAILABLE, EXCLUSIVE, find};
use crate::api::status::{Connection, ErrorEntry, LoginRefusal};
use crate::decide::login::ledger::note_refused_at;
use crate::decide::login::user_limit::Refused;
use crate::decide::resident::next_follow;
use crate::decide::rules::budget;
use crate::decide::rules::pods::PodRules;
use crate::decide::rules::user_claim::Standing;
use crate::decide::runs::judge_pod;
use crate::decide::runs::labels::kind_of;
use crate::decide::runs::stuck::{is_missed, judge_pending};
use crate::run::{ChangesRead, Filling, Followed};

#[test]
fn shares_of_an_org_are_over_booked_above_a_hundred_per_cent() {
    for (percent, others, is) in [(20, 79, false), (20, 80, false), (20, 81, true)] {
        assert_eq!(budget::is_overbooked(percent, others), is, "{others}");
    }
}

#[test]
fn a_run_is_missed_from_fifteen_seconds_to_an_hour_after_it_was_due() {
    let seen: Vec<bool> = [0, 14, 15, 3_599, 3_600]
        .map(|second| is_missed(at(0), at(second)))
        .into();
    assert_eq!(seen, [false, false, true, true, false]);
}

#[test]
fn the_kind_of_a_run_is_what_its_label_says() {
    let kind = |text: &str| {
        kind_of(
            &[("switchboard.dev/run".to_owned(), text.to_owned())]
                .into_iter()
                .collect(),
        )
    };
    assert_eq!(
        [kind("sync"), kind("lookup"), kind("other")],
        [Some(RunKind::Sync), Some(RunKind::Lookup), None]
    );
}

#[test]
fn a_pod_that_waits_is_told_of_in_words_for_its_reason() {
    for (reason, words) in [
        ("ErrImagePull", "cannot pull the image"),
        ("CreateContainerConfigError", "cannot make the container"),
        ("ContainerCreating", "is being created and does not start"),
    ] {
        let stuck = judge_pending(&pod(waiting(reason))).unwrap();
        assert!(stuck.message.contains(words), "{}", stuck.message);
        assert_eq!(stuck.has_reason(), reason != "ContainerCreating");
    }
}

#[test]
fn a_request_is_refused_for_the_job_that_the_cluster_refuses_and_for_no_other() {
    let refused = Admission::Refused(RefusedObject::Job("acme-1".into(), "quota".into()));
    assert_eq!(
        refused.refuses_job("acme-1").unwrap().0,
        Reason::RefusedByCluster
    );
    assert_eq!(refused.refuses_job("acme-2"), None);
    let not_ours = |kind| {
        Admission::Refused(RefusedObject::NotOurs(NotOurs {
            kind,
            name: "acme-1".into(),
            integration: "acme".into(),
            whose: Whose::Predecessor,
        }))
    };
    assert_eq!(
        not_ours("Job").refuses_job("acme-1").unwrap().0,
        Reason::ObjectNotOurs
    );
    assert_eq!(not_ours("Job").refuses_job("acme-2"), None);
    assert_eq!(not_ours("Secret").refuses_job("acme-1"), None);
}

#[test]
fn what_a_pod_was_allowed_stands_in_its_annotation() {
    let mut ended = pod(terminated(0, "Completed", ""));
    assert_eq!(judge_pod(&ended, later()).unwrap().allowance, None);
    ended
        .annotations_mut()
        .insert(API_CALLS.into(), "77".into());
    assert_eq!(judge_pod(&ended, later()).unwrap().allowance, Some(77));
}

/// What is believed of a report that a pod of five seconds left.
fn believed(change: impl FnOnce(&mut RunReport)) -> RunReport {
    let mut report = RunReport::begin(RunKind::Lookup, at(0));
    change(&mut report);
    let text = serde_json::to_string(&report).unwrap();
    let ended = judge_pod(&pod(terminated(0, "Completed", &text)), later()).unwrap();
    ended.report.expect(&ended.message)
}

#[test]
fn a_report_is_believed_up_to_what_can_be_and_no_further() {
    let doubts = |change: &dyn Fn(&mut RunReport)| {
        let report = believed(|report| change(report));
        let warnings = report.warnings.iter();
        warnings
            .map(|note| note.message.clone())
            .collect::<String>()
    };
    let book = |change: &dyn Fn(&mut BookReport)| {
        let mut book = BookReport {
            records: 10,
            numbers: 500,
            bytes: 200_000,
            filled_at: Some(at(5)),
            watermark: Some(at(5)),
            ..BookReport::default()
        };
        change(&mut book);
        doubts(&|report| report.address_book = Some(book))
    };
    // A second is begun: six of them.
    assert_eq!(doubts(&|report| report.api_calls = 600), "");
    assert!(doubts(&|report| report.api_calls = 601).contains("apiCalls 601"));
    assert_eq!(doubts(&|report| report.calls = 120_000), "");
    assert!(doubts(&|report| report.calls = 120_001).contains("calls, numbers"));
    assert_eq!(
        doubts(&|report| report.org_records = Some(1_000_000_000)),
        ""
    );
    assert!(doubts(&|report| report.org_records = Some(1_000_000_001)).contains("orgRecords"));
    let changes = |rows, seconds| {
        doubts(&|report| {
            report.changes_read = Some(ChangesRead { rows, seconds });
        })
    };
    assert_eq!(changes(120_000, 16 * 24 * 3_600), "");
    assert!(changes(120_001, 1).contains("changesRead"));
    assert!(changes(1, 16 * 24 * 3_600 + 1).contains("changesRead"));
    assert_eq!(book(&|_| {}), "");
    let forged: [&dyn Fn(&mut BookReport); 7] = [
        &|book| book.records = 1_000_000_001,
        &|book| book.numbers = 501,
        &|book| book.bytes = 200_001,
        &|book| book.filled_at = Some(at(6)),
        &|book| book.watermark = Some(at(6)),
        &|book| {
            book.filling = Some(Filling {
                rows: 1_000_000_001,
                ..Filling::default()
            });
        },
        &|book| {
            book.filling = Some(Filling {
                of: Some(1_000_000_001),
                ..Filling::default()
            });
        },
    ];
    for (index, change) in forged.into_iter().enumerate() {
        assert!(book(change).contains("addressBook"), "{index}");
    }
    let followed = Followed {
        changed: 1,
        ..Followed::default()
    };
    let without_a_request = doubts(&|report| report.followed = Some(followed));
    assert!(
        without_a_request.contains("followed"),
        "{without_a_request}"
    );
    assert_eq!(
        doubts(&|report| report.followed = Some(Followed::default())),
        ""
    );
    let with_one = |report: &mut RunReport| {
        report.api_calls = 1;
        report.followed = Some(followed);
    };
    assert_eq!(doubts(&with_one), "");
}

fn refused_login(second: i64, credential: Option<&str>) -> Refused {
    Refused {
        at: at(second),
        credential: credential.map(str::to_owned),
        unanswered: false,
        reported: false,
    }
}

#[test]
fn a_refusal_is_of_the_credential_that_was_refused() {
    let refused = refused_login(0, Some("f1"));
    assert!(refused.refuses("f1"));
    assert!(!refused.refuses("f2"));
    assert!(!refused_login(0, None).refuses("f1"));
    let unanswered = Refused {
        unanswered: true,
        ..refused
    };
    assert!(!unanswered.refuses("f1"));
}

#[test]
fn the_times_of_refusals_are_kept_the_newest_first_and_not_more_than_count() {
    let mut connection = Connection::default();
    for second in [10, 30, 20] {
        note_refused_at(&mut connection, at(second));
    }
    let times = connection.refused_at.iter();
    let times: Vec<_> = times.map(|time| time.0).collect();
    assert_eq!(times, [at(30), at(20)]);
}

/// The status of an integration whose log-in with `f1` was refused.
fn refused_status(second: i64) -> SalesforceIntegrationStatus {
    SalesforceIntegrationStatus {
        connection: Some(Connection {
            credentials_version: Some("f1".into()),
            user_version: Some("u1".into()),
            failed_logins: 1,
            refused_at: vec![Time(at(second))],
            refusals: vec![LoginRefusal {
                at: Time(at(second)),
                user_version: "u1".into(),
                credentials_version: Some("f1".into()),
                unanswered: false,
                reported: false,
            }],
            ..Connection::default()
        }),
        ..SalesforceIntegrationStatus::default()
    }
}

#[test]
fn of_the_refusals_of_all_who_have_a_credential_the_newest_counts() {
    let mut siblings = SiblingLogins::default();
    siblings.add("f2", &refused_status(50));
    assert_eq!(siblings.refusal, None, "another credential");
    for second in [10, 30, 20] {
        siblings.add("f1", &refused_status(second));
    }
    assert_eq!(siblings.refusal.as_ref().unwrap().at, at(30));
    assert_eq!(siblings.proved_at, None);
    let mut proved = refused_status(40);
    let connection = proved.connection.as_mut().unwrap();
    connection.failed_logins = 0;
    connection.verified_at = Some(Time(at(45)));
    siblings.add("f1", &proved);
    assert_eq!(siblings.proved_at, Some(at(45)));
    assert_eq!(
        siblings.refusal.as_ref().unwrap().at,
        at(30),
        "what was refused before it worked is no refusal any more"
    );
    siblings.add_logged(
        "f1",
        [refused_login(20, Some("f1")), refused_login(60, None)],
    );
    assert_eq!(siblings.refusal.as_ref().unwrap().at, at(30));
    siblings.add_logged("f1", [refused_login(31, Some("f1"))]);
    let newest = siblings.refusal.unwrap();
    assert_eq!(newest.at, at(31));
    assert!(newest.failure.message.contains("this very credential"));
}

#[test]
fn who_lost_its_company_or_never_connects_by_itself_keeps_no_users() {
    let claims = |conditions: &[(&str, Reason)]| {
        let mut resource = fixtures::integration("acme");
        let mut status = SalesforceIntegrationStatus::default();
        for (type_, reason) in conditions {
            conditions::set(
                &mut status.conditions,
                type_,
                Verdict::fails(*reason, "so"),
                Some(1),
                at(0),
            );
        }
        resource.status = Some(status);
        let mut young = fixtures::integration("beta");
        young.metadata.creation_timestamp = Some(Time(at(1_000_000)));
        resource.metadata.creation_timestamp = Some(Time(at(0)));
        Standing::of(&resource).excludes(&Standing::of(&young).proved_in(""))
    };
    assert!(claims(&[]));
    assert!(!claims(&[(EXCLUSIVE, Reason::CompanyIdTaken)]));
    assert!(claims(&[(EXCLUSIVE, Reason::UserInOtherCallCenter)]));
    assert!(!claims(&[(READY, Reason::InvalidSpec)]));
    assert!(claims(&[(READY, Reason::RunFailed)]));
    assert!(!claims(&[(CREDENTIALS_AVAILABLE, Reason::SecretNotFound)]));
    assert!(!claims(&[(
        CONNECTED,
        Reason::from(Meaning::HostNotAllowed)
    )]));
    assert!(claims(&[(CONNECTED, Reason::from(Meaning::Unreachable))]));
    assert!(!claims(&[(CONNECTED, Reason::from(Meaning::InvalidLogin))]));
}

#[test]
fn before_the_org_is_known_those_of_one_log_in_host_are_in_one_place() {
    let standing = |second: i64, url: Option<&str>, environment: crate::api::Environment| {
        let mut resource = fixtures::integration("acme");
        resource.metadata.creation_timestamp = Some(Time(at(second)));
        resource.spec.salesforce.login_url = url.map(str::to_owned);
        resource.spec.salesforce.environment = environment;
        Standing::of(&resource)
    };
    use crate::api::Environment::{Production, Sandbox};
    let old = standing(1, None, Production);
    for (url, environment, same) in [
        (None, Production, true),
        (None, Sandbox, false),
        (Some("https://LOGIN.salesforce.com"), Sandbox, true),
        (Some("https://acme.my.salesforce.com"), Production, false),
    ] {
        let young = standing(2, url, environment).proved_in("");
        assert_eq!(old.excludes(&young), same, "{url:?}");
    }
}

#[test]
fn changes_are_asked_for_again_within_their_time_where_the_controller_follows() {
    let mut world = World::new();
    let next = |world: &World| {
        let settings = Settings::read(&world.resource.spec).unwrap();
        next_follow(&world.resource, &settings, &world.config, at(0))
    };
    assert_eq!(next(&world), None, "pods do");
    world.config.runs_where = RunsWhere::Resident;
    let settings = Settings::read(&world.resource.spec).unwrap();
    let (_, every) = settings.follow.unwrap();
    let wait = next(&world).unwrap().duration_since(at(0)).as_secs_f64();
    let share = wait / every.as_secs_f64();
    assert!((0.75..=1.25).contains(&share), "{share}");
    world.resource.spec.contacts.retrieval = Retrieval::Daily;
    assert_eq!(next(&world), None, "the schedule does");
}

#[test]
fn what_the_platform_team_gives_all_pods_is_checked_word_by_word() {
    let check = |template: Value| {
        let text = json!({"podTemplate": template}).to_string();
        PodRules::read(&text, "128Mi").err().unwrap_or_default()
    };
    let toleration = |change: Value| {
        let mut toleration = json!({
            "key": "pool", "operator": "Equal", "value": "workers", "effect": "NoSchedule",
        });
        for (field, value) in change.as_object().unwrap() {
            toleration[field] = value.clone();
        }
        check(json!({"tolerations": [toleration]}))
    };
    for fine in [
        json!({}),
        json!({"operator": null, "effect": null}),
        json!({"operator": "Exists", "value": ""}),
        json!({"key": null, "operator": "Exists", "value": null}),
    ] {
        assert_eq!(toleration(fine.clone()), "", "{fine}");
    }
    for (wrong, said) in [
        (json!({"operator": "In"}), "neither Equal nor Exists"),
        (json!({"effect": "Evict"}), "none of NoSchedule"),
        (json!({"operator": "Exists"}), "goes without a value"),
        (json!({"key": null}), "must be Exists"),
        (json!({"key": "a b"}), "a b"),
    ] {
        let told = toleration(wrong);
        assert!(
            told.contains(said) && told.contains("tolerations"),
            "{told}"
        );
    }
    for (field, name, is_fine) in [
        ("serviceAccountName", json!(""), true),
        ("serviceAccountName", json!("runs"), true),
        ("serviceAccountName", json!("No Name"), false),
        ("imagePullSecrets", json!(["registry"]), true),
        ("imagePullSecrets", json!([""]), false),
    ] {
        let told = check(json!({field: name}));
        assert_eq!(told.is_empty(), is_fine, "{told}");
        assert!(is_fine || told.contains(field), "{told}");
    }
}

#[test]
fn all_texts_of_a_status_fit_together_and_short_ones_stay_whole() {
    let fault = |number: usize, bytes: usize| ErrorEntry {
        code: format!("Code{number}"),
        message: "m".repeat(bytes),
        remedy: "r".repeat(100),
        source: "Lookup".into(),
        first_seen: Time(at(0)),
        last_seen: Time(at(0)),
        count: 1,
    };
    let texts = |status: &SalesforceIntegrationStatus| {
        let errors = status.errors.iter();
        errors
            .map(|error| error.code.len() + error.message.len() + error.remedy.len())
            .sum::<usize>()
    };
    // 10 of 5 + 919 + 100 bytes are 10,240.
    let mut status = SalesforceIntegrationStatus {
        errors: (0..10).map(|number| fault(number, 919)).collect(),
        ..SalesforceIntegrationStatus::default()
    };
    let before = status.clone();
    fit_texts(&mut status);
    assert_eq!(status, before);
    status.errors[0].message.push('m');
    status.errors[1].message = "short".into();
    status.errors[2].message = "m".repeat(5_000);
    fit_texts(&mut status);
    assert!(texts(&status) <= 10_240, "{}", texts(&status));
    assert_eq!(status.errors[1].message, "short");
    assert_eq!(
        status.errors[3].message.len(),
        919,
        "only the longest is shortened"
    );
    assert!((1_000..5_000).contains(&status.errors[2].message.len()));
}

#[test]
fn a_suspended_integration_says_so_whatever_it_waits_for() {
    for mut world in [World::healthy(), World::new()] {
        world.resource.spec.suspend = true;
        world.step(Ok(findings()));
        let status = world.resource.status.as_ref().unwrap();
        let ready = find(&status.conditions, READY).unwrap();
        assert_eq!(
            (&*ready.reason, &*ready.message),
            ("Suspended", "The integration is suspended.")
        );
    }
}

#[test]
fn a_plan_that_only_creates_the_first_objects_is_told_from_one_that_changes_any() {
    let settled = World::healthy();
    let is_first = |live: &[u8], change: &dyn Fn(&mut Plan)| {
        let mut plan = settled.decide(None);
        (plan.mint_tokens, plan.cron_job, plan.run) = (false, None, None);
        plan.retire.clear();
        change(&mut plan);
        plan.is_first(live)
    };
    assert!(!is_first(&[], &|_| {}), "it creates nothing");
    assert!(is_first(&[], &|plan| plan.mint_tokens = true));
    assert!(is_first(&[], &|plan| plan.cron_job = Some(CronJob::default())));
    assert!(
        !is_first(&[1], &|plan| plan.mint_tokens = true),
        "there is one"
    );
    assert!(!is_first(&[], &|plan| {
        plan.mint_tokens = true;
        plan.retire = vec![Retire::Delete("acme-sync".into())];
    }));
    assert!(!is_first(&[], &|plan| {
        plan.mint_tokens = true;
        plan.run = Some(Job::default());
    }));
}

#[test]
fn where_the_limit_of_the_org_is_not_known_any_more_there_is_no_share_of_it() {
    let mut world = World::healthy();
    let share = |world: &World| {
        let status = world.resource.status.as_ref().unwrap();
        status.api_budget.as_ref().unwrap().share
    };
    assert_eq!(share(&world), Some(20_000));
    let status = world.resource.status.as_mut().unwrap();
    status.api_usage.as_mut().unwrap().limit = 0;
    world.step(Ok(findings()));
    assert_eq!(share(&world), None);
}

#[test]
fn a_test_is_made_when_it_is_asked_for_and_not_when_the_request_is_taken_back() {
    let mut world = World::healthy();
    world.ask(TEST_REQUESTED_AT, "one");
    world.now = 4_000;
    world.step(Ok(findings()));
    let proofs = world.proofs;
    assert_eq!(proofs, 2);
    world.resource.annotations_mut().remove(TEST_REQUESTED_AT);
    world.now = 4_001;
    world.step(Ok(findings()));
    assert_eq!(world.proofs, proofs);
}

#[test]
fn a_shared_user_is_a_warning_while_this_one_is_refused_and_others_wait_for_it() {
    let warned = |shared: bool, outcome| {
        let mut world = World::new();
        world.siblings.user_is_shared = shared;
        let plan = world.step(outcome);
        let codes = plan
            .status
            .warnings
            .iter()
            .map(|warning| warning.code.clone());
        codes.filter(|code| code == "UserIsShared").count()
    };
    assert_eq!(warned(true, refused()), 1);
    assert_eq!(warned(false, refused()), 0);
    assert_eq!(warned(true, Ok(findings())), 0);
}
