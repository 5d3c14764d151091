//! The rules, as sentences. Each test starts from a healthy integration and changes the part that
//! it is about.

mod address_book;
mod admission;
mod budget;
mod call_centers;
mod connection;
mod credentials;
mod edges;
mod fates;
mod hostile_logins;
mod login_ledger;
mod pods;
mod resident;
mod revocation;
mod rights;
mod runs;
mod spec;
mod tenants;
mod user_limit;
mod whose;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::data::claim::Answer;
use super::login::recovery;
use super::resident::{Asked, HandOver, Not, TooBig, Work, permit};
use super::rules::company_claim::Claim;
use super::rules::config::{CallCenterConflicts, Config, RunsWhere};
use super::rules::user_claim::Users;
use super::runs::EndedRun;
use super::runs::admission::{Admission, NotOurs, RefusedObject, Whose, WriteResult};
use super::runs::lingering::Lingering;
use super::runs::resident::{self as resident_runs, Unwritten};
use super::runs::stuck::StuckRun;
use super::*;
use crate::api::conditions::{AUTHORIZED, CONNECTED, SYNCED};
use crate::api::status::UNOBSERVED;
use crate::api::{
    InvalidField, RUN_REQUESTED_AT, Retrieval, RunWhere, SalesforceIntegration, TEST_REQUESTED_AT,
    fixtures,
};
use crate::decide::children::summarize;
use crate::run::{BookReport, Note, Outcome, RunKind, RunReport};
use crate::salesforce::{
    Access, Findings, Meaning, Organization, Phase, SessionInfo, Usage, UsersFound, Visibility,
    WarningCode,
};

const START: i64 = 1_800_000_000;

fn at(offset: i64) -> Timestamp {
    Timestamp::from_second(START + offset).unwrap()
}

