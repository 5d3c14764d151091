//! The calls of all tenants: a platform that sends each until it is taken, phones that ring, and
//! somebody who looks when calls have their names.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, Secret};
use kube::Api;
use kube::api::ListParams;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard::directory::client::{Caller, Retry};
use switchboard::directory::model::{Call, CallsQuery, LookupState};
use switchboard::directory::{Client, ClientError};
use switchboard_testbed::incoming_call;
use tokio_util::sync::CancellationToken;

use super::tenants::{NUMBERS, Tenant, Truth, number_text};
use crate::Failure;
use crate::bed::{Bed, OPERATOR};

/// The pause between two looks at the calls that wait for their names.
const LOOK: Duration = Duration::from_secs(2);
/// One of so many calls rings first.
const RINGS: usize = 10;
/// How long a call screen waits for a name.
const RINGING: Duration = Duration::from_secs(10);
/// The pause before a call that was not taken is sent again.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest that one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// A call that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Whose it is.
    pub tenant: usize,
    /// The number that called, in the tenant's org.
    pub number: usize,
    /// When it began, which is when it was first sent.
    pub started: Timestamp,
    /// When the directory had it, in seconds of the soak.
    pub taken: Option<f64>,
    /// When it had its name, or nobody's.
    pub named: Option<f64>,
}

/// What rings have brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rings {
    /// How many rang.
    pub rang: usize,
    /// The name was there while it rang.
    pub known: usize,
    /// Nobody was known: a stranger, or Salesforce was not asked in time.
    pub nobody: usize,
    /// The directory was not reached.
    pub unanswered: usize,
}

/// All that happened. The place of a call in it is its ID.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The calls.
    pub calls: Vec<Sent>,
    /// Those that were taken and have no name yet.
    pub waiting: BTreeSet<usize>,
    /// What rings have brought.
    pub rings: Rings,
    /// Names that were shown and never were the caller's.
    pub wrong: Vec<String>,
}

/// The platform and the screens.
pub(super) struct Platform<'a> {
    bed: &'a Bed,
    tenants: &'a [Tenant],
    truth: &'a RefCell<Truth>,
    begun: Instant,
    http: reqwest::Client,
    /// Where the directory was reached last.
    base: RefCell<Option<String>>,
    clients: RefCell<BTreeMap<(usize, &'static str), Client>>,
    /// Every token that was ever used.
    pub tokens: RefCell<BTreeSet<String>>,
    /// What happened.
    pub ledger: RefCell<Ledger>,
}

// === impl Platform ===

impl<'a> Platform<'a> {
    /// A platform that has not called yet.
    pub(super) fn new(
        bed: &'a Bed,
        tenants: &'a [Tenant],
        truth: &'a RefCell<Truth>,
        begun: Instant,
    ) -> Result<Self, Failure> {
        Ok(Self {
            bed,
            tenants,
            truth,
            begun,
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(REQUEST)
                .build()?,
            base: RefCell::default(),
            clients: RefCell::default(),
            tokens: RefCell::default(),
            ledger: RefCell::default(),
        })
    }

