//! The rules, as sentences. What a case needs is built from a healthy integration; each test changes what it is about.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::runs::EndedRun;
use super::*;
use crate::api::{InvalidField, Retrieval, SalesforceIntegration};
use crate::controller::claims::Claim;
use crate::controller::config::Config;
use crate::controller::fixtures;
use crate::salesforce::{Access, Answer, Findings, Meaning, Organization, Phase, SessionInfo};
use crate::worker::{Note, Outcome, RunKind, RunReport};

mod attempts;
mod credentials;

const START: i64 = 1_800_000_000;

fn at(offset: i64) -> Timestamp {
    Timestamp::from_second(START + offset).unwrap()
}

/// A world with one integration, moved on by deciding and taking over the status, as the controller does.
struct World {
    resource: SalesforceIntegration,
    credentials: Credentials,
    claim: Claim,
    elsewhere: Elsewhere,
    ended_runs: Vec<EndedRun>,
    cron_jobs: Vec<Arc<CronJob>>,
    tokens: Option<String>,
    config: Config,
    now: i64,
    proofs: usize,
}

impl World {
    fn new() -> Self {
        let mut resource = fixtures::integration("acme");
        resource.spec.contacts.retrieval = Retrieval::AfterCall;
        World {
            resource,
            credentials: available("f1"),
            claim: Claim::Held,
            elsewhere: Elsewhere::default(),
            ended_runs: vec![],
            cron_jobs: vec![],
            tokens: None,
            config: Config::default(),
            now: 0,
            proofs: 0,
        }
    }

    /// A world whose connection was proved at the start.
    fn healthy() -> Self {
        let mut world = World::new();
        world.step(Ok(findings()));
        world
    }

    fn decide(&self, proof: Option<&Proof>) -> Plan {
        let settings: Result<Settings, InvalidField> = Settings::read(&self.resource.spec);
        let observed = Observed {
            resource: &self.resource,
            settings: settings.as_ref(),
            credentials: self.credentials.clone(),
            claim: self.claim.clone(),
            elsewhere: self.elsewhere.clone(),
            proof,
            ended_runs: &self.ended_runs,
            active_jobs: &[],
            cron_jobs: &self.cron_jobs,
            tokens: self.tokens.clone(),
            tokens_wanted: "t1".into(),
            config: &self.config,
        };
        decide(&observed, at(self.now))
    }

    /// One reconcile: decides, proves with that outcome if asked to, takes over what the plan writes.
    fn step(&mut self, outcome: Result<Findings, Failure>) -> Plan {
        let mut plan = self.decide(None);
        if plan.prove.is_some() {
            self.proofs += 1;
            let Credentials::Available { fingerprint, .. } = &self.credentials else {
                panic!("a proof without credentials")
            };
            let proof = Proof {
                at: at(self.now),
                fingerprint: fingerprint.clone(),
                outcome,
            };
            plan = self.decide(Some(&proof));
        }
        assert_eq!(plan.prove, None);
        self.resource.status = Some(plan.status.clone());
        if let Some(cron_job) = &plan.cron_job {
            let mut cron_job = cron_job.clone();
            cron_job.metadata.creation_timestamp = Some(Time(at(0)));
            self.cron_jobs = vec![Arc::new(cron_job)];
        }
        if plan.mint_tokens {
            self.tokens = Some("t1".into());
        }
        plan
    }

    fn ask(&mut self, annotation: &str, value: &str) {
        self.resource
            .annotations_mut()
            .insert(annotation.into(), value.into());
    }

    fn condition(&self, type_: &str) -> Option<(Truth, String)> {
        let status = self.resource.status.as_ref()?;
        conditions::verdict(&status.conditions, type_)
            .map(|verdict| (verdict.truth, verdict.reason))
    }

    fn suspended(&self) -> Option<bool> {
        self.cron_jobs.first()?.spec.as_ref()?.suspend
    }
}

fn available(fingerprint: &str) -> Credentials {
    Credentials::Available {
        fingerprint: fingerprint.into(),
        keys: vec!["password".into()],
    }
}