/// A world with one integration. Each step decides and adopts the new status, as the controller
/// does.
pub(crate) struct World {
    pub(crate) resource: SalesforceIntegration,
    credentials: Credentials,
    claim: Claim,
    data: Answer,
    book: Option<BookReport>,
    taken_users: Users,
    siblings: SiblingLogins,
    pub(crate) ended_runs: Vec<EndedRun>,
    pub(crate) resident: Unwritten,
    hand_over: Option<HandOver>,
    pub(crate) worked_at: Option<Timestamp>,
    session_wanted: bool,
    answers_again: bool,
    leader_since: Timestamp,
    active_jobs: Vec<Arc<Job>>,
    /// Jobs of runs that are on record, beside those of `ended_runs`.
    recorded_jobs: BTreeSet<String>,
    stuck_runs: Vec<StuckRun>,
    lingering: Vec<Lingering>,
    settled_jobs: BTreeSet<String>,
    admission: Admission,
    neighbours: Neighbours,
    cron_jobs: Vec<CronJob>,
    tokens: Option<String>,
    pub(crate) config: Config,
    pub(crate) now: i64,
    pub(crate) proofs: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut resource = fixtures::integration("acme");
        resource.spec.contacts.retrieval = Retrieval::AfterCall;
        resource.status = Some(SalesforceIntegrationStatus {
            observed_generation: Some(UNOBSERVED),
            ..SalesforceIntegrationStatus::default()
        });
        Self {
            resource,
            credentials: available("f1"),
            claim: Claim::Held,
            data: Answer::NotAsked,
            book: None,
            taken_users: Users::default(),
            siblings: SiblingLogins::default(),
            ended_runs: vec![],
            resident: Unwritten::NONE,
            hand_over: None,
            worked_at: None,
            session_wanted: false,
            answers_again: false,
            // Recorded runs stay in this world, as they do for a controller that has just started.
            leader_since: Timestamp::MAX,
            active_jobs: vec![],
            recorded_jobs: BTreeSet::new(),
            stuck_runs: vec![],
            lingering: vec![],
            settled_jobs: BTreeSet::new(),
            admission: Admission::Unknown,
            neighbours: Neighbours::default(),
            cron_jobs: vec![],
            tokens: None,
            config: Config::default(),
            now: 0,
            proofs: 0,
        }
    }

    /// A world whose connection was proved at the start.
    fn healthy() -> Self {
        let mut world = Self::new();
        world.step(Ok(findings()));
        world
    }

    pub(crate) fn decide(&self, proof: Option<&Proof>) -> Plan {
        let settings: Result<Settings, InvalidField> = Settings::read(&self.resource.spec);
        let keep = |cron_job: &CronJob| Arc::new(summarize(cron_job));
        let cron_jobs: Vec<_> = self.cron_jobs.iter().map(keep).collect();
        let credentials = self.credentials.clone();
        let mut over_jobs = self.recorded_jobs.clone();
        over_jobs.extend(self.ended_runs.iter().map(|run| run.job.clone()));
        let observed = Observed {
            claim: self.claim.clone(),
            data: self.data.clone(),
            book: self.book,
            taken_users: self.taken_users.clone(),
            siblings: self.siblings.clone(),
            proof,
            ended_runs: &self.ended_runs,
            resident: &self.resident,
            hand_over: self.hand_over.clone(),
            worked_at: self.worked_at,
            session_wanted: self.session_wanted,
            answers_again: self.answers_again,
            leader_since: self.leader_since,
            active_jobs: &self.active_jobs,
            over_jobs: &over_jobs,
            stuck_runs: &self.stuck_runs,
            lingering: &self.lingering,
            settled_jobs: &self.settled_jobs,
            admission: self.admission.clone(),
            neighbours: self.neighbours.clone(),
            cron_jobs: &cron_jobs,
            tokens: self.tokens.clone(),
            tokens_wanted: "t1".into(),
            ..Observed::alone(
                &self.resource,
                settings.as_ref(),
                credentials,
                &self.config,
                at(self.now),
            )
        };
        decide(&observed, at(self.now))
    }

    /// One reconcile: decides, proves with that outcome if the plan requires it, and adopts the
    /// writes of the plan.
    pub(crate) fn step(&mut self, outcome: Result<Findings, Failure>) -> Plan {
        let mut plan = self.decide(None);
        if plan.prove.is_some() {
            self.proofs += 1;
            let Credentials::Available { fingerprint, .. } = &self.credentials else {
                panic!("a proof without credentials")
            };
            let proof = Proof {
                at: at(self.now),
                fingerprint: fingerprint.clone(),
                calls: 3,
                outcome: outcome.map(Arc::new),
            };
            plan = self.decide(Some(&proof));
        }
        assert_eq!(plan.prove, None);
        self.resource.status = Some(plan.status.clone());
        if plan.takes_resident {
            let held = self.resident.clone();
            self.resident.written(&held, at(self.now));
        } else if !plan.ended_runs.is_empty() {
            self.resident.written(&Unwritten::NONE, at(self.now));
        }
        if plan.takes_over {
            self.hand_over = None;
        }
        if let Some(cron_job) = &plan.cron_job {
            let mut cron_job = cron_job.clone();
            cron_job.metadata.creation_timestamp = Some(Time(at(0)));
            self.cron_jobs = vec![cron_job];
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

    fn condition(&self, type_: &str) -> Option<(Truth, Code)> {
        let status = self.resource.status.as_ref()?;
        conditions::verdict(&status.conditions, type_)
            .map(|verdict| (verdict.truth, verdict.reason))
    }

    fn uid(&self) -> String {
        self.resource.uid().unwrap()
    }

    fn suspended(&self) -> Option<bool> {
        self.cron_jobs.first()?.spec.as_ref()?.suspend
    }
}

fn available(fingerprint: &str) -> Credentials {
    Credentials::Available {
        fingerprint: fingerprint.into(),
        user: "u1".into(),
        keys: vec!["password".into()],
    }
}

pub(crate) fn findings() -> Findings {
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
            contact: Visibility::Yes,
            account: Visibility::Yes,
            lead: Visibility::Yes,
        },
        create_task: Visibility::Yes,
        users: UsersFound::NotAsked,
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

pub(crate) fn ended(job: &str, second: i64, outcome: &str) -> EndedRun {
    EndedRun {
        job: job.into(),
        where_: RunWhere::Pod,
        job_uid: None,
        kind: RunKind::Lookup,
        started_at: Some(at(second - 3)),
        finished_at: at(second),
        credentials_version: Some("f1".into()),
        allowance: None,
        outcome: outcome.into(),
        message: "said the run".into(),
        report: None,
    }
}
