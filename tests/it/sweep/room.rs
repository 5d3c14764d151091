//! A namespace with all that cases need, in which one is played after the other.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use salesforce_simulator::Simulator;
use serde_json::Value;
use switchboard::api::SalesforceIntegration;
use switchboard::controller::LOGINS;
use switchboard_testbed::proxy::{NumberedRequest, Proxy};
use switchboard_testbed::{target_dir, try_wait_for};
use tokio_util::sync::CancellationToken;

use super::deployment::{Replica, still};
use super::fault::Fault;
use super::play::{IN_THE_END, Play};
use super::scenario::Scenario;
use super::{Case, state};
use crate::stage::Stage;
use crate::world::{self, USER};

/// How long a stopped watch, or a cache that is behind, stays so after the tenant is done.
const BEHIND: Duration = Duration::from_secs(2);
/// How many times the requests of the run without a fault may be made.
const STORM: usize = 3;
/// Refused log-ins that a user may have within the hour.
const MAX_REFUSED: usize = 3;

/// A namespace with its installation.
pub(super) struct Room {
    stage: Stage,
    cases: usize,
}

/// How a scenario ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// What was in the namespace.
    pub state: Value,
    /// The requests of the controllers.
    pub requests: Vec<NumberedRequest>,
    /// Log-ins that Salesforce accepted and refused.
    pub logins: (usize, usize),
    /// The request that met its fate, if one did.
    pub struck: Option<NumberedRequest>,
}

// === impl Room ===

impl Room {
    pub(super) async fn new() -> Self {
        let stage = Stage::set("sweep", world::acme()).await;
        Self { stage, cases: 0 }
    }

    /// Takes the namespace away.
    pub(super) async fn end(self) {
        self.stage.clear().await;
    }

    /// Plays a scenario without a fault, as what its cases are compared with.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) async fn rehearse(&mut self, scenario: Scenario) -> Result<Ended, String> {
        self.play(scenario, None, None).await
    }

    /// Plays a case.
    ///
    /// # Errors
    /// What differs from the run without a fault.
    pub(super) async fn play_case(&mut self, case: Case, without: &Ended) -> Result<Ended, String> {
        let fault = Some((case.request, case.fault));
        self.play(case.scenario, fault, Some(without)).await
    }

    async fn play(
        &mut self,
        scenario: Scenario,
        fault: Option<(usize, Fault)>,
        without: Option<&Ended>,
    ) -> Result<Ended, String> {
        self.cases += 1;
        let simulator = Simulator::start(world::acme()).await;
        self.stage
            .use_simulator(simulator.map_err(|error| error.to_string())?);
        let proxy = Proxy::before(self.stage.control_plane).map_err(|error| error.to_string())?;
        let proxy = match fault {
            Some((request, fault)) => proxy.plan(request, fault.fate()),
            None => proxy,
        };
        let stage = &self.stage;
        let mut replicas = Vec::new();
        for number in 0..scenario.replicas() {
            let elects = scenario.replicas() > 1;
            replicas.push(Replica::new(stage, &proxy, number, elects).await);
        }
        let fault = fault.map(|(_, fault)| fault);
        let play = Play {
            stage,
            proxy: &proxy,
            replicas: &replicas,
            company: format!("company-{}-{}", stage.ns(), self.cases),
            fault,
        };
        let kept = replicas
            .iter()
            .map(|replica| replica.keep(stage, &proxy, fault));
        let kept = futures::future::select_all(kept.map(Box::pin));
        let ended = tokio::select! {
            ended = to_the_end(&play, scenario, without) => ended,
            (broken, ..) = kept => Err(match broken {
                Ok(never) => match never {},
                Err(problem) => problem,
            }),
        };
        match ended {
            Ok(ended) => self.clear_up().await.map(|()| ended),
            Err(problem) => {
                let told = write_down(&play).await;
                let told = told.map_err(|error| error.to_string())?;
                Err(format!("{problem}\n  {told}"))
            }
        }
    }

    /// Takes away what the log and the tenant left, for the next case.
    async fn clear_up(&self) -> Result<(), String> {
        let (client, ns) = (&self.stage.client, self.stage.ns());
        let all = (DeleteParams::background(), ListParams::default());
        let failed = |error: kube::Error| error.to_string();
        let config_maps = Api::<ConfigMap>::namespaced(client.clone(), ns);
        if config_maps.get_opt(LOGINS).await.map_err(failed)?.is_some() {
            let deleted = config_maps.delete(LOGINS, &all.0).await;
            deleted.map_err(failed)?;
        }
        let leases = Api::<Lease>::namespaced(client.clone(), ns);
        leases
            .delete_collection(&all.0, &all.1)
            .await
            .map_err(failed)?;
        let events = Api::<Event>::namespaced(client.clone(), ns);
        events
            .delete_collection(&all.0, &all.1)
            .await
            .map_err(failed)?;
        match state::left_over(client, ns).await?.as_slice() {
            [] => Ok(()),
            left => Err(format!("left over: {left:?}")),
        }
    }
}

