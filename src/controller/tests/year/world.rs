//! A world: tenants, a cluster, Salesforce, a directory and replicas of the controller, in a time
//! that leaps from one event to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::{Cluster, Kind, Place, WATCHED, now, seconds, sleep_until, text};
use super::dice::Dice;
use super::directory::Directory;
use super::replica::{Replica, key};
use super::rules::Judge;
use super::salesforce::Salesforce;
use super::script::{Act, Deed, Script};
use super::workload::place_of;
use crate::api::fixtures::{self, clock};
use crate::api::{
    ADOPT_DATA, DeletionPolicy, RUN_REQUESTED_AT, Retrieval, SalesforceIntegration,
    TEST_REQUESTED_AT,
};
use crate::controller::reconcile::directory::played as directory_played;
use crate::prove::played as salesforce_played;

/// When every world begins: a Monday in Tokyo.
pub(super) const BEGIN: &str = "2026-03-01T15:00:00Z";
/// How long after the last act everything has settled, in hours. Daily runs come once within it.
const CALM_HOURS: u64 = 30;
/// The time between two looks of the judge, in seconds.
const LOOK: u64 = 300;

/// What is to be done at some time.
#[derive(Clone, Debug)]
pub(super) enum Task {
    Act(Act),
    Cron(Place),
    MakePod(Place),
    BeginPod(Place),
    EndPod(Place, Timestamp, String),
    EndJob(Place, bool),
    Delete(Place),
    Collect(String),
    Lead,
    EndOfPause(usize),
    Look,
    Calm,
    Connected,
    Settled,
    End,
}

/// One tenant.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub namespace: String,
    /// Name of the integration now.
    pub name: String,
    pub secret: String,
    pub user: String,
    pub company: String,
    /// The spec that it applies when it creates the integration.
    pub wanted: SalesforceIntegration,
}

/// A world.
pub(super) struct World {
    pub cluster: Arc<Cluster>,
    pub salesforce: Arc<Salesforce>,
    pub directory: Arc<Directory>,
    pub dice: Dice,
    pub tenants: Vec<Tenant>,
    pub seen: u64,
    pub no_crons_until: Timestamp,
    pub no_pods_until: Timestamp,
    pub evicts_until: Timestamp,
    pub runs_begun: u64,
    /// The most API requests that a run needs.
    pub work: u64,
    pub allowed: Vec<(Timestamp, (String, String), u64)>,
    agenda: BTreeMap<(Timestamp, u64), Task>,
    number: u64,
    replicas: Vec<Replica>,
    last_replica: usize,
    judge: Judge,
}

/// What became of a world.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The rules that were broken, each with its name first.
    pub broken: Vec<String>,
    pub proofs: u64,
    pub logins: u64,
    pub peak: u64,
    pub runs: u64,
    pub requests: u64,
    pub story: Vec<String>,
}

/// Plays a script to its end.
pub(super) fn play(script: &Script) -> Ended {
    in_time(async || {
        let mut world = World::new(script);
        world.live().await;
        world.end()
    })
}

/// Plays something in a time of its own.
pub(super) fn in_time<T>(play: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let ended = runtime.block_on(async {
        let _clock = clock::begin(BEGIN.parse().unwrap());
        let ended = play().await;
        salesforce_played::play(None);
        directory_played::play(None);
        ended
    });
    // What still runs is dropped without a word.
    runtime.shutdown_background();
    ended
}

pub(super) fn encoded(password: &str) -> Value {
    json!({"password": STANDARD.encode(password)})
}

// === impl World ===

impl World {
    fn new(script: &Script) -> Self {
        let mut dice = Dice::new(script.size.seed, 4);
        let tenants = 0..script.size.tenants;
        let tenants = tenants.map(|at| tenant(at, &mut dice)).collect();
        let mut world = Self::of(script.size.seed, tenants);
        let begin = now();
        for at in 0..world.tenants.len() {
            world.create(at, None);
        }
        for act in &script.acts {
            world.at(begin + seconds(act.at), Task::Act(*act));
        }
        let over = begin + seconds(script.size.days * 86_400);
        world.at(over, Task::Calm);
        world.at(over + seconds(3 * 3600), Task::Connected);
        world.at(over + seconds((CALM_HOURS - 2) * 3600), Task::Settled);
        world.at(over + seconds(CALM_HOURS * 3600), Task::End);
        world.at(begin + seconds(LOOK), Task::Look);
        world
    }