fn findings() -> Findings {
    Findings {
        session: SessionInfo {
            organization_id: "00D000000000001EAA".into(),
            user_id: "005000000000001AAA".into(),
            username: Some("integration@acme.example".into()),
            instance_url: "https://acme.my.salesforce.com".parse().unwrap(),
            organization_name: Some("Acme".into()),
            sandbox: Some(false),
            person_accounts: Some(false),
            seconds_valid: Some(7200),
        },
        organization: Organization {
            id: "00D000000000001EAA".into(),
            name: "Acme".into(),
            edition: Some("Enterprise Edition".into()),
            instance: Some("AP34".into()),
            sandbox: false,
            scratch: false,
            person_accounts: Some(false),
            trial_ends: None,
        },
        access: Access {
            contact: Answer::Yes,
            account: Answer::Yes,
            lead: Answer::Yes,
        },
        create_task: Answer::Yes,
        usage: Some(Usage {
            used: 18,
            limit: 100_000,
            observed_at: at(0),
        }),
        warnings: vec![],
    }
}

fn failed(meaning: Meaning, phase: Phase) -> Failure {
    Failure {
        meaning,
        message: meaning.cause().into(),
        phase,
    }
}

fn refused() -> Result<Findings, Failure> {
    Err(failed(Meaning::InvalidLogin, Phase::Login))
}

fn unreachable() -> Result<Findings, Failure> {
    Err(failed(Meaning::Unreachable, Phase::Request))
}

fn ended(job: &str, second: i64, outcome: &str) -> EndedRun {
    EndedRun {
        job: job.into(),
        kind: RunKind::Lookup,
        started_at: Some(at(second - 3)),
        finished_at: at(second),
        credentials_version: Some("f1".into()),
        outcome: outcome.into(),
        message: "said the run".into(),
        report: None,
    }
}

#[test]
fn a_proved_connection_is_ready_and_shows_org_user_and_usage() {
    let world = World::healthy();
    let status = world.resource.status.as_ref().unwrap();
    assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
    assert_eq!(
        status.organization.as_ref().unwrap().edition.as_deref(),
        Some("Enterprise Edition")
    );
    assert_eq!(
        status.connection.as_ref().unwrap().username.as_deref(),
        Some("integration@acme.example")
    );
    assert_eq!(
        status
            .api_usage
            .as_ref()
            .map(|usage| (usage.used, usage.percent)),
        Some((18, 0))
    );
    assert_eq!(
        (world.suspended(), status.observed_generation),
        (Some(false), Some(1))
    );
    assert!(status.next_run.is_some());
    assert_eq!(world.condition(STALLED), None);
}

#[test]
fn a_steady_state_plans_nothing_new() {
    let mut world = World::healthy();
    world.step(Ok(findings()));
    world.now = 30;
    let before = world.resource.status.clone();
    let plan = world.step(Ok(findings()));
    let mut after = plan.status.clone();
    // The minute of the next run moves with the clock; all else stands still.
    after.next_run = before.as_ref().unwrap().next_run.clone();
    assert_eq!((Some(after), world.proofs), (before, 1));
    assert_eq!(
        (
            plan.notices.as_slice(),
            plan.retire.as_slice(),
            plan.mint_tokens,
            plan.run.is_none()
        ),
        (&[][..], &[][..], false, true)
    );
}

#[test]
fn a_wrong_password_is_tried_once_over_ten_reconciles_and_a_restart() {
    let mut world = World::new();
    let first = world.step(refused());
    for minute in 1..=10 {
        world.now = minute * 3600;
        world.step(refused());
    }
    assert_eq!(world.proofs, 1);
    assert_eq!(
        world.condition(READY),
        Some((Truth::False, "InvalidLogin".into()))
    );
    assert_eq!(
        world.condition(STALLED),
        Some((Truth::True, "InvalidLogin".into()))
    );
    let status = world.resource.status.as_ref().unwrap();
    assert_eq!(status.connection.as_ref().unwrap().failed_logins, 1);
    assert_eq!((status.errors.len(), status.errors[0].count), (1, 1));
    assert!(!status.errors[0].remedy.is_empty());
    assert!(
        first
            .notices
            .iter()
            .any(|notice| notice.warning && notice.reason == "InvalidLogin")
    );
    assert_eq!(world.suspended(), Some(true));
}

