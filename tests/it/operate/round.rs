//! Tenants who play their sequences at the same time, and one who applies A and nothing else.

use std::fmt::{self, Display};

use kube::api::{DeleteParams, ListParams};
use salesforce_simulator::{Org, User, World};
use switchboard_testbed::proxy::Proxy;
use switchboard_testbed::try_wait_for;

use super::tenant::{Sequence, Tenant};
use crate::stage::{SOON, Stage};
use crate::sweep::deployment::{Replica, still};
use crate::sweep::state;
use crate::world::{PASSWORD, TOKEN};

/// The tenant who applies A and nothing else.
const FRESH: &str = "fresh";
/// What the platform team lets tenants set: some of it, so that there is something to refuse.
const PODS: &str = "tenantsMay:
  labels: [team]
  annotations: ['*']
  nodeSelector: [team]
  tolerations: [a]
  resources: {cpu: '1', memory: 512Mi}
";

/// Sequences that are played at the same time, in a namespace of their own.
pub(super) struct Round {
    /// Its number, from 0.
    pub number: usize,
    /// What is played.
    pub sequences: Vec<Sequence>,
}

impl Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}", self.number)
    }
}

// === impl Round ===

impl Round {
    /// Plays them, and says what is wrong.
    pub(super) async fn play(&self) -> Vec<String> {
        // Numbers are masked where states are compared.
        let name = |at: usize| format!("tenant-{}", char::from(b'a' + at as u8));
        let names = (0..self.sequences.len())
            .map(name)
            .chain([FRESH.to_owned()]);
        let names: Vec<String> = names.collect();
        let world = names.iter().fold(World::new(), |world, name| {
            let user = User::integration(&Tenant::user(name));
            world.org(Org::enterprise(name).user(user.password(PASSWORD).token(TOKEN)))
        });
        let stage = Stage::set("operate", world).await;
        let proxy = Proxy::before(stage.control_plane).unwrap();
        let pods = stage.path("pods.yaml");
        std::fs::write(&pods, PODS).unwrap();
        let replica = Replica::new(&stage, &proxy, 0, false).await;
        let replica = replica.flag(format!("--worker-pods={}", pods.display()));
        let retrieval = ["Daily", "AfterCall"][self.number % 2];
        let tenants: Vec<Tenant<'_>> = names
            .into_iter()
            .map(|name| Tenant {
                stage: &stage,
                name,
                retrieval,
            })
            .collect();
        let problems = tokio::select! {
            problems = self.to_the_end(&tenants, &proxy) => problems,
            broken = replica.keep(&stage, &proxy, None) => match broken {
                Ok(never) => match never {},
                Err(problem) => vec![problem],
            },
        };
        drop(tenants);
        let said = replica.said();
        let errors = said.lines().filter(|line| line.contains("\"ERROR\""));
        let errors = errors.map(|line| format!("it logs an error: {line}"));
        let problems: Vec<String> = problems.into_iter().chain(errors).collect();
        for problem in &problems {
            println!("{self} FAILED: {problem}");
        }
        if problems.is_empty() {
            stage.rights().nothing_was_refused(stage.control_plane);
        }
        stage.clear().await;
        problems
    }

    async fn to_the_end(&self, tenants: &[Tenant<'_>], proxy: &Proxy) -> Vec<String> {
        let Some((fresh, tenants)) = tenants.split_last() else {
            return vec![];
        };
        if let Err(problem) = fresh.begin().await {
            return vec![problem];
        }
        let playing = tenants.iter().zip(&self.sequences);
        let playing = playing.map(async |(tenant, sequence)| {
            tenant.play(sequence).await?;
            tenant.until_declared().await?;
            let same = try_wait_for("what a fresh A has", SOON, || same(tenant, fresh));
            same.await.map_err(|timed_out| timed_out.to_string())
        });
        let played = futures::future::join_all(playing).await;
        let mut problems = Vec::new();
        let is_still = still(proxy).await;
        problems.extend(is_still.err());
        for ((tenant, sequence), played) in tenants.iter().zip(&self.sequences).zip(played) {
            // Once all is still it stays so.
            let stays = async || {
                same(tenant, fresh).await?;
                tenant.is_as_declared().await
            };
            let ended = match played {
                Ok(()) => stays()
                    .await
                    .map_err(|told| format!("it does not stay so: {told}")),
                Err(problem) => Err(problem),
            };
            if let Err(problem) = ended {
                problems.push(format!("{sequence}: {problem}"));
            }
        }
        problems.extend(goes_as_a_whole(fresh.stage).await.err());
        problems
    }
}

/// Whether a tenant has what the fresh one has.
async fn same(tenant: &Tenant<'_>, fresh: &Tenant<'_>) -> Result<(), String> {
    let (fresh, found) = (fresh.state().await?, tenant.state().await?);
    match state::difference(&fresh, &found) {
        differs if differs.is_empty() => Ok(()),
        differs => Err(differs),
    }
}

/// Deletes the integrations and waits until all that was made for them is gone.
async fn goes_as_a_whole(stage: &Stage) -> Result<(), String> {
    let all = (DeleteParams::background(), ListParams::default());
    let deleted = stage.integrations().delete_collection(&all.0, &all.1).await;
    deleted.map_err(|error| error.to_string())?;
    let gone = try_wait_for("everything to be gone", SOON, || async {
        match state::left_over(&stage.client, stage.ns())
            .await?
            .as_slice()
        {
            [] => Ok(()),
            left => Err(format!("{left:?}")),
        }
    });
    gone.await.map_err(|timed_out| timed_out.to_string())
}
