//! The Salesforce of a played world: orgs with sessions, an allocation and outages, users with
//! passwords, a lock-out and a date on which the password expires. Proofs and runs log in here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use parking_lot::Mutex;

use super::cluster::now;
use super::dice::Dice;
use crate::api::Settings;
use crate::decide::login::credentials;
use crate::decide::{Credentials, Failure, Proof};
use crate::prove::{Ended, played};
use crate::salesforce::{
    Access, Error, Findings, Fingerprint, FingerprintKey, Granted, LoginGate, Meaning,
    Organization, Phase, SessionInfo, SharedSession, Usage, UsersFound, Visibility,
};

/// Refused log-ins in a row that lock a user, until somebody gives it another password.
const LOCKED_AFTER: u32 = 10;
/// API requests that an org has within 24 hours.
pub(super) const LIMIT: u64 = 15_000;

/// A user of an org.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub org: usize,
    /// The password that is right now.
    pub password: String,
    pub expired: bool,
    pub locked: bool,
    failures: u32,
    /// When wrong passwords were refused to the controller.
    pub refused: Vec<Timestamp>,
}

/// An org.
#[derive(Clone, Debug, Default)]
pub(super) struct Org {
    pub down_until: Timestamp,
    pub no_quota_until: Timestamp,
    pub no_rights_until: Timestamp,
    /// Sessions from before are not taken.
    pub sessions: u64,
    pub used: u64,
}

#[derive(Default)]
struct State {
    users: BTreeMap<String, User>,
    orgs: Vec<Org>,
    /// Proofs by second, while it lasts.
    second: (i64, u64),
    peak: u64,
    proofs: u64,
    /// Proofs by the minute in which they began.
    minutes: BTreeMap<i64, u64>,
    logins: u64,
    known: BTreeMap<String, (String, String)>,
}

/// Salesforce.
pub(super) struct Salesforce {
    state: Mutex<State>,
    dice: Mutex<Dice>,
    key: FingerprintKey,
}

/// How a log-in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogIn {
    Good,
    Failed(Meaning),
}

/// The Secret with this password.
pub(super) fn secret(password: &str) -> Secret {
    Secret {
        data: Some(BTreeMap::from([(
            "password".to_owned(),
            ByteString(password.as_bytes().to_vec()),
        )])),
        ..Secret::default()
    }
}

// === impl Salesforce ===