    /// A world with a leader, and tenants whose Secrets are right and who have created nothing yet.
    pub(super) fn of(seed: u64, tenants: Vec<Tenant>) -> Self {
        let cluster = Cluster::new(Dice::new(seed, 2));
        let orgs = tenants.len().div_ceil(2);
        let salesforce = Salesforce::new(Dice::new(seed, 3), key(), orgs);
        for (at, tenant) in tenants.iter().enumerate() {
            salesforce.add_user(&tenant.user, at / 2);
        }
        let mut world = Self {
            cluster,
            salesforce,
            directory: Directory::new(),
            dice: Dice::new(seed, 5),
            judge: Judge::new(tenants.len()),
            tenants,
            seen: 1,
            no_crons_until: Timestamp::MIN,
            no_pods_until: Timestamp::MIN,
            evicts_until: Timestamp::MIN,
            runs_begun: 0,
            work: 400,
            allowed: vec![],
            agenda: BTreeMap::new(),
            number: 0,
            replicas: vec![],
            last_replica: 0,
        };
        for at in 0..world.tenants.len() {
            world.write_secret(at);
        }
        world.at(now(), Task::Lead);
        salesforce_played::play(Some(Arc::clone(&world.salesforce) as _));
        directory_played::play(Some(Arc::clone(&world.directory) as _));
        world
    }

    /// Does something at a time.
    pub(super) fn at(&mut self, at: Timestamp, task: Task) {
        self.number += 1;
        self.agenda.insert((at, self.number), task);
    }

    /// Lives until the task [`Task::End`].
    pub(super) async fn live(&mut self) {
        let mut changes = self.cluster.changes();
        loop {
            changes.borrow_and_update();
            self.follow();
            let Some((&(due, number), _)) = self.agenda.first_key_value() else {
                break;
            };
            if due > now() {
                tokio::select! {
                    biased;
                    () = sleep_until(due) => {}
                    _ = changes.changed() => {}
                }
                continue;
            }
            let task = self.agenda.remove(&(due, number));
            match task {
                Some(Task::End) | None => break,
                Some(task) => self.do_(task),
            }
        }
    }

    fn end(&mut self) -> Ended {
        let mut judge = std::mem::take(&mut self.judge);
        judge.end(self);
        let (peak, proofs, logins) = self.salesforce.counts();
        Ended {
            broken: judge.broken,
            proofs,
            logins,
            peak,
            runs: self.runs_begun,
            requests: self.cluster.requests(),
            story: self.cluster.story(),
        }
    }

    fn judged(&mut self, how: impl FnOnce(&mut Judge, &Self)) {
        let mut judge = std::mem::take(&mut self.judge);
        how(&mut judge, self);
        self.judge = judge;
    }

    fn do_(&mut self, task: Task) {
        match task {
            Task::Act(act) => self.act(act),
            Task::Cron(place) => self.cron(&place),
            Task::MakePod(place) => self.make_pod(&place),
            Task::BeginPod(place) => self.begin_pod(&place),
            Task::EndPod(place, began, password) => self.end_pod(&place, began, &password),
            Task::EndJob(place, good) => self.end_job(&place, good),
            Task::Delete(place) => drop(self.cluster.delete(&place)),
            Task::Collect(uid) => self.collect(&uid),
            Task::Lead => self.lead(),
            Task::EndOfPause(replica) => self.kill(|other| other == replica),
            Task::Look => {
                self.judged(Judge::look);
                self.at(now() + seconds(LOOK), Task::Look);
            }
            Task::Calm => self.calm(),
            Task::Connected => self.judged(Judge::connected),
            Task::Settled => self.judged(Judge::settled),
            Task::End => {}
        }
    }

    fn lead(&mut self) {
        self.last_replica += 1;
        let replica = Replica::start(self.last_replica, &self.cluster);
        self.replicas.push(replica);
    }

    fn kill(&mut self, which: impl Fn(usize) -> bool) {
        self.replicas.retain(|replica| {
            let dies = which(replica.number);
            if dies {
                self.cluster.faults.lock().dead.insert(replica.number);
            }
            !dies
        });
    }

    fn place(&self, at: usize) -> Place {
        let tenant = &self.tenants[at];
        Place::new(Kind::Integration, &tenant.namespace, &tenant.name)
    }

    /// The integration of a tenant.
    pub(super) fn integration(&self, at: usize) -> Option<Arc<Value>> {
        self.cluster.get(&self.place(at))
    }

    /// The user that a tenant's integration names, as whom it is to log in.
    pub(super) fn named_user(&self, at: usize) -> String {
        let tenant = &self.tenants[at];
        let auth = &tenant.wanted.spec.salesforce.auth;
        auth.password
            .as_ref()
            .map_or(String::new(), |auth| auth.username.clone())
    }

