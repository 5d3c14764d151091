//! What must hold in every world. Each rule has a name and is a sentence of the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::Value;

use super::cluster::{Kind, Place, now, owner_uid, text, time};
use super::salesforce::LIMIT;
use super::workload::place_of;
use super::world::World;
use crate::api::conditions::{CONNECTED, EXCLUSIVE, READY, SYNCED};
use crate::api::{INTEGRATION_LABEL, MANAGED_BY_LABEL, SalesforceIntegration, Settings};
use crate::decide::rules::config::Config;
use crate::decide::rules::schedule::Cadence;

/// The most wrong passwords that the operator sends as one user within an hour (README: two
/// credentials, and one of them once more on request).
const MOST_REFUSED: usize = 3;
/// How long a right password may take to work (docs/concepts.md: within the hour), with the time of
/// a proof.
const WORKS_WITHIN: SignedDuration = SignedDuration::from_mins(75);
/// How long it may take until a status shows what the cluster shows.
const SHOWN_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// For how long runs stand for proofs.
const RUNS_STAND_FOR: SignedDuration = SignedDuration::from_hours(6);
/// A deletion waits this long for the directory.
const ERASED_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// Warnings that stay true in a world at rest.
const LASTING: [&str; 2] = ["ApiBudgetNearlyUsed", "ApiBudgetsOverbooked"];
/// The most rules that are told of one world.
const MOST_TOLD: usize = 5;

/// What an integration's status should say.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Truth {
    /// It works.
    Works,
    /// It does not, for a reason that shows within the cluster.
    Broken(&'static str),
    /// It does not, for a reason that only Salesforce knows.
    BrokenThere(&'static str),
    /// It is not clear, or nothing is there.
    Unclear,
}

/// Judges a world.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub broken: Vec<String>,
    /// When each tenant was last left alone.
    quiet_since: Vec<Timestamp>,
    truths: Vec<(Timestamp, Truth)>,
    /// When each status last said why there is no run.
    said: Vec<Timestamp>,
    told: BTreeSet<String>,
    /// Versions of the children at rest.
    at_rest: BTreeMap<Place, String>,
    spent: Vec<Vec<(Timestamp, u64)>>,
}

fn condition<'a>(object: &'a Value, type_: &str) -> (&'a str, &'a str) {
    let conditions = object.pointer("/status/conditions");
    let all = conditions.and_then(Value::as_array);
    let found = all.and_then(|all| all.iter().find(|one| text(one, "/type") == type_));
    found.map_or(("", ""), |one| (text(one, "/status"), text(one, "/reason")))
}

/// The request that a Job is for, by its settings.
fn request_of(job: &Value) -> Option<String> {
    let environment = job.pointer("/spec/template/spec/containers/0/env/0/value")?;
    let settings: Value = serde_json::from_str(environment.as_str()?).ok()?;
    let request = settings.pointer("/reRetrieve/request")?;
    request.as_str().map(str::to_owned)
}

/// Since when a tenant's integration is Ready; `None` if it is not.
pub(super) fn ready_since(world: &World, at: usize) -> Option<Timestamp> {
    let object = world.integration(at)?;
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let ready = conditions.iter().find(|one| text(one, "/type") == READY)?;
    let since = time(ready, "/lastTransitionTime")?;
    (text(ready, "/status") == "True").then_some(since)
}

// === impl Judge ===

impl Judge {
    pub(super) fn new(tenants: usize) -> Self {
        Self {
            quiet_since: vec![now(); tenants],
            truths: vec![(now(), Truth::Unclear); tenants],
            said: vec![now(); tenants],
            ..Self::default()
        }
    }

    /// Something happens to one tenant, or to all, until then.
    pub(super) fn upset(&mut self, until: Timestamp, who: Option<usize>) {
        for (at, quiet) in self.quiet_since.iter_mut().enumerate() {
            if who.is_none_or(|who| who == at) {
                *quiet = (*quiet).max(until);
            }
        }
    }