#[test]
fn a_corrected_secret_is_proved_at_once_and_ends_the_stall() {
    let mut world = World::new();
    world.step(refused());
    world.credentials = available("f2");
    world.step(Ok(findings()));
    assert_eq!(
        (
            world.proofs,
            world.condition(READY),
            world.condition(STALLED)
        ),
        (2, Some((Truth::True, "Ready".into())), None)
    );
    assert_eq!(world.suspended(), Some(false));
    assert_eq!(
        world
            .resource
            .status
            .as_ref()
            .unwrap()
            .connection
            .as_ref()
            .unwrap()
            .failed_logins,
        0
    );
}

#[test]
fn the_second_refusal_within_the_hour_postpones_what_the_tenant_asks_for() {
    let mut world = World::new();
    world.step(refused());
    world.ask(TEST_REQUESTED_AT, "one");
    world.now = 10;
    world.step(refused());
    assert_eq!(world.proofs, 2);
    world.ask(TEST_REQUESTED_AT, "two");
    world.now = 20;
    let plan = world.step(refused());
    assert_eq!(world.proofs, 2);
    assert!(
        plan.notices
            .iter()
            .any(|notice| notice.reason == "TestPostponed"),
        "{:?}",
        plan.notices
    );
    let connection = plan.status.connection.clone().unwrap();
    assert_eq!(
        (
            connection.next_attempt_at,
            plan.status.last_handled_test_at.as_deref()
        ),
        (Some(Time(at(3600))), Some("two"))
    );
    world.now = 3601;
    world.step(Ok(findings()));
    assert_eq!(
        (world.proofs, world.condition(READY).unwrap().0),
        (3, Truth::True)
    );
}

#[test]
fn fifty_resources_with_one_wrong_password_cost_one_log_in() {
    let mut first = World::new();
    first.step(refused());
    let mut later = World::new();
    later.now = 5;
    later.elsewhere = Elsewhere {
        refused_at: vec![at(0)],
        refusal: Some(Refusal {
            at: at(0),
            failure: failed(Meaning::InvalidLogin, Phase::Login),
        }),
        proved_at: None,
        ..Elsewhere::default()
    };
    later.step(refused());
    assert_eq!(
        (later.proofs, later.condition(READY)),
        (0, Some((Truth::False, "InvalidLogin".into())))
    );
    later.now = 9000;
    later.step(refused());
    assert_eq!(later.proofs, 0);
}

#[test]
fn an_unreachable_salesforce_is_tried_again_with_back_off_and_is_no_stall() {
    let mut world = World::healthy();
    world.now = 3600;
    let plan = world.step(unreachable());
    assert_eq!(
        (world.condition(READY), world.condition(STALLED)),
        (Some((Truth::False, "Unreachable".into())), None)
    );
    assert!(
        plan.look_again <= Duration::from_secs(16),
        "{:?}",
        plan.look_again
    );
    world.now += plan.look_again.as_secs() as i64;
    world.step(Ok(findings()));
    assert_eq!(
        (world.proofs, world.condition(READY).unwrap().0),
        (3, Truth::True)
    );
}

#[test]
fn a_missing_secret_or_key_suspends_the_runs_and_says_which() {
    for (credentials, reason) in [
        (
            Credentials::NotFound { secret: "s".into() },
            "SecretNotFound",
        ),
        (
            Credentials::KeyMissing {
                secret: "s".into(),
                key: "password".into(),
            },
            "SecretKeyMissing",
        ),
        (
            Credentials::KeyInvalid {
                secret: "s".into(),
                key: "password".into(),
                problem: "is empty".into(),
            },
            "SecretKeyInvalid",
        ),
    ] {
        let mut world = World::healthy();
        world.credentials = credentials;
        world.step(Ok(findings()));
        assert_eq!(
            world.condition(CREDENTIALS_AVAILABLE),
            Some((Truth::False, reason.into()))
        );
        assert_eq!(
            (world.condition(READY), world.suspended()),
            (Some((Truth::False, reason.into())), Some(true))
        );
        let errors = world.resource.status.as_ref().unwrap().errors.len();
        world.step(Ok(findings()));
        assert_eq!(
            world.resource.status.as_ref().unwrap().errors.len(),
            errors,
            "told once, not at every look"
        );
        world.credentials = available("f1");
        world.now += 10;
        world.step(Ok(findings()));
        assert_eq!(
            (world.condition(READY), world.suspended()),
            (Some((Truth::True, "Ready".into())), Some(false)),
            "{reason}"
        );
    }
}