    /// The password in a Secret.
    pub(super) fn password_in(&self, secret: &Value) -> String {
        let bytes = STANDARD.decode(text(secret, "/data/password"));
        String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }

    fn write_secret_with(&self, at: usize, data: Value) {
        let tenant = &self.tenants[at];
        let secret = json!({
            "metadata": {"namespace": tenant.namespace, "name": tenant.secret}, "data": data,
        });
        self.cluster.put(Kind::Secret, secret);
    }

    /// Writes the password that is right for the user that the tenant names.
    fn write_secret(&self, at: usize) {
        let user = self.salesforce.user(&self.named_user(at));
        self.write_secret_with(at, encoded(&user.password));
    }

    pub(super) fn create(&self, at: usize, adopt: Option<String>) {
        if self.integration(at).is_some() {
            return;
        }
        let tenant = &self.tenants[at];
        let mut object = tenant.wanted.clone();
        object.metadata.namespace = Some(tenant.namespace.clone());
        object.metadata.name = Some(tenant.name.clone());
        let mut object = serde_json::to_value(object).unwrap();
        if let Some(uid) = adopt {
            object["metadata"]["annotations"] = json!({ADOPT_DATA: uid});
        }
        self.cluster.put(Kind::Integration, object);
    }

    fn delete(&self, at: usize) {
        self.cluster.delete(&self.place(at));
    }

    /// Changes what a tenant wants, and its integration, if it is there.
    pub(super) fn want(&mut self, at: usize, change: impl FnOnce(&mut SalesforceIntegration)) {
        change(&mut self.tenants[at].wanted);
        let spec = serde_json::to_value(&self.tenants[at].wanted.spec).unwrap();
        self.cluster
            .edit(&self.place(at), |object| object["spec"] = spec);
    }

    fn annotate(&mut self, at: usize, annotation: &str) {
        let value = now().to_string();
        self.cluster.edit(&self.place(at), |object| {
            object["metadata"]["annotations"][annotation] = value.into();
        });
    }

    fn cron_jobs_of(&self, at: usize) -> Vec<Place> {
        let tenant = &self.tenants[at];
        let all = self.cluster.all(Kind::CronJob);
        all.iter()
            .map(|one| place_of(Kind::CronJob, one))
            .filter(|place| place.namespace == tenant.namespace)
            .collect()
    }

    pub(super) fn rival(&self, at: usize) -> Place {
        Place::new(Kind::Integration, &self.tenants[at].namespace, "rival")
    }