    pub(super) fn calm(&mut self) {
        self.quiet_since.fill(now());
    }

    fn breaks(&mut self, rule: &str, who: &str, what: String) {
        if self.broken.len() < MOST_TOLD && self.told.insert(format!("{rule} {who}")) {
            self.broken
                .push(format!("{rule}: {who}: {what} ({})", now()));
        }
    }

    /// Looks at everything.
    pub(super) fn look(&mut self, world: &World) {
        for at in 0..world.tenants.len() {
            self.look_at(at, world);
        }
        for at in 0..world.tenants.len() {
            self.one_holder(at, world);
        }
        for told in world.cluster.storms() {
            self.breaks("no-storm", "", told);
        }
        self.one_run_for_a_request(world);
        self.budgets(world);
    }

    /// A run that is asked for is one Job, however often the controller has to ask for it.
    fn one_run_for_a_request(&mut self, world: &World) {
        let mut runs: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for job in world.cluster.all(Kind::Job) {
            let owner = job.pointer("/metadata/ownerReferences/0");
            let is_asked_for = owner.is_some_and(|owner| owner["kind"] == "SalesforceIntegration");
            if let (true, Some(request)) = (is_asked_for, request_of(&job)) {
                let uid = owner_uid(&job).unwrap_or_default().to_owned();
                let name = text(&job, "/metadata/name").to_owned();
                runs.entry((uid, request)).or_default().push(name);
            }
        }
        for ((_, request), jobs) in runs.into_iter().filter(|(_, jobs)| jobs.len() > 1) {
            let what = format!("{jobs:?} are of one request, {request}");
            self.breaks("one-run-for-a-request", "", what);
        }
    }

    fn look_at(&mut self, at: usize, world: &World) {
        let truth = truth(at, world);
        if self.truths[at].1 != truth {
            self.truths[at] = (now(), truth);
        }
        let Some(object) = world.integration(at) else {
            return;
        };
        let who = format!("t{at}");
        let since = self.truths[at].0.max(self.quiet_since[at]);
        let lasts = now().duration_since(since);
        if let Some(deleted) = time(&object, "/metadata/deletionTimestamp") {
            let waits = now().duration_since(deleted.max(self.quiet_since[at]));
            if waits > ERASED_WITHIN {
                self.breaks("erase-ends", &who, format!("deleted for {waits:#}"));
            }
            return;
        }
        let ready = condition(&object, READY);
        match self.truths[at].1.clone() {
            Truth::Unclear => {}
            Truth::Works => {
                let connected = condition(&object, CONNECTED);
                if lasts > WORKS_WITHIN && connected.0 != "True" {
                    let what = format!("Connected is {connected:?} after {lasts:#}");
                    self.breaks("the-right-password-works", &who, what);
                }
                if lasts > SHOWN_WITHIN && ready.0 == "True" {
                    self.has_its_cron_job(at, &object, lasts, world);
                }
                if connected.0 == "True" {
                    self.looked_at(at, &object, lasts, world);
                    self.runs(at, &object, lasts, world);
                }
            }
            Truth::Broken(why) => {
                if lasts > SHOWN_WITHIN && ready.0 == "True" {
                    let what = format!("Ready is True {lasts:#} after it {why}");
                    self.breaks("no-status-that-lies", &who, what);
                }
                let uid = text(&object, "/metadata/uid");
                let cron_jobs = world.cluster.all(Kind::CronJob);
                let goes_on = cron_jobs
                    .iter()
                    .any(|one| owner_uid(one) == Some(uid) && one["spec"]["suspend"] != true);
                if lasts > SHOWN_WITHIN && goes_on {
                    let what = format!("its CronJob goes on {lasts:#} after it {why}");
                    self.breaks("runs-wait-while-it-is-broken", &who, what);
                }
            }
            Truth::BrokenThere(why) => {
                if lasts > looked_within(at, world) + SHOWN_WITHIN && ready.0 == "True" {
                    let what = format!("Ready is True {lasts:#} after it {why}");
                    self.breaks("no-status-that-lies", &who, what);
                }
            }
        }
    }

