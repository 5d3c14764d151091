//! A tenant who guesses passwords, and means it: whatever he writes, deletes and renames, and
//! whatever happens to controllers, Salesforce refuses a user three times an hour at most.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use proptest::prelude::*;

use super::*;
use crate::decide::login::logbook::{Attempt, Logbook};
use crate::decide::login::next_attempt::MAX_REFUSALS;
use crate::decide::login::{credentials, user_limit};
use crate::salesforce::FingerprintKey;

/// The password that Salesforce takes; every other one is refused.
const RIGHT: usize = 0;
/// The user whose password is guessed.
const USER: &str = "ito@acme.example";
/// Spellings of the user's name.
const NAMES: [&str; 5] = [
    USER,
    "ITO@acme.example",
    " Ito@Acme.Example ",
    "ito@acme.example\u{200b}",
    "\u{ff29}to@acme.example",
];
/// Spellings of where the user logs in.
const HOSTS: [&str; 8] = [
    "https://login.salesforce.com",
    "https://LOGIN.Salesforce.com",
    "https://login.salesforce.com.",
    "https://login.salesforce.com:443/",
    "https://acme.my.salesforce.com",
    "https://ACME.my.salesforce.com.:443",
    "https://test.salesforce.com",
    "https://acme.cloudforce.com",
];

/// What the API server keeps: the statuses of integrations, and the ConfigMap with its version.
#[derive(Default)]
struct Cluster {
    integrations: BTreeMap<String, World>,
    passwords: BTreeMap<String, usize>,
    logbook: (u64, String),
}

/// A controller in one process. Two may work at once while one does not know yet that it no longer
/// leads.
#[derive(Default)]
struct Controller {
    book: Logbook,
    version: u64,
    stored: u64,
}

/// Where a controller is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killed {
    No,
    BeforeTheAnswer,
    BeforeItIsWritten,
}

struct Attack {
    cluster: Cluster,
    controllers: [Controller; 2],
    refused_at: Vec<i64>,
    worked: usize,
}

impl Controller {
    fn started(cluster: &Cluster, now: i64) -> Self {
        let mut fresh = Self::default();
        fresh.read(cluster, now);
        fresh
    }

    fn read(&mut self, cluster: &Cluster, now: i64) {
        let (version, text) = &cluster.logbook;
        assert_eq!(self.book.merge(text, self.stored, at(now)), 0);
        self.version = *version;
    }

    /// Stores the logbook, if nobody else has meanwhile.
    fn store(&mut self, cluster: &mut Cluster, now: i64) {
        while cluster.logbook.0 != self.version {
            self.read(cluster, now);
        }
        self.stored = self.book.changes();
        self.version += 1;
        cluster.logbook = (self.version, self.book.text(at(now)));
        self.book.stored(self.stored);
    }
}

impl Attack {
    fn new() -> Self {
        let cluster = Cluster::default();
        Self {
            controllers: [0, 0].map(|_| Controller::started(&cluster, 0)),
            cluster,
            refused_at: vec![],
            worked: 0,
        }
    }

    /// Creates or changes an integration and its Secret.
    fn write(&mut self, name: &str, user: usize, host: usize, password: usize) {
        let world = self
            .cluster
            .integrations
            .entry(name.to_owned())
            .or_insert_with(World::new);
        let salesforce = &mut world.resource.spec.salesforce;
        salesforce.login_url = Some(HOSTS[host].into());
        salesforce.auth.password.as_mut().unwrap().username = NAMES[user].into();
        world.resource.metadata.name = Some(name.to_owned());
        world.resource.metadata.uid = Some(format!("{name}-uid"));
        world.resource.metadata.generation =
            world.resource.metadata.generation.map(|number| number + 1);
        let secret = Secret {
            data: Some(BTreeMap::from([(
                "password".to_owned(),
                ByteString(format!("guess-{password}").into_bytes()),
            )])),
            ..Secret::default()
        };
        let settings = Settings::read(&world.resource.spec).unwrap();
        let key = FingerprintKey::new(*b"key");
        world.credentials = credentials::read(Some(&secret), &settings, &key).state;
        self.cluster.passwords.insert(name.to_owned(), password);
    }

    fn delete(&mut self, name: &str) {
        self.cluster.integrations.remove(name);
    }