#[test]
fn a_refused_secret_that_was_deleted_and_comes_back_is_refused_without_another_log_in() {
    let mut world = World::new();
    world.step(refused());
    world.credentials = Credentials::NotFound { secret: "s".into() };
    world.step(refused());
    world.credentials = available("f1");
    world.step(refused());
    assert_eq!(
        (world.proofs, world.condition(READY)),
        (1, Some((Truth::False, "InvalidLogin".into())))
    );
}

#[test]
fn a_user_without_view_all_is_connected_but_not_authorized() {
    let mut world = World::new();
    let access = Access {
        contact: Answer::No,
        account: Answer::Yes,
        lead: Answer::Absent,
    };
    world.step(Ok(Findings {
        access,
        ..findings()
    }));
    assert_eq!(world.condition(CONNECTED).unwrap().0, Truth::True);
    assert_eq!(
        world.condition(AUTHORIZED),
        Some((Truth::False, "MissingViewAll".into()))
    );
    assert_eq!(
        (world.condition(READY), world.suspended()),
        (Some((Truth::False, "MissingViewAll".into())), Some(true))
    );
}

#[test]
fn rights_that_cannot_be_read_are_unknown_and_do_not_stop_the_runs() {
    let mut world = World::new();
    let access = Access {
        contact: Answer::Unknown("no right".into()),
        account: Answer::Yes,
        lead: Answer::Absent,
    };
    world.step(Ok(Findings {
        access,
        ..findings()
    }));
    assert_eq!(
        world.condition(AUTHORIZED),
        Some((Truth::Unknown, "RightsUnknown".into()))
    );
    assert_eq!(
        (world.condition(READY).unwrap().0, world.suspended()),
        (Truth::True, Some(false))
    );
}

#[test]
fn the_younger_claimant_of_a_company_id_gets_no_cron_job_and_recovers() {
    let mut world = World::healthy();
    world.claim = Claim::TakenElsewhere;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (
            world.condition(READY),
            plan.cron_job.is_none(),
            plan.mint_tokens
        ),
        (Some((Truth::False, "CompanyIdTaken".into())), true, false)
    );
    assert_eq!(plan.retire, [Retire::Delete("acme-lookup".into())]);
    world.claim = Claim::Held;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (world.condition(READY).unwrap().0, plan.cron_job.is_some()),
        (Truth::True, true)
    );
}

#[test]
fn the_report_of_a_run_becomes_last_run_and_synced_once() {
    let mut world = World::healthy();
    world.now = 60;
    world.ended_runs = vec![ended("acme-lookup-1", 50, "Succeeded")];
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "RunSucceeded".into()))
    );
    world
        .ended_runs
        .push(ended("acme-lookup-2", 110, "WorkerKilled"));
    world.now = 120;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunFailed".into()))
    );
    assert_eq!(
        (
            plan.status.last_run.as_ref().unwrap().job.as_str(),
            plan.status.errors[0].count
        ),
        ("acme-lookup-2", 1)
    );
    assert_eq!(
        (world.condition(STALLED), world.suspended()),
        (None, Some(false)),
        "a failed run must be able to recover by the next"
    );
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (plan.status.errors[0].count, plan.notices.len()),
        (1, 0),
        "the same run is not counted twice"
    );
    world
        .ended_runs
        .push(ended("acme-lookup-3", 170, "Succeeded"));
    world.now = 180;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn of_two_runs_that_end_within_one_second_the_one_that_started_later_is_the_last() {
    let mut world = World::healthy();
    world.now = 60;
    world.ended_runs = vec![ended("z-began-first", 50, "WorkerKilled")];
    world.step(Ok(findings()));
    let second = EndedRun {
        started_at: Some(at(49)),
        ..ended("a-began-second", 50, "Succeeded")
    };
    world.ended_runs.push(second);
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.last_run.unwrap().job, "a-began-second");
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.last_run.unwrap().job, "a-began-second");
    assert_eq!(plan.status.errors[0].count, 1);
}