    /// Seconds since the beginning of the soak.
    pub(super) fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// How many calls wait for the controller, and how many for a run in a pod.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let ledger = self.ledger.borrow();
        let is_resident = |id: &&usize| self.tenants[ledger.calls[**id].tenant].is_resident();
        let resident = ledger.waiting.iter().filter(is_resident).count();
        (resident, ledger.waiting.len() - resident)
    }

    /// Where the directory is: the address of its pod, which the node reaches without the API
    /// server's help.
    async fn base(&self) -> Result<String, Failure> {
        if let Some(base) = &*self.base.borrow() {
            return Ok(base.clone());
        }
        let pods: Api<Pod> = Api::namespaced(self.bed.control_plane.client(), OPERATOR);
        let selector = "app.kubernetes.io/component=directory";
        let pods = pods.list(&ListParams::default().labels(selector)).await?;
        let address = pods.items.into_iter().find_map(|pod| {
            let status = pod
                .status
                .filter(|_| pod.metadata.deletion_timestamp.is_none())?;
            let is_ready = |one: &ContainerStatus| one.ready;
            let ready = status.container_statuses?.iter().any(is_ready);
            let port = pod
                .spec?
                .containers
                .first()?
                .ports
                .as_ref()?
                .first()?
                .container_port;
            let address = status.pod_ip.filter(|_| ready)?;
            Some(format!("http://{address}:{port}"))
        });
        let base = address.ok_or("no pod of the directory is ready")?;
        *self.base.borrow_mut() = Some(base.clone());
        Ok(base)
    }

    /// A client with the tenant's present token.
    async fn client(&self, tenant: usize, purpose: &'static str) -> Result<Client, Failure> {
        if let Some(client) = self.clients.borrow().get(&(tenant, purpose)) {
            return Ok(client.clone());
        }
        let who = &self.tenants[tenant];
        let secrets: Api<Secret> = Api::namespaced(self.bed.control_plane.client(), &who.namespace);
        let mut secret = secrets.get(&format!("{}-directory", who.name)).await?;
        let token = secret
            .data
            .as_mut()
            .and_then(|data| data.remove(purpose))
            .ok_or("no token")?;
        let token = String::from_utf8(token.0)?;
        self.tokens.borrow_mut().insert(token.clone());
        let token = SecretString::from(token);
        let client =
            Client::with_http(self.http.clone(), &self.base().await?, token)?.with_retry(Retry {
                attempts: 1,
                ..Retry::default()
            });
        let mut clients = self.clients.borrow_mut();
        clients.insert((tenant, purpose), client.clone());
        Ok(client)
    }

    /// Asks with the tenant's token, which is read again when it is refused.
    async fn ask<T>(
        &self,
        tenant: usize,
        purpose: &'static str,
        ask: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let client = self.client(tenant, purpose).await?;
        let answer = ask(client).await;
        match &answer {
            Err(ClientError::Refused { problem, .. }) if matches!(problem.status, 401 | 403) => {
                self.clients.borrow_mut().remove(&(tenant, purpose));
            }
            // It may be another pod by now.
            Err(ClientError::Unreachable { .. }) => {
                *self.base.borrow_mut() = None;
                self.clients.borrow_mut().clear();
            }
            _ => {}
        }
        Ok(answer?)
    }

    /// Has calls come in until this is stopped, and then until each was taken.
    pub(super) async fn call(&self, seed: u64, a_second: f64, stop: &CancellationToken) {
        // Not the numbers that the plan is made of.
        let mut random = StdRng::seed_from_u64(seed ^ 0x0ca1_1005);
        let mut under_way = FuturesUnordered::new();
        loop {
            let pause = random.random_range(0.5..1.5) / a_second;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(Duration::from_secs_f64(pause)) => {}
                Some(()) = under_way.next() => continue,
            }
            let id = {
                let mut ledger = self.ledger.borrow_mut();
                ledger.calls.push(Sent {
                    tenant: random.random_range(0..self.tenants.len()),
                    number: random.random_range(0..NUMBERS),
                    started: Timestamp::now(),
                    taken: None,
                    named: None,
                });
                ledger.calls.len() - 1
            };
            under_way.push(self.ring_and_send(id));
        }
        while under_way.next().await.is_some() {}
    }

    async fn ring_and_send(&self, id: usize) {
        let sent = self.ledger.borrow().calls[id].clone();
        let tenant = &self.tenants[sent.tenant];
        if id.is_multiple_of(RINGS) {
            self.ring(&sent, tenant).await;
        }
        let call = payload(tenant, id, &sent);
        while let Err(_untaken) = self
            .ask(sent.tenant, "ingest", async |to| to.ingest(&call).await)
            .await
        {
            tokio::time::sleep(AGAIN).await;
        }
        let mut ledger = self.ledger.borrow_mut();
        ledger.calls[id].taken = Some(self.now());
        ledger.waiting.insert(id);
    }

    /// The phone rings, and the call screen wants a name.
    async fn ring(&self, sent: &Sent, tenant: &Tenant) {
        let number = number_text(tenant.org, sent.number);
        let shown = self
            .ask(sent.tenant, "lookup", async |to| {
                to.caller(&number, RINGING).await
            })
            .await;
        let mut ledger = self.ledger.borrow_mut();
        ledger.rings.rang += 1;
        match shown {
            Ok(Caller::Known(contact)) => {
                ledger.rings.known += 1;
                let name = contact.person_name.unwrap_or_default();
                self.check(&mut ledger, sent, tenant, &name);
            }
            Ok(Caller::Nobody(_)) => ledger.rings.nobody += 1,
            Err(_unreached) => ledger.rings.unanswered += 1,
        }
    }

    fn check(&self, ledger: &mut Ledger, sent: &Sent, tenant: &Tenant, name: &str) {
        if !self.truth.borrow().had(tenant.org, sent.number, name) {
            let wrong = format!(
                "{}: number {} was shown as {name:?}",
                tenant.name, sent.number
            );
            ledger.wrong.push(wrong);
        }
    }

    /// Looks again and again which calls have their names, until this is stopped.
    pub(super) async fn see_names(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            for tenant in 0..self.tenants.len() {
                // What cannot be seen now is seen later.
                let _ = self.see(tenant).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn see(&self, tenant: usize) -> Result<(), Failure> {
        let oldest = {
            let ledger = self.ledger.borrow();
            let waits = |id: &&usize| ledger.calls[**id].tenant == tenant;
            let started = |id: &usize| ledger.calls[*id].started;
            ledger.waiting.iter().filter(waits).map(started).min()
        };
        let Some(oldest) = oldest else { return Ok(()) };
        let told = self
            .history(tenant, Some(oldest - SignedDuration::from_secs(1)))
            .await?;
        let now = self.now();
        let mut ledger = self.ledger.borrow_mut();
        for call in told {
            let Some(id) = id_of(&call).filter(|id| ledger.waiting.contains(id)) else {
                continue;
            };
            if call.contact.is_none() && call.lookup == LookupState::Pending {
                continue;
            }
            ledger.waiting.remove(&id);
            ledger.calls[id].named = Some(now);
            if let Some(contact) = call.contact {
                let sent = ledger.calls[id].clone();
                let name = contact.person_name.unwrap_or_default();
                self.check(&mut ledger, &sent, &self.tenants[tenant], &name);
            }
        }
        Ok(())
    }

    /// The tenant's history since this time, or all of it.
    pub(super) async fn history(
        &self,
        tenant: usize,
        from: Option<Timestamp>,
    ) -> Result<Vec<Call>, Failure> {
        let mut query = CallsQuery {
            from,
            limit: Some(200),
            ..CallsQuery::default()
        };
        let mut calls = Vec::new();
        loop {
            let page = self
                .ask(tenant, "lookup", async |to| to.calls(&query).await)
                .await?;
            calls.extend(page.calls);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                return Ok(calls);
            }
        }
    }
}

/// The webhook of a call that began when it was sent and was short.
fn payload(tenant: &Tenant, id: usize, sent: &Sent) -> Value {
    let from = number_text(tenant.org, sent.number);
    let mut payload = incoming_call(&tenant.name, &id.to_string(), &from);
    let details = &mut payload["call"]["details"][0];
    for field in ["dial_starts_at", "dial_answered_at", "dial_ends_at"] {
        details[field] = json!(sent.started);
    }
    payload
}

/// Which of our calls it is.
pub(super) fn id_of(call: &Call) -> Option<usize> {
    call.id.rsplit('-').next()?.parse().ok()
}