    /// Reconciles one integration, in one of the controllers.
    fn reconcile(&mut self, name: &str, controller: usize, killed: Killed, now: i64) {
        let Some(world) = self.cluster.integrations.get(name) else {
            return;
        };
        let Credentials::Available {
            fingerprint, user, ..
        } = world.credentials.clone()
        else {
            panic!("{:?}", world.credentials)
        };
        let mut siblings = SiblingLogins::default();
        let mut on_record = vec![];
        for (other, world) in &self.cluster.integrations {
            let Some(status) = &world.resource.status else {
                continue;
            };
            if other != name {
                siblings.add(&fingerprint, status);
                siblings.add_user(&user, &fingerprint, status, Timestamp::MIN);
            }
            let connection = status.connection.iter();
            on_record.extend(
                connection.flat_map(|own| user_limit::refusals(own, &user).collect::<Vec<_>>()),
            );
        }
        let process = &mut self.controllers[controller];
        siblings.add_logged(&fingerprint, process.book.refusals(&user, at(now)));
        let world = self.cluster.integrations.get_mut(name).unwrap();
        (world.siblings, world.now) = (siblings, now);
        let plan = world.decide(None);
        if plan.prove.is_none() {
            world.resource.status = Some(plan.status);
            return;
        }
        let attempt = Attempt {
            user: &user,
            credential: &fingerprint,
            namespace: "tenant",
            at: at(now),
        };
        loop {
            if process.book.admit(attempt, on_record.clone()).is_err() {
                return;
            }
            process.store(&mut self.cluster, now);
            if process.book.holds(attempt) {
                break;
            }
        }
        let world = self.cluster.integrations.get_mut(name).unwrap();
        let status = world.resource.status.as_ref();
        world.resource.status = Some(with_attempt(status, &fingerprint, &user, at(now)));
        let right = self.cluster.passwords[name] == RIGHT;
        if right {
            self.worked += 1;
        } else {
            self.refused_at.push(now);
        }
        if killed == Killed::BeforeTheAnswer {
            *process = Controller::started(&self.cluster, now);
            return;
        }
        process.book.settle(attempt, !right);
        if killed == Killed::BeforeItIsWritten {
            *process = Controller::started(&self.cluster, now);
            return;
        }
        let proof = Proof {
            at: at(now),
            fingerprint: fingerprint.clone(),
            calls: 1,
            outcome: if right { Ok(findings()) } else { refused() }.map(Arc::new),
        };
        world.resource.status = Some(world.decide(Some(&proof)).status);
    }

    fn most_in_an_hour(&self) -> usize {
        let within = |from: &i64| {
            let hour = *from..*from + 3600;
            (self.refused_at.iter())
                .filter(|at| hour.contains(at))
                .count()
        };
        self.refused_at.iter().map(within).max().unwrap_or_default()
    }
}

#[test]
fn whoever_deletes_and_makes_anew_has_no_more_tries() {
    let mut attack = Attack::new();
    for guess in 1..=30 {
        let (name, now) = (format!("guess-{}", guess % 3), 20 * guess as i64);
        attack.write(&name, guess % NAMES.len(), guess % HOSTS.len(), guess);
        attack.reconcile(&name, 0, Killed::No, now);
        attack.reconcile(&name, 0, Killed::No, now + 1);
        let status = attack.cluster.integrations[&name].resource.status.clone();
        if guess > 2 {
            let connected = conditions::verdict(&status.unwrap().conditions, CONNECTED).unwrap();
            assert_eq!(connected.reason.as_str(), "LoginWithheld");
            assert!(
                connected.message.contains("one that was deleted"),
                "{}",
                connected.message
            );
        }
        attack.delete(&name);
        attack.controllers[0] = Controller::started(&attack.cluster, now + 1);
    }
    assert_eq!(attack.refused_at.len(), 2, "{:?}", attack.refused_at);
}

#[derive(Clone, Debug)]
enum Event {
    Write(usize, usize, usize, usize),
    Delete(usize),
    Test(usize),
    Restart(usize),
    Look,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..4_usize, 0..NAMES.len(), 0..HOSTS.len(), 0..9_usize)
            .prop_map(|(name, user, host, password)| Event::Write(name, user, host, password)),
        3 => (0..4_usize).prop_map(Event::Delete),
        2 => (0..4_usize).prop_map(Event::Test),
        2 => (0..2_usize).prop_map(Event::Restart),
        2 => Just(Event::Look),
    ]
}

fn killed() -> impl Strategy<Value = Killed> {
    prop_oneof![
        4 => Just(Killed::No),
        1 => Just(Killed::BeforeTheAnswer),
        1 => Just(Killed::BeforeItIsWritten),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn in_every_hostile_history_a_user_is_refused_three_times_an_hour_at_most(
        events in prop::collection::vec((event(), 0..2_usize, killed(), 0..400_i64), 1..80),
    ) {
        let mut attack = Attack::new();
        // An earlier hour, so that every status and the book have something to forget.
        let mut now = 1;
        let names: Vec<String> = (0..4).map(|number| format!("tenant-{number}")).collect();
        for (number, (event, controller, killed, wait)) in events.into_iter().enumerate() {
            match event {
                Event::Write(name, user, host, password) => attack.write(&names[name], user, host, password),
                Event::Delete(name) => attack.delete(&names[name]),
                Event::Test(name) => {
                    if let Some(world) = attack.cluster.integrations.get_mut(&names[name]) {
                        world.ask(TEST_REQUESTED_AT, &number.to_string());
                    }
                }
                Event::Restart(controller) => {
                    attack.controllers[controller] = Controller::started(&attack.cluster, now);
                }
                Event::Look => {}
            }
            for (place, name) in names.iter().enumerate() {
                // Both controllers believe that they lead; one of them is behind with the book.
                attack.reconcile(name, (controller + place) % 2, killed, now);
            }
            now += wait;
        }
        prop_assert!(attack.most_in_an_hour() <= MAX_REFUSALS + 1, "{:?}", attack.refused_at);

        // The owner corrects the password, and is connected within the hour.
        attack.controllers = [0, 0].map(|_| Controller::started(&attack.cluster, now));
        let distinct: BTreeSet<&String> = names.iter().collect();
        for name in distinct {
            attack.delete(name);
        }
        let before = attack.worked;
        attack.write("owner", 0, 0, RIGHT);
        for later in (0..=3660).step_by(60) {
            attack.reconcile("owner", 0, Killed::No, now + later);
        }
        prop_assert!(attack.worked > before);
    }
}