#[test]
fn a_log_in_refused_to_a_worker_suspends_the_runs_and_is_not_repeated() {
    let mut world = World::healthy();
    world.now = 60;
    let mut report = RunReport::begin(RunKind::Lookup, at(47));
    report.outcome = Outcome::Failed;
    report.error = Some(Note {
        code: "InvalidLogin".into(),
        message: "refused".into(),
    });
    report.login_refused = true;
    world.ended_runs = vec![EndedRun {
        report: Some(report),
        ..ended("acme-lookup-1", 50, "InvalidLogin")
    }];
    world.step(Ok(findings()));
    assert_eq!(
        (world.condition(READY), world.suspended()),
        (Some((Truth::False, "InvalidLogin".into())), Some(true))
    );
    world.now = 90_000;
    world.step(Ok(findings()));
    assert_eq!(world.proofs, 1);
    world.credentials = available("f2");
    world.step(Ok(findings()));
    assert_eq!(
        (world.condition(CONNECTED).unwrap().0, world.suspended()),
        (Truth::True, Some(false))
    );
}

#[test]
fn a_run_is_started_once_for_a_wish_and_refused_in_words_when_it_cannot_start() {
    let mut world = World::healthy();
    world.ask(RUN_REQUESTED_AT, "one");
    let plan = world.step(Ok(findings()));
    assert!(
        plan.run
            .is_some_and(|job| job.name_any().starts_with("acme-lookup-"))
    );
    assert!(world.step(Ok(findings())).run.is_none());
    world.credentials = Credentials::NotFound { secret: "s".into() };
    world.ask(RUN_REQUESTED_AT, "two");
    let plan = world.step(Ok(findings()));
    assert!(
        plan.run.is_none()
            && plan
                .notices
                .iter()
                .any(|notice| notice.reason == "RunRefused")
    );
}

#[test]
fn disabled_retrieval_removes_the_cron_job_and_is_synced() {
    let mut world = World::healthy();
    world.resource.spec.contacts.retrieval = Retrieval::Disabled;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.retire, [Retire::Delete("acme-lookup".into())]);
    assert_eq!(
        (world.condition(SYNCED), plan.status.next_run),
        (Some((Truth::True, "RetrievalDisabled".into())), None)
    );
}

#[test]
fn a_cron_job_whose_run_goes_on_is_suspended_before_it_is_deleted() {
    let mut world = World::healthy();
    let mut busy = (*world.cron_jobs[0]).clone();
    busy.status.get_or_insert_default().active = Some(vec![Default::default()]);
    world.cron_jobs = vec![Arc::new(busy)];
    world.resource.spec.contacts.retrieval = Retrieval::Daily;
    assert_eq!(
        world.decide(None).retire,
        [Retire::Suspend("acme-lookup".into())]
    );
}

#[test]
fn suspend_stops_proofs_and_runs_and_forgets_nothing() {
    let mut world = World::healthy();
    world.resource.spec.suspend = true;
    world.now = 90_000;
    world.step(Ok(findings()));
    assert_eq!((world.proofs, world.suspended()), (1, Some(true)));
    assert_eq!(
        (world.condition(SYNCED), world.condition(READY)),
        (
            Some((Truth::Unknown, "Suspended".into())),
            Some((Truth::Unknown, "Suspended".into()))
        )
    );
    assert!(
        world
            .resource
            .status
            .as_ref()
            .unwrap()
            .organization
            .is_some()
    );
    world.resource.spec.suspend = false;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn a_run_that_never_comes_is_overdue() {
    let mut world = World::healthy();
    world.resource.spec.interval = "24h".into();
    world.now = 5 * 60 + 30 * 60 + 600 + 60;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunOverdue".into()))
    );
    world.ended_runs = vec![ended("late", world.now + 30, "Succeeded")];
    world.now += 60;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn a_zone_that_does_not_exist_is_refused_in_words_that_name_the_field() {
    let mut world = World::new();
    world.resource.spec.contacts.time_zone = "Asia/Tokio".into();
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (
            world.proofs,
            world.condition(READY),
            world.condition(STALLED).is_some()
        ),
        (0, Some((Truth::False, "InvalidSpec".into())), true)
    );
    assert!(
        plan.status.errors[0]
            .message
            .contains("spec.contacts.timeZone")
    );
    world.step(Ok(findings()));
    assert_eq!(world.resource.status.as_ref().unwrap().errors[0].count, 1);
    world.resource.spec.contacts.time_zone = "Asia/Tokyo".into();
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}
