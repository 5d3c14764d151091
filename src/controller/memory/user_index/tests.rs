//! Random histories: at each settled moment a user has one holder, the oldest one that may hold
//! it, and an event wakes only those that it touches.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use crate::api::conditions::{EXCLUSIVE, Truth};
use crate::api::{CallCenter, SalesforceIntegration, Settings, conditions, fixtures};
use crate::controller::memory::index::Index;
use crate::controller::memory::key::Key;
use crate::decide::rules::config::Config;
use crate::decide::rules::user_claim::Users;
use crate::decide::{Credentials, Failure, Observed, Proof, decide};
use crate::reason::Reason;
use crate::salesforce::{
    Access, Findings, Meaning, Organization, Phase, SessionInfo, UsersFound, Visibility,
};

const RESOURCES: usize = 30;
const ORGS: usize = 3;
const USERS: usize = 8;

/// One integration with what a log-in of it would find.
#[derive(Clone)]
struct Played {
    resource: SalesforceIntegration,
    org: usize,
    is_refused: bool,
    /// Changes with the credential.
    credential: u32,
}

#[derive(Default)]
struct World {
    now: i64,
    born: u32,
    cluster: BTreeMap<Key, Played>,
    index: Index,
    queue: BTreeSet<Key>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Create,
    Edit,
    Delete,
    Suspend,
    MoveToAnotherOrg,
    LogInStopsWorking,
    RestartOfTheController,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    at: usize,
    change: Change,
    /// Bits that choose users, org and spelling.
    choice: u32,
    /// How many reconciles end before the next event; all of them for `None`.
    reconciles: Option<usize>,
}

fn event() -> impl Strategy<Value = Event> {
    let change = prop_oneof![
        4 => Just(Change::Create),
        3 => Just(Change::Edit),
        2 => Just(Change::Delete),
        2 => Just(Change::Suspend),
        2 => Just(Change::MoveToAnotherOrg),
        1 => Just(Change::LogInStopsWorking),
        1 => Just(Change::RestartOfTheController),
    ];
    let reconciles = prop::option::of(0..4_usize);
    (0..RESOURCES, change, any::<u32>(), reconciles).prop_map(|(at, change, choice, reconciles)| {
        Event {
            at,
            change,
            choice,
            reconciles,
        }
    })
}

fn name_of(user: usize) -> String {
    format!("user{user}@acme.example")
}

fn org_id(org: usize) -> String {
    format!("00D00000000000{org}EAA")
}

/// Up to two call centers, in spellings that differ.
fn call_centers(choice: u32) -> Vec<CallCenter> {
    let mut centers = ["support", "sales"].map(|name| CallCenter {
        name: name.into(),
        users: vec![],
    });
    for user in 0..USERS {
        let bits = choice >> (user * 3);
        let mut name = name_of(user);
        if bits & 4 != 0 {
            name = name.to_uppercase();
        }
        match bits & 3 {
            1 => centers[0].users.push(name),
            2 => centers[1].users.push(name),
            _ => {}
        }
    }
    centers.to_vec()
}

fn findings(org: usize) -> Findings {
    Findings {
        session: SessionInfo {
            organization_id: org_id(org),
            user_id: "005000000000001AAA".into(),
            username: None,
            instance_url: "https://acme.my.salesforce.com".parse().unwrap(),
            organization_name: None,
            sandbox: None,
            person_accounts: None,
            seconds_valid: None,
        },
        organization: Organization {
            id: org_id(org),
            name: "Acme".into(),
            edition: None,
            instance: None,
            sandbox: false,
            scratch: false,
            person_accounts: None,
            trial_ends: None,
        },
        access: Access {
            contact: Visibility::Yes,
            account: Visibility::Yes,
            lead: Visibility::Yes,
        },
        create_task: Visibility::Yes,
        users: UsersFound::Rows(vec![]),
        usage: None,
        warnings: vec![],
    }
}