    /// While all is well, the CronJob that the spec asks for is there. Whatever makes the next
    /// write necessary would hide that it was not.
    fn has_its_cron_job(
        &mut self,
        at: usize,
        object: &Value,
        lasts: SignedDuration,
        world: &World,
    ) {
        let uid = text(object, "/metadata/uid");
        let cron_jobs = world.cluster.all(Kind::CronJob);
        if cron_jobs.iter().any(|one| owner_uid(one) == Some(uid)) {
            return;
        }
        let settings = Settings::read(&world.tenants[at].wanted.spec).ok();
        let wanted = settings.and_then(|settings| Config::default().cadence(&settings, uid));
        if wanted.is_some() {
            let what = format!("it has no CronJob, and all was well for {lasts:#}");
            self.breaks("desired-is-actual", &format!("t{at}"), what);
        }
    }

    /// Of two integrations that claim a company the older holds it, and the younger says why it
    /// does not.
    fn one_holder(&mut self, at: usize, world: &World) {
        let rival = world.cluster.get(&world.rival(at));
        let (Some(own), Some(rival)) = (world.integration(at), rival) else {
            return;
        };
        let quiet = now().duration_since(self.quiet_since[at]) > SHOWN_WITHIN;
        let hold = |one: &Value| condition(one, EXCLUSIVE).0 == "True";
        if quiet && hold(&own) && hold(&rival) {
            let what = "both hold the company ID".to_owned();
            self.breaks("a-company-has-one-holder", &format!("t{at}"), what);
        }
        let age = |one: &Value| {
            let created = text(one, "/metadata/creationTimestamp").to_owned();
            (created, text(one, "/metadata/uid").to_owned())
        };
        let younger = if age(&own) > age(&rival) {
            &own
        } else {
            &rival
        };
        let goes = |one: &Value| time(one, "/metadata/deletionTimestamp").is_some();
        let said = condition(younger, EXCLUSIVE);
        if quiet && !goes(&own) && !goes(&rival) && said.1 != "CompanyIdTaken" {
            let what = format!("of the younger one Exclusive is {said:?}");
            self.breaks("a-company-has-one-holder", &format!("t{at}"), what);
        }
    }

    fn looked_at(&mut self, at: usize, object: &Value, lasts: SignedDuration, world: &World) {
        let within = looked_within(at, world);
        let verified = time(object, "/status/connection/verifiedAt");
        if lasts > within + WORKS_WITHIN
            && verified.is_none_or(|verified| now().duration_since(verified) > within)
        {
            let what = format!("last proved at {verified:?}, to be proved within {within:#}");
            self.breaks("looked-at-within-the-interval", &format!("t{at}"), what);
        }
    }

    fn runs(&mut self, at: usize, object: &Value, lasts: SignedDuration, world: &World) {
        let settings = Settings::read(&world.tenants[at].wanted.spec);
        let Some(period) = settings
            .ok()
            .and_then(|settings| Config::default().cadence(&settings, ""))
            .map(|cadence| SignedDuration::try_from(cadence.period()).unwrap_or_default())
        else {
            return;
        };
        let late = period + SignedDuration::from_mins(75);
        let last = time(object, "/status/lastRun/finishedAt");
        let said = condition(object, SYNCED).0 != "True" || condition(object, READY).0 != "True";
        if said {
            self.said[at] = now();
        }
        let since = last.map_or(self.said[at], |last| last.max(self.said[at]));
        if lasts > late + WORKS_WITHIN && now().duration_since(since) > late {
            let what = format!("the last run ended at {last:?}, and nothing says why");
            self.breaks("a-due-run-happens", &format!("t{at}"), what);
        }
    }