/// Writes down what was asked, what the controllers said, and what stands. Says where.
async fn write_down(play: &Play<'_>) -> std::io::Result<String> {
    let path = target_dir().join(format!("sweep/{}.log", play.company));
    let mut text = String::new();
    for request in play.proxy.requests() {
        text += &format!("{request}\n");
    }
    for replica in play.replicas {
        text += &format!("--- {} ---\n{}", replica.name, replica.said());
    }
    match state::all::<SalesforceIntegration>(&play.stage.client, play.stage.ns(), "").await {
        Ok(all) => {
            for one in all {
                text += &format!("--- {} ---\n{:#}\n", one["metadata"]["name"], one["status"]);
            }
        }
        Err(error) => text += &format!("--- what stands could not be read: {error} ---\n"),
    }
    std::fs::create_dir_all(target_dir().join("sweep"))?;
    std::fs::write(&path, text)?;
    let at = match play.proxy.has_struck() {
        Some(struck) => format!("at {}", struck.request),
        None => "before its request".to_owned(),
    };
    Ok(format!("{at}; requests and logs: {}", path.display()))
}

/// Plays a scenario to its end, and judges it.
async fn to_the_end(
    play: &Play<'_>,
    scenario: Scenario,
    without: Option<&Ended>,
) -> Result<Ended, String> {
    let over = CancellationToken::new();
    let acts = async {
        let acted = scenario.act(play).await;
        // The last requests come when the tenant has seen what it waited for.
        let is_still = match play.fault {
            Some(Fault::ChangedBack | Fault::MadeAgain) => still(play.proxy).await,
            _ => Ok(()),
        };
        over.cancel();
        acted.and(is_still)
    };
    let (acted, meddled) = tokio::join!(acts, play.meddle(&over));
    acted.and(meddled)?;
    see_again(play).await;
    let seen = async || {
        let holds = scenario.holds(play).await;
        let state = state::of(play.stage, &play.company).await?;
        if holds.is_err() && scenario.may_wait(play).await {
            return Ok(state);
        }
        holds?;
        let state = match (play.fault, without) {
            (Some(fault), Some(without)) if scenario.may_forget_a_run(fault) => {
                state::with_the_run_before(state, &without.state)
            }
            _ => state,
        };
        match without {
            Some(without) if without.state != state => {
                Err(state::difference(&without.state, &state))
            }
            _ => Ok(state),
        }
    };
    let in_time = |timed_out: switchboard_testbed::TimedOut| timed_out.to_string();
    let end = try_wait_for("the end", IN_THE_END, &seen).await;
    end.map_err(in_time)?;
    still(play.proxy).await?;
    let state = match without {
        // Once all is still it stays so.
        Some(_) => seen()
            .await
            .map_err(|differs| format!("it does not stay so: {differs}"))?,
        None => try_wait_for("the end", IN_THE_END, seen)
            .await
            .map_err(in_time)?,
    };
    let logins = play.stage.simulator.counters();
    let ended = Ended {
        state,
        requests: play.proxy.requests(),
        logins: (logins.logins_ok(), logins.logins_failed()),
        struck: play.proxy.has_struck().map(|struck| struck.request),
    };
    if let Some(without) = without {
        within_the_rules(play, &ended, without)?;
    }
    goes_as_a_whole(play).await?;
    Ok(ended)
}

/// What was hidden is shown, or the past is.
async fn see_again(play: &Play<'_>) {
    match play.fault {
        Some(Fault::Freeze(_)) => {
            tokio::time::sleep(BEHIND).await;
            play.proxy.thaw();
        }
        Some(Fault::OldLists) => {
            play.proxy.fall_behind();
            for replica in play.replicas {
                replica.start_anew();
            }
            tokio::time::sleep(BEHIND).await;
            play.proxy.thaw();
        }
        // The case was over before its request came.
        Some(Fault::ChangedBack | Fault::MadeAgain) => play.proxy.thaw(),
        _ => {}
    }
}

fn within_the_rules(play: &Play<'_>, ended: &Ended, without: &Ended) -> Result<(), String> {
    let ((accepted, refused), starts) = (ended.logins, play.fault.map_or(0, Fault::starts));
    let may_be = (without.logins.0 + 1 + starts, without.logins.1 + 1 + starts);
    if refused > MAX_REFUSED || refused > may_be.1 || accepted > may_be.0 {
        return Err(format!(
            "{accepted} log-ins were accepted and {refused} refused, without the fault {:?}",
            without.logins
        ));
    }
    if play.stage.simulator.is_locked(USER) {
        return Err("the user is locked".to_owned());
    }
    let (made, usual) = (ended.requests.len(), without.requests.len());
    if made > STORM * usual {
        return Err(format!("{made} requests instead of {usual}"));
    }
    Ok(())
}

/// Deletes the integrations and waits until all that was made for them is gone.
async fn goes_as_a_whole(play: &Play<'_>) -> Result<(), String> {
    let (client, ns) = (&play.stage.client, play.stage.ns());
    let all = (DeleteParams::background(), ListParams::default());
    let failed = |error: kube::Error| error.to_string();
    let integrations = Api::<SalesforceIntegration>::namespaced(client.clone(), ns);
    integrations
        .delete_collection(&all.0, &all.1)
        .await
        .map_err(failed)?;
    let gone = try_wait_for("everything to be gone", IN_THE_END, || async {
        match state::left_over(client, ns).await?.as_slice() {
            [] => Ok(()),
            left => Err(format!("{left:?}")),
        }
    });
    gone.await.map_err(|timed_out| timed_out.to_string())?;
    let secrets = Api::<Secret>::namespaced(client.clone(), ns);
    secrets
        .delete_collection(&all.0, &all.1)
        .await
        .map_err(failed)?;
    Ok(())
}