impl World {
    fn happens(&mut self, event: Event) {
        // A log-in that was refused before counts no more.
        self.now += 7_200;
        let key = Key {
            namespace: format!("tenant-{}", event.at % 4),
            name: format!("link-{}", event.at),
        };
        let org = event.choice as usize % ORGS;
        match (event.change, self.cluster.get(&key).cloned()) {
            (Change::RestartOfTheController, _) => self.restart(),
            (Change::Create, None) => {
                let played = self.created(&key, event, org);
                self.observe(&key, Some(played));
            }
            (_, None) => {}
            (Change::Delete, Some(_)) => self.observe(&key, None),
            (change, Some(mut played)) => {
                match change {
                    Change::Suspend => played.resource.spec.suspend ^= true,
                    Change::MoveToAnotherOrg => {
                        played.org = org;
                        played.is_refused = false;
                        played.credential += 1;
                    }
                    Change::LogInStopsWorking => {
                        played.is_refused = true;
                        played.credential += 1;
                    }
                    _ => played.resource.spec.call_centers = call_centers(event.choice),
                }
                let generation = played.resource.metadata.generation.get_or_insert(1);
                *generation += 1;
                self.observe(&key, Some(played));
            }
        }
        self.reconcile(event.reconciles);
    }

    fn created(&mut self, key: &Key, event: Event, org: usize) -> Played {
        self.born += 1;
        let mut resource = fixtures::integration(&key.name);
        resource.metadata.namespace = Some(key.namespace.clone());
        // Some are of one second, and the UID decides, which is not in the order of creation.
        let second = if event.choice & 8 == 0 { 0 } else { self.now };
        resource.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        resource.metadata.uid = Some(format!("{:x}-{}", event.choice, self.born));
        resource.spec.call_centers = call_centers(event.choice);
        Played {
            resource,
            org,
            is_refused: event.choice & 0x7000_0000 == 0,
            credential: 0,
        }
    }

    /// The users that the index takes from each integration.
    fn taken(&self) -> BTreeMap<Key, Users> {
        let taken = |played: &Played| self.index.taken_users(&played.resource, None);
        self.cluster
            .iter()
            .map(|(key, played)| (key.clone(), taken(played)))
            .collect()
    }

    /// The watch reports an object, or that it is gone. Asserts that it wakes only those, and all
    /// of those, whose users it touches.
    fn observe(&mut self, key: &Key, played: Option<Played>) {
        let before = self.taken();
        let mut concerned = match &played {
            Some(played) => self.index.apply(&played.resource),
            None => self.index.delete(key),
        };
        match played {
            Some(played) => drop(self.cluster.insert(key.clone(), played)),
            None => drop(self.cluster.remove(key)),
        }
        self.queue.remove(key);
        self.queue.extend(concerned.iter().cloned());
        let after = self.taken();
        let others = after.iter().filter(|(other, _)| *other != key);
        let touched: BTreeSet<Key> = others
            .filter(|(other, taken)| before.get(*other) != Some(taken))
            .map(|(other, _)| other.clone())
            .collect();
        concerned.remove(key);
        assert_eq!(concerned, touched, "{key:?}");
    }

    fn restart(&mut self) {
        self.index = Index::default();
        self.queue.clear();
        for played in self.cluster.values() {
            self.queue.extend(self.index.apply(&played.resource));
        }
    }

    fn reconcile(&mut self, count: Option<usize>) {
        let mut left = count.unwrap_or(usize::MAX);
        while left > 0
            && let Some(key) = self.queue.pop_first()
        {
            left -= 1;
            self.reconcile_once(&key);
        }
        if self.queue.is_empty() {
            self.is_settled();
        }
    }