    fn act(&mut self, act: Act) {
        let Act {
            who, deed, number, ..
        } = act;
        self.cluster.tell(|| format!("-- {act}"));
        let minutes = |number: u64| now() + seconds(number * 60);
        let org = who / 2;
        // How long it lasts at most until the cluster is as it was.
        let mut upset = 0;
        match deed {
            Deed::WrongPassword => {
                self.write_secret_with(who, encoded(&format!("battery-staple-{number}")));
            }
            Deed::Guess => {
                for guess in 0..number + 3 {
                    let deed = Deed::WrongPassword;
                    let number = 100 + guess;
                    let act = Act {
                        deed,
                        number,
                        ..act
                    };
                    self.at(now() + seconds(guess * 60), Task::Act(act));
                }
            }
            Deed::RightPassword => self.write_secret(who),
            Deed::DropSecret => {
                let tenant = &self.tenants[who];
                let place = Place::new(Kind::Secret, &tenant.namespace, &tenant.secret);
                self.cluster.delete(&place);
            }
            Deed::MisspeltKey => {
                self.write_secret_with(who, json!({"pasword": STANDARD.encode("x")}));
            }
            Deed::NewPassword => {
                self.salesforce.new_password(&self.tenants[who].user);
            }
            Deed::Expire => {
                let user = self.tenants[who].user.clone();
                self.salesforce
                    .change_user(&user, |user| user.expired = true);
            }
            Deed::Delete => self.delete(who),
            Deed::Create => self.create(who, None),
            Deed::Recreate => {
                self.delete(who);
                self.create(who, None);
            }
            Deed::Rename => {
                let owner = self.directory.owner(&self.tenants[who].company);
                self.delete(who);
                let tenant = &mut self.tenants[who];
                tenant.name = match tenant.name.strip_suffix("-new") {
                    Some(old) => old.to_owned(),
                    None => format!("{}-new", tenant.name),
                };
                self.create(who, owner);
            }
            Deed::Share => {
                let other = number as usize % self.tenants.len();
                let user = self.tenants[other].user.clone();
                self.want(who, |wanted| {
                    if let Some(auth) = &mut wanted.spec.salesforce.auth.password {
                        auth.username = user;
                    }
                });
                self.write_secret(who);
            }
            Deed::Own => {
                let user = self.tenants[who].user.clone();
                self.want(who, |wanted| {
                    if let Some(auth) = &mut wanted.spec.salesforce.auth.password {
                        auth.username = user;
                    }
                });
                self.write_secret(who);
            }
            Deed::Rival => {
                if self.cluster.get(&self.rival(who)).is_none() {
                    let mut rival = self.tenants[who].wanted.clone();
                    rival.metadata.namespace = Some(self.tenants[who].namespace.clone());
                    rival.metadata.name = Some("rival".into());
                    let rival = serde_json::to_value(rival).unwrap();
                    self.cluster.put(Kind::Integration, rival);
                }
            }
            Deed::NoRival => drop(self.cluster.delete(&self.rival(who))),
            Deed::Mode => self.want(who, |wanted| {
                wanted.spec.contacts.retrieval = match number {
                    0 => Retrieval::Daily,
                    1 => Retrieval::AfterCall,
                    _ => Retrieval::Disabled,
                };
            }),
            Deed::Suspend => self.want(who, |wanted| wanted.spec.suspend = true),
            Deed::Resume => self.want(who, |wanted| wanted.spec.suspend = false),
            Deed::Test => self.annotate(who, TEST_REQUESTED_AT),
            Deed::Run => self.annotate(who, RUN_REQUESTED_AT),
            Deed::Percent => self.want(who, |wanted| {
                wanted.spec.api_budget.daily_percent = number.clamp(1, 100) as u32;
            }),
            Deed::BadSpec => self.want(who, |wanted| {
                wanted.spec.contacts.time_zone = "Asia/Tokio".into();
            }),
            Deed::GoodSpec => self.want(who, |wanted| {
                wanted.spec.contacts.time_zone = "Asia/Tokyo".into();
            }),
            Deed::Erase => self.want(who, |wanted| {
                wanted.spec.deletion_policy = match number {
                    1 => DeletionPolicy::Erase,
                    _ => DeletionPolicy::Retain,
                };
            }),
            Deed::EditCronJob => {
                for place in self.cron_jobs_of(who) {
                    self.cluster.edit(&place, |cron_job| {
                        cron_job["spec"]["schedule"] = "7 7 * * *".into();
                    });
                }
            }
            Deed::DropCronJob => {
                for place in self.cron_jobs_of(who) {
                    self.cluster.delete(&place);
                }
            }
            Deed::DropTokens => {
                let tenant = &self.tenants[who];
                let name = crate::api::token_secret_name(&tenant.name);
                let place = Place::new(Kind::Secret, &tenant.namespace, &name);
                self.cluster.delete(&place);
            }
            Deed::Orphan => {
                for place in self.cron_jobs_of(who) {
                    self.cluster.edit(&place, |cron_job| {
                        cron_job["metadata"]["ownerReferences"] = json!([]);
                    });
                }
            }
            Deed::OrgDown => {
                let until = minutes(number);
                self.salesforce
                    .change_org(org, |org| org.down_until = until);
            }
            Deed::AllDown => {
                for org in 0..self.salesforce.orgs() {
                    let until = minutes(number);
                    self.salesforce
                        .change_org(org, |org| org.down_until = until);
                }
            }
            Deed::NoQuota => {
                let until = minutes(number);
                self.salesforce
                    .change_org(org, |org| org.no_quota_until = until);
            }
            Deed::NoRights => {
                let until = minutes(number);
                self.salesforce
                    .change_org(org, |org| org.no_rights_until = until);
            }
            Deed::NoSessions => self.salesforce.change_org(org, |org| org.sessions += 1),
            Deed::Kill => {
                self.kill(|_| true);
                self.at(now() + seconds(number), Task::Lead);
                upset = number + 60;
            }
            Deed::Pause => {
                let until = now() + seconds(number);
                for replica in &self.replicas {
                    let number = replica.number;
                    self.cluster.faults.lock().paused.insert(number, until);
                }
                // The Lease is good for 15 seconds. Who wakes up learns within one that it is lost.
                let lost = number >= 15;
                if lost {
                    let old: Vec<usize> =
                        self.replicas.iter().map(|replica| replica.number).collect();
                    for replica in old {
                        self.at(until + seconds(1), Task::EndOfPause(replica));
                    }
                    self.at(now() + seconds(16), Task::Lead);
                }
                upset = number + 60;
            }
            Deed::ApiDown => {
                self.cluster.faults.lock().down_until = now() + seconds(number);
                upset = number + 120;
            }
            Deed::ApiErrors => {
                let mut faults = self.cluster.faults.lock();
                faults.errors_until = minutes(15);
                faults.errors_percent = number;
                upset = 900 + 120;
            }
            Deed::Freeze => {
                let kind = WATCHED[number as usize % WATCHED.len()];
                let until = minutes(number / 5);
                self.cluster.faults.lock().frozen.insert(kind, until);
                upset = number / 5 * 60 + 60;
            }
            Deed::Break => {
                self.cluster.faults.lock().broken += 1;
                upset = 60;
            }
            Deed::Refuse => {
                self.cluster.faults.lock().refused_until = minutes(number);
                upset = number * 60 + 120;
            }
            Deed::NoCrons => {
                self.no_crons_until = minutes(number);
                upset = number * 60;
            }
            Deed::NoPods => {
                self.no_pods_until = minutes(number);
                upset = number * 60 + 3600;
            }
            Deed::Evict => {
                self.evicts_until = minutes(number);
                upset = number * 60;
            }
            Deed::NoDirectory => {
                self.directory.down_until(minutes(number));
                upset = number * 60;
            }
        }
        let until = now() + seconds(upset);
        self.judged(|judge, _| judge.upset(until, (upset == 0).then_some(who)));
    }