impl Salesforce {
    pub(super) fn new(dice: Dice, key: FingerprintKey, orgs: usize) -> Arc<Self> {
        let state = State {
            orgs: vec![Org::default(); orgs],
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            dice: Mutex::new(dice),
            key,
        })
    }

    pub(super) fn add_user(&self, name: &str, org: usize) {
        let user = User {
            org,
            password: format!("correct-horse-{name}-0"),
            expired: false,
            locked: false,
            failures: 0,
            refused: vec![],
        };
        self.state.lock().users.insert(name.to_owned(), user);
    }

    pub(super) fn user(&self, name: &str) -> User {
        self.state.lock().users[name].clone()
    }

    pub(super) fn change_user(&self, name: &str, change: impl FnOnce(&mut User)) {
        change(self.state.lock().users.get_mut(name).unwrap());
    }

    /// Gives a user another password, with which it is as good as new.
    pub(super) fn new_password(&self, name: &str) {
        self.change_user(name, |user| {
            user.password = format!("correct-horse-{name}-{}", now().as_millisecond());
            user.expired = false;
            user.locked = false;
            user.failures = 0;
        });
    }

    pub(super) fn org(&self, org: usize) -> Org {
        self.state.lock().orgs[org].clone()
    }

    pub(super) fn change_org(&self, org: usize, change: impl FnOnce(&mut Org)) {
        change(&mut self.state.lock().orgs[org]);
    }

    pub(super) fn orgs(&self) -> usize {
        self.state.lock().orgs.len()
    }

    /// The most proofs within one second, and all proofs and log-ins.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let state = self.state.lock();
        (state.peak, state.proofs, state.logins)
    }

    /// The most proofs that began within one minute since then.
    pub(super) fn most_in_a_minute(&self, since: Timestamp) -> u64 {
        let state = self.state.lock();
        let minutes = state.minutes.range(since.as_second() / 60..);
        minutes.map(|(_, proofs)| *proofs).max().unwrap_or(0)
    }

    /// The users to whom the controller sent more wrong passwords within an hour than `most`.
    pub(super) fn refused_more_than(&self, most: usize) -> Vec<String> {
        let state = self.state.lock();
        let mut found = vec![];
        for (name, user) in &state.users {
            let worst = user
                .refused
                .windows(most + 1)
                .find(|many| many[most].duration_since(many[0]).as_secs() < 3600);
            if let Some(times) = worst {
                found.push(format!("{name} was refused at {times:?}"));
            }
        }
        found
    }

    /// Tries a password.
    pub(super) fn log_in(&self, name: &str, password: &str, by_controller: bool) -> LogIn {
        let mut state = self.state.lock();
        state.logins += 1;
        let State { users, orgs, .. } = &mut *state;
        let Some(user) = users.get_mut(name) else {
            return LogIn::Failed(Meaning::InvalidLogin);
        };
        if now() < orgs[user.org].down_until {
            return LogIn::Failed(Meaning::Unreachable);
        }
        if user.password != password || user.locked {
            if by_controller && user.password != password {
                user.refused.push(now());
            }
            user.failures += 1;
            if user.failures >= LOCKED_AFTER {
                user.failures = 0;
                user.locked = true;
            }
            return LogIn::Failed(Meaning::InvalidLogin);
        }
        user.failures = 0;
        match user.expired {
            true => LogIn::Failed(Meaning::PasswordExpired),
            false => LogIn::Good,
        }
    }

    /// Spends API requests, and tells the usage.
    pub(super) fn spend(&self, org: usize, calls: u64) -> Usage {
        let mut state = self.state.lock();
        state.orgs[org].used += calls;
        Usage {
            used: state.orgs[org].used % LIMIT,
            limit: LIMIT,
            observed_at: Timestamp::from_second(now().as_second()).unwrap(),
        }
    }

    /// Whether this is the fingerprint of the password that is right.
    fn is_right(&self, settings: &Settings, fingerprint: &Fingerprint) -> bool {
        let name = settings.auth.username.clone().unwrap_or_default();
        let mut state = self.state.lock();
        let State { users, known, .. } = &mut *state;
        let Some(user) = users.get(&name) else {
            return false;
        };
        // The same user logs in elsewhere with another fingerprint.
        let place = format!("{name} {}", settings.login_url);
        let right = known.get(&place).filter(|(of, _)| *of == user.password);
        if let Some((_, right)) = right {
            return *right == fingerprint.to_string();
        }
        let read = credentials::read(Some(&secret(&user.password)), settings, &self.key);
        let Credentials::Available {
            fingerprint: right, ..
        } = read.state
        else {
            panic!("{:?}", read.state);
        };
        known.insert(place, (user.password.clone(), right.clone()));
        right == fingerprint.to_string()
    }

    fn session(&self, name: &str) -> Option<(String, User, Org)> {
        let state = self.state.lock();
        let user = state.users.get(name)?.clone();
        let org = state.orgs[user.org].clone();
        // A password that expires or changes ends the sessions.
        let token = format!("{} {} {}", org.sessions, user.password, user.expired);
        Some((token, user, org))
    }

    fn count(&self) {
        let mut state = self.state.lock();
        state.proofs += 1;
        let minute = now().as_second() / 60;
        *state.minutes.entry(minute).or_default() += 1;
        let second = now().as_second();
        if state.second.0 != second {
            state.second = (second, 0);
        }
        state.second.1 += 1;
        state.peak = state.peak.max(state.second.1);
    }

    async fn think(&self) {
        let millis = 200 + self.dice.lock().below(800);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    async fn ask(
        &self,
        settings: &Settings,
        fingerprint: &Fingerprint,
        session: &SharedSession,
        gate: Option<Arc<dyn LoginGate>>,
    ) -> Result<Findings, Error> {
        let name = settings.auth.username.clone().unwrap_or_default();
        let keeper = session.keeper();
        keeper.forgive();
        for _ in 0..2 {
            let right = self.is_right(settings, fingerprint);
            let info = info(&name);
            let gate = gate.clone();
            let session = match keeper.existing() {
                Some(session) => session,
                None => {
                    if let Some(gate) = gate {
                        gate.admit().await?;
                    }
                    keeper.count_login();
                    self.think().await;
                    let password = match right {
                        true => self.user(&name).password,
                        false => "wrong".to_owned(),
                    };
                    let answer = self.log_in(&name, &password, true);
                    // The answer is under way: who is killed now does not hear that it counted.
                    let millis = 1_000 + self.dice.lock().below(2_000);
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    if answer == LogIn::Failed(Meaning::Unreachable) {
                        tokio::time::sleep(Duration::from_secs(10)).await;
                    }
                    let made = match answer {
                        LogIn::Failed(meaning) => {
                            Err(Error::new(meaning, Phase::Login, meaning.cause()))
                        }
                        LogIn::Good => Ok(Granted {
                            token: self
                                .session(&name)
                                .unwrap_or_else(|| unreachable!())
                                .0
                                .into(),
                            info,
                        }),
                    };
                    keeper.obtain(Ok(()), || std::future::ready(made)).await?
                }
            };
            self.think().await;
            let failed =
                |meaning: Meaning| Err(Error::new(meaning, Phase::Request, meaning.cause()));
            let Some((token, user, org)) = self.session(&name) else {
                return failed(Meaning::SessionExpired);
            };
            if now() < org.down_until {
                tokio::time::sleep(Duration::from_secs(10)).await;
                return failed(Meaning::Unreachable);
            }
            if secrecy::ExposeSecret::expose_secret(&session.token) != token {
                let expired = Error::new(
                    Meaning::SessionExpired,
                    Phase::Request,
                    Meaning::SessionExpired.cause(),
                );
                if !keeper.drop_expired(&session, &expired) {
                    return Err(expired);
                }
                continue;
            }
            if now() < org.no_quota_until {
                return failed(Meaning::RequestLimitExceeded);
            }
            session.prove();
            return Ok(self.findings(&name, &user, now() < org.no_rights_until));
        }
        Err(Error::new(
            Meaning::SessionExpired,
            Phase::Request,
            Meaning::SessionExpired.cause(),
        ))
    }

    fn findings(&self, name: &str, user: &User, no_rights: bool) -> Findings {
        let sees = || match no_rights {
            true => Visibility::No,
            false => Visibility::Yes,
        };
        Findings {
            session: info(name),
            organization: Organization {
                id: format!("00D00000000{:04}EAA", user.org),
                name: format!("Org {}", user.org),
                edition: Some("Enterprise Edition".into()),
                instance: Some("AP34".into()),
                sandbox: false,
                scratch: false,
                person_accounts: Some(false),
                trial_ends: None,
            },
            access: Access {
                contact: sees(),
                account: sees(),
                lead: sees(),
            },
            create_task: Visibility::Yes,
            users: UsersFound::NotAsked,
            usage: Some(self.spend(user.org, 1)),
            warnings: vec![],
        }
    }
}

impl played::Salesforce for Salesforce {
    fn prove<'a>(
        &'a self,
        settings: &'a Settings,
        fingerprint: &'a Fingerprint,
        session: &'a SharedSession,
        gate: Option<Arc<dyn LoginGate>>,
    ) -> BoxFuture<'a, Ended> {
        async move {
            self.count();
            let keeper = session.keeper();
            let logins = keeper.logins();
            let outcome = self.ask(settings, fingerprint, session, gate).await;
            Ended {
                proof: Proof {
                    at: crate::api::now(),
                    fingerprint: fingerprint.to_string(),
                    calls: 1,
                    outcome: outcome.map(Arc::new).map_err(Failure::from),
                },
                proved: None,
                logins: keeper.logins() - logins,
            }
        }
        .boxed()
    }
}

fn info(name: &str) -> SessionInfo {
    SessionInfo {
        organization_id: String::new(),
        user_id: "005000000000001AAA".into(),
        username: Some(name.to_owned()),
        instance_url: "https://acme.my.salesforce.com"
            .parse()
            .unwrap_or_else(|_| unreachable!()),
        organization_name: None,
        sandbox: Some(false),
        person_accounts: Some(false),
        seconds_valid: Some(7200),
    }
}