    fn reconcile_once(&mut self, key: &Key) {
        let Some(mut played) = self.cluster.get(key).cloned() else {
            return;
        };
        let now = Timestamp::from_second(1_800_000_000 + self.now).unwrap();
        let config = Config::default();
        let settings = Settings::read(&played.resource.spec);
        let fingerprint = format!("{key:?}/{}", played.credential);
        let decided = |proof: Option<&Proof>| {
            let org = proof.and_then(|proof| proof.outcome.as_ref().ok());
            let org = org.map(|findings| findings.organization.id.as_str());
            let credentials = Credentials::Available {
                fingerprint: fingerprint.clone(),
                user: "u1".into(),
                keys: vec!["password".into()],
            };
            let observed = Observed {
                taken_users: self.index.taken_users(&played.resource, org),
                proof,
                ..Observed::alone(
                    &played.resource,
                    settings.as_ref(),
                    credentials,
                    &config,
                    now,
                )
            };
            decide(&observed, now)
        };
        let mut plan = decided(None);
        if plan.prove.is_some() {
            let outcome = if played.is_refused {
                Err(Failure {
                    meaning: Meaning::InvalidLogin,
                    message: "refused".into(),
                    phase: Phase::Login,
                })
            } else {
                Ok(findings(played.org))
            };
            plan = decided(Some(&Proof {
                at: now,
                fingerprint: fingerprint.clone(),
                calls: 3,
                outcome: outcome.map(Into::into),
            }));
        }
        if played.resource.status.as_ref() != Some(&plan.status) {
            played.resource.status = Some(plan.status);
            let queue = std::mem::take(&mut self.queue);
            self.observe(key, Some(played));
            self.queue.extend(queue);
        }
    }

    /// Asserts, from the resources alone, who holds which user.
    fn is_settled(&self) {
        let org = |played: &Played| {
            let status = played.resource.status.as_ref()?;
            Some(status.organization.as_ref()?.id.clone())
        };
        let users = |played: &Played| -> BTreeSet<String> {
            let centers = played.resource.spec.call_centers.iter();
            centers
                .flat_map(|center| &center.users)
                .map(|user| user.to_lowercase())
                .collect()
        };
        let age = |played: &Played| {
            let metadata = &played.resource.metadata;
            (metadata.creation_timestamp.clone(), metadata.uid.clone())
        };
        let mut holders: BTreeMap<(String, String), Vec<&Key>> = BTreeMap::new();
        let mut oldest: BTreeMap<(String, String), (_, &Key)> = BTreeMap::new();
        for (key, played) in &self.cluster {
            let Some(org) = org(played).filter(|_| !played.resource.spec.suspend) else {
                continue;
            };
            if !played.is_refused {
                assert_eq!(org, org_id(played.org), "{key:?} was proved");
            }
            for user in users(played) {
                let place = (org.clone(), user.clone());
                let age = age(played);
                let first = oldest.entry(place.clone()).or_insert((age.clone(), key));
                if age < first.0 {
                    *first = (age, key);
                }
                let said = verdict(played).message.to_lowercase();
                if !said.contains(&user) {
                    holders.entry(place).or_default().push(key);
                }
            }
        }
        for (place, (_, key)) in &oldest {
            assert_eq!(holders.get(place), Some(&vec![*key]), "{place:?}");
        }
        for (key, played) in &self.cluster {
            let verdict = verdict(played);
            let Some(org) = org(played) else {
                assert_ne!(verdict.truth, Truth::False, "{key:?} hears of nobody");
                continue;
            };
            let clashes = users(played).into_iter().any(|user| {
                oldest
                    .get(&(org.clone(), user))
                    .is_some_and(|(first, holder)| *holder != key && *first < age(played))
            });
            if clashes {
                assert_eq!(verdict.reason, Reason::UserInOtherCallCenter, "{key:?}");
            } else {
                assert_eq!(verdict.truth, Truth::True, "{key:?}: {}", verdict.message);
            }
        }
    }
}

fn verdict(played: &Played) -> conditions::Verdict {
    let status = played.resource.status.as_ref().unwrap();
    conditions::verdict(&status.conditions, EXCLUSIVE).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_a_user_has_one_holder_and_an_event_wakes_only_those_it_touches(
        history in prop::collection::vec(event(), 1..150),
    ) {
        let mut world = World::default();
        for event in history {
            world.happens(event);
        }
        world.reconcile(None);
    }
}

#[test]
fn an_integration_without_call_centers_costs_the_index_nothing() {
    let mut index = super::UserIndex::default();
    let resource = fixtures::integration("acme");
    index.apply(&Key::of(&resource), &resource);
    assert!(index.claimants.is_empty() && index.by_user.is_empty());
}