    /// What the integrations of an org spend within 24 hours.
    fn budgets(&mut self, world: &World) {
        self.spent.resize_with(world.salesforce.orgs(), Vec::new);
        for org in 0..self.spent.len() {
            let used = world.salesforce.org(org).used;
            let spent = &mut self.spent[org];
            spent.push((now(), used));
            let day = SignedDuration::from_hours(24);
            spent.retain(|(at, _)| now().duration_since(*at) <= day);
            let within = used - spent.first().map_or(used, |(_, used)| *used);
            if within > LIMIT {
                let what = format!("{within} requests within 24 hours, of {LIMIT}");
                self.breaks("budgets-add-up-to-the-org", &format!("org {org}"), what);
            }
        }
    }

    /// Three hours after everything was mended.
    pub(super) fn connected(&mut self, world: &World) {
        for at in 0..world.tenants.len() {
            let who = format!("t{at}");
            let Some(object) = world.integration(at) else {
                self.breaks("settles", &who, "there is no integration".into());
                continue;
            };
            let found = condition(&object, CONNECTED);
            if found.0 != "True" {
                let what = format!("three hours after all was mended Connected is {found:?}");
                self.breaks("the-right-password-works", &who, what);
            }
        }
    }

    /// A day after everything was mended: all is as it should be.
    pub(super) fn settled(&mut self, world: &World) {
        let mut owners = BTreeSet::new();
        for at in 0..world.tenants.len() {
            let Some(object) = world.integration(at) else {
                continue;
            };
            owners.insert(text(&object, "/metadata/uid").to_owned());
            let who = format!("t{at}");
            let ready = condition(&object, READY);
            if ready.0 != "True" && ready.1 != "BudgetExhausted" {
                self.breaks("settles", &who, format!("Ready is {ready:?}"));
            }
            let warnings = object.pointer("/status/warnings").and_then(Value::as_array);
            for warning in warnings.into_iter().flatten() {
                let code = text(warning, "/code");
                if !LASTING.contains(&code) {
                    let what = format!("the warning {code} stays: {}", text(warning, "/message"));
                    self.breaks("no-warning-that-never-goes", &who, what);
                }
            }
            self.children(at, &object, world);
        }
        self.orphans(&owners, world);
    }

    /// The CronJob and the tokens are those that the spec asks for.
    fn children(&mut self, at: usize, object: &Arc<Value>, world: &World) {
        let who = format!("t{at}");
        let resource: SalesforceIntegration =
            serde_json::from_value(object.as_ref().clone()).unwrap();
        let uid = resource.uid().unwrap_or_default();
        let Ok(settings) = Settings::of(&resource) else {
            return;
        };
        let wanted = Config::default().cadence(&settings, &uid);
        let all = world.cluster.all(Kind::CronJob);
        let own: Vec<&Arc<Value>> = all
            .iter()
            .filter(|one| owner_uid(one) == Some(uid.as_str()))
            .collect();
        let schedules: Vec<&str> = own.iter().map(|one| text(one, "/spec/schedule")).collect();
        let wanted: Vec<String> = wanted.map(Cadence::cron).into_iter().collect();
        if schedules != wanted {
            let what = format!("its CronJobs run at {schedules:?} instead of {wanted:?}");
            self.breaks("desired-is-actual", &who, what);
        }
        let exhausted = condition(object, READY).1 == "BudgetExhausted";
        if own.iter().any(|one| one["spec"]["suspend"] == true) && !exhausted {
            self.breaks("desired-is-actual", &who, "its CronJob is suspended".into());
        }
        let name = crate::api::token_secret_name(&resource.name_any());
        let place = Place::new(Kind::Secret, &world.tenants[at].namespace, &name);
        let tokens = world.cluster.get(&place);
        if tokens.is_none_or(|tokens| owner_uid(&tokens) != Some(uid.as_str())) {
            self.breaks("desired-is-actual", &who, "it has no tokens".into());
        }
    }