    /// Everything is mended, and nobody does anything any more.
    fn calm(&mut self) {
        self.cluster.tell(|| "-- calm".into());
        let mut faults = self.cluster.faults.lock();
        faults.down_until = Timestamp::MIN;
        faults.errors_until = Timestamp::MIN;
        faults.refused_until = Timestamp::MIN;
        faults.frozen.clear();
        drop(faults);
        self.no_crons_until = Timestamp::MIN;
        self.no_pods_until = Timestamp::MIN;
        self.evicts_until = Timestamp::MIN;
        self.directory.down_until(Timestamp::MIN);
        for org in 0..self.salesforce.orgs() {
            self.salesforce.change_org(org, |org| {
                org.down_until = Timestamp::MIN;
                org.no_quota_until = Timestamp::MIN;
                org.no_rights_until = Timestamp::MIN;
            });
        }
        for at in 0..self.tenants.len() {
            let name = &self.tenants[at].user;
            let user = self.salesforce.user(name);
            if user.expired || user.locked {
                self.salesforce.new_password(name);
            }
        }
        for at in 0..self.tenants.len() {
            self.cluster.delete(&self.rival(at));
            self.write_secret(at);
            self.want(at, |wanted| {
                wanted.spec.suspend = false;
                wanted.spec.contacts.time_zone = "Asia/Tokyo".into();
            });
            // A person decides about an object that nobody owns, and about data of another name.
            for place in self.cron_jobs_of(at) {
                let cron_job = self.cluster.get(&place);
                let owners = cron_job.map(|one| one["metadata"]["ownerReferences"] == json!([]));
                if owners == Some(true) {
                    self.cluster.delete(&place);
                }
            }
            let owner = self.directory.owner(&self.tenants[at].company);
            match self.integration(at) {
                None => self.create(at, owner),
                Some(_) => {
                    self.cluster.edit(&self.place(at), |object| {
                        if let Some(owner) = owner {
                            object["metadata"]["annotations"][ADOPT_DATA] = owner.into();
                        }
                    });
                }
            }
        }
        self.judged(|judge, _| judge.calm());
    }
}

pub(super) fn tenant(at: usize, dice: &mut Dice) -> Tenant {
    let name = format!("t{at}");
    let mut wanted = fixtures::integration(&name);
    wanted.metadata.uid = None;
    wanted.metadata.generation = None;
    let user = format!("integration@{name}.example");
    let spec = &mut wanted.spec;
    spec.company_id = name.clone();
    spec.contacts.retrieval = match dice.below(10) {
        0..=5 => Retrieval::Daily,
        6..=8 => Retrieval::AfterCall,
        _ => Retrieval::Disabled,
    };
    spec.contacts.time_zone = "Asia/Tokyo".into();
    spec.contacts.daily_at = format!("{:02}:00", dice.below(24));
    spec.contacts.lookup_every = (*dice.of(&["10m", "30m", "1h"])).into();
    spec.interval = (*dice.of(&["30m", "2h", "6h", "12h"])).into();
    spec.api_budget.daily_percent = *dice.of(&[10, 20, 50]);
    spec.deletion_policy = match dice.below(3) {
        0 => DeletionPolicy::Erase,
        _ => DeletionPolicy::Retain,
    };
    Tenant {
        namespace: name.clone(),
        secret: format!("{name}-salesforce"),
        company: name.clone(),
        name,
        user,
        wanted,
    }
}