    /// Nothing is left of integrations that are gone.
    fn orphans(&mut self, owners: &BTreeSet<String>, world: &World) {
        let mut live: BTreeSet<String> = owners.clone();
        for kind in [Kind::CronJob, Kind::Job, Kind::Secret] {
            for object in world.cluster.all(kind) {
                let label = format!("/metadata/labels/{}", MANAGED_BY_LABEL.replace('/', "~1"));
                if text(&object, &label) != crate::api::MANAGER {
                    continue;
                }
                let is_owned = owner_uid(&object).is_some_and(|uid| live.contains(uid));
                live.insert(text(&object, "/metadata/uid").to_owned());
                if !is_owned {
                    let of = object["metadata"]["labels"][INTEGRATION_LABEL].clone();
                    let what = format!("{kind:?} of {of} is left");
                    let name = text(&object, "/metadata/name").to_owned();
                    self.breaks("nothing-is-left-over", &name, what);
                }
                if matches!(kind, Kind::CronJob | Kind::Secret) {
                    let version = text(&object, "/metadata/generation").to_owned();
                    self.at_rest.insert(place_of(kind, &object), version);
                }
            }
        }
    }

    /// The end of a world.
    pub(super) fn end(&mut self, world: &World) {
        for told in world.salesforce.refused_more_than(MOST_REFUSED) {
            self.breaks("refused-log-ins", "", told);
        }
        for (place, _) in std::mem::take(&mut self.at_rest) {
            if world.cluster.get(&place).is_none() {
                self.breaks("stays-settled", &place.name, format!("{place:?} is gone"));
            }
        }
        for at in 0..world.tenants.len() {
            let Some(object) = world.integration(at) else {
                continue;
            };
            let ready = condition(&object, READY);
            if ready.0 != "True" && ready.1 != "BudgetExhausted" {
                self.breaks(
                    "stays-settled",
                    &format!("t{at}"),
                    format!("Ready is {ready:?}"),
                );
            }
        }
    }
}

/// Within which time a tenant's connection is proved again: its interval with what it is spread by,
/// or while runs stand for proofs.
fn looked_within(at: usize, world: &World) -> SignedDuration {
    let settings = Settings::read(&world.tenants[at].wanted.spec);
    let interval = settings.map_or(RUNS_STAND_FOR, |settings| {
        SignedDuration::try_from(settings.interval).unwrap_or_default()
    });
    interval.max(RUNS_STAND_FOR) * 5 / 4 + SHOWN_WITHIN
}

/// What is true of a tenant's integration.
fn truth(at: usize, world: &World) -> Truth {
    let Some(object) = world.integration(at) else {
        return Truth::Unclear;
    };
    let tenant = &world.tenants[at];
    let uid = text(&object, "/metadata/uid");
    let rival = Place::new(Kind::Integration, &tenant.namespace, "rival");
    let owner = world.directory.owner(&tenant.company);
    if time(&object, "/metadata/deletionTimestamp").is_some()
        || world.cluster.get(&rival).is_some()
        || owner.is_some_and(|owner| owner != uid)
    {
        return Truth::Unclear;
    }
    if object["spec"]["suspend"] == true {
        return Truth::Broken("was suspended");
    }
    if text(&object, "/spec/contacts/timeZone") == "Asia/Tokio" {
        return Truth::Broken("named no time zone");
    }
    let place = Place::new(Kind::Secret, &tenant.namespace, &tenant.secret);
    let Some(secret) = world.cluster.get(&place) else {
        return Truth::Broken("lost its Secret");
    };
    let password = world.password_in(&secret);
    if password.is_empty() {
        return Truth::Broken("had no key in its Secret");
    }
    let user = world.salesforce.user(&world.named_user(at));
    let org = world.salesforce.org(user.org);
    if now() < org.down_until || now() < org.no_quota_until || user.locked {
        return Truth::Unclear;
    }
    if password.starts_with("battery") {
        return Truth::Broken("got a wrong password");
    }
    if password != user.password {
        return Truth::BrokenThere("got another password in Salesforce");
    }
    if user.expired {
        return Truth::BrokenThere("had its password expire");
    }
    if now() < org.no_rights_until {
        return Truth::BrokenThere("lost its rights");
    }
    Truth::Works
}
