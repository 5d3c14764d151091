//! The scenarios: what a tenant does, and what must be so in the end.

use std::fmt::{self, Display};

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use salesforce_simulator::Simulator;
use serde_json::{Value, json};
use switchboard::controller::LEASE;

use super::fault::Fault;
use super::play::Play;
use super::state;
use crate::stage::condition;
use crate::world::{self, PASSWORD, USER};

/// What a tenant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    /// A Secret and an integration are applied.
    FirstApply,
    /// A mistyped password comes, then the right one.
    SecretChange,
    /// The retrieval is Daily, AfterCall, Disabled, and AfterCall again.
    ModeChange,
    /// An integration with data is deleted, and its data with it.
    Deletion,
    /// Two integrations log in with one wrong password, then with the right one.
    SharedCredential,
    /// The leader dies while the spec changes.
    LeaderChange,
    /// A run is asked for while one is under way.
    RunUnderWay,
    /// A run is asked for when one has just ended.
    RunAgain,
    /// Calls end, and the controller looks them up itself.
    AfterCall,
    /// The address book is filled.
    Fill,
}

// === impl Scenario ===

impl Scenario {
    pub(super) const ALL: [Self; 10] = [
        Self::FirstApply,
        Self::SecretChange,
        Self::ModeChange,
        Self::Deletion,
        Self::SharedCredential,
        Self::LeaderChange,
        Self::RunUnderWay,
        Self::RunAgain,
        Self::AfterCall,
        Self::Fill,
    ];

    /// The scenario of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.to_string() == name)
    }

    /// Number of controllers. With more than one they elect a leader.
    pub(super) fn replicas(self) -> usize {
        if self == Self::LeaderChange { 2 } else { 1 }
    }

    /// What the tenant does.
    pub(super) async fn act(self, play: &Play<'_>) -> Result<(), String> {
        let daily = json!({"retrieval": "Daily", "dailyAt": "23:00"});
        let after_call = json!({"retrieval": "AfterCall"});
        match self {
            Self::FirstApply => play.link(&daily).await,
            Self::SecretChange => {
                play.link(&daily).await?;
                change_password(&play.stage.simulator);
                play.password("mistyped").await?;
                play.until_ready("acme", "False").await?;
                play.password("changed").await
            }
            Self::ModeChange => {
                play.link(&daily).await?;
                play.contacts(&after_call).await?;
                play.until("the sweep", async || {
                    cron_jobs_are(play, &["acme-lookup"]).await
                })
                .await?;
                play.contacts(&json!({"retrieval": "Disabled"})).await?;
                play.until("no CronJob", async || cron_jobs_are(play, &[]).await)
                    .await?;
                play.contacts(&after_call).await
            }
            Self::Deletion => {
                play.password(PASSWORD).await?;
                let mut manifest = play.manifest("acme", &daily);
                manifest["spec"]["deletionPolicy"] = "Erase".into();
                play.apply(&manifest).await?;
                play.until_ready("acme", "True").await?;
                play.call("0", world::ON_CONTACT).await?;
                play.delete().await
            }
            Self::SharedCredential => {
                play.password("mistyped").await?;
                for name in ["acme", "beta"] {
                    play.apply(&play.manifest(name, &daily)).await?;
                }
                for name in ["acme", "beta"] {
                    play.until_ready(name, "False").await?;
                }
                play.password(PASSWORD).await
            }
            Self::LeaderChange => {
                play.link(&daily).await?;
                let leader = leader(play).await?;
                for replica in play
                    .replicas
                    .iter()
                    .filter(|replica| replica.name == leader)
                {
                    replica.take_away();
                }
                play.contacts(&json!({"retrieval": "Daily", "dailyAt": "05:00"}))
                    .await
            }
            Self::RunUnderWay => {
                play.link(&daily).await?;
                play.call("0", world::ON_CONTACT).await?;
                play.ask_for_run("one").await?;
                play.until("a Job", async || {
                    jobs(play).await?.pop().ok_or("none".to_owned())
                })
                .await?;
                play.ask_for_run("two").await
            }
            Self::RunAgain => {
                play.link(&daily).await?;
                play.call("0", world::ON_CONTACT).await?;
                play.ask_for_run("one").await?;
                play.until("the run", async || {
                    let object = play.get("acme").await?.ok_or("not there")?;
                    let outcome = object["status"]["lastRun"]["outcome"].as_str();
                    outcome.map(drop).ok_or("none has ended".to_owned())
                })
                .await?;
                play.ask_for_run("two").await
            }
            Self::AfterCall => {
                play.link(&after_call).await?;
                play.call("0", world::ON_CONTACT).await?;
                play.call("1", world::ON_LEAD).await
            }
            Self::Fill => {
                let mut book = daily;
                book["addressBook"] = "Full".into();
                play.link(&book).await?;
                play.ask_for_run("fill").await
            }
        }
    }

    /// Whether it ended otherwise than without the fault, and may.
    pub(super) async fn may_wait(self, play: &Play<'_>) -> bool {
        match self {
            Self::SecretChange => play.waits_for_the_hour("acme").await.is_ok(),
            Self::SharedCredential => {
                play.waits_for_the_hour("acme").await.is_ok()
                    && play.waits_for_the_hour("beta").await.is_ok()
            }
            _ => false,
        }
    }

    /// Whether its last run may be missing in the status, until the next one: that of an
    /// integration that was made again after it, or one of the controller itself that was killed
    /// when calls had their names and the status did not tell of it.
    pub(super) fn may_forget_a_run(self, fault: Fault) -> bool {
        fault == Fault::MadeAgain || self == Self::AfterCall && fault.starts() > 0
    }

    /// What must be so in the end.
    ///
    /// # Errors
    /// What is not so.
    pub(super) async fn holds(self, play: &Play<'_>) -> Result<(), String> {
        match self {
            Self::FirstApply | Self::SecretChange => {
                play.is_ready("acme", "True").await?;
                cron_jobs_are(play, &["acme-sync"]).await
            }
            Self::ModeChange => {
                play.is_ready("acme", "True").await?;
                cron_jobs_are(play, &["acme-lookup"]).await
            }
            Self::Deletion => {
                if play.get("acme").await?.is_some() {
                    return Err("the integration is there".to_owned());
                }
                match state::left_over(&play.stage.client, play.stage.ns())
                    .await?
                    .as_slice()
                {
                    [] => Ok(()),
                    left => Err(format!("left over: {left:?}")),
                }
            }
            Self::SharedCredential => {
                play.is_ready("acme", "True").await?;
                play.is_ready("beta", "True").await?;
                cron_jobs_are(play, &["acme-sync", "beta-sync"]).await
            }
            Self::LeaderChange => {
                play.is_ready("acme", "True").await?;
                let jobs = state::all::<CronJob>(&play.stage.client, play.stage.ns(), "").await?;
                let schedule = jobs.first().map(|job| job["spec"]["schedule"].to_string());
                match schedule
                    .as_deref()
                    .is_some_and(|schedule| schedule.contains(" 5 "))
                {
                    true => Ok(()),
                    false => Err(format!("the schedule is {schedule:?}")),
                }
            }
            Self::RunUnderWay | Self::RunAgain => {
                ran(play, "two").await?;
                // A request is answered by the run under way, or by one of its own.
                let all = jobs(play).await?.len();
                let overlaps = self == Self::RunUnderWay || play.fault.is_some_and(Fault::blinds);
                if all != 2 && !(overlaps && all == 1) {
                    return Err(format!("{all} Jobs for two requests"));
                }
                play.calls_are_of(&["Hanako Sato"]).await
            }
            Self::AfterCall => {
                play.is_ready("acme", "True").await?;
                play.calls_are_of(&["Hanako Sato", "Taro Lead"]).await?;
                match jobs(play).await?.as_slice() {
                    [] => Ok(()),
                    jobs => Err(format!("{jobs:?} for what the controller looks up")),
                }
            }
            Self::Fill => {
                ran(play, "fill").await?;
                let jobs = jobs(play).await?.len();
                if jobs != 1 {
                    return Err(format!("{jobs} Jobs for one request"));
                }
                let object = play.get("acme").await?.ok_or("not there")?;
                let book = &object["status"]["addressBook"];
                match book["mode"] == "Full" {
                    true => Ok(()),
                    false => Err(format!("the book is {book}")),
                }
            }
        }
    }
}

impl Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstApply => "first-apply",
            Self::SecretChange => "secret-change",
            Self::ModeChange => "mode-change",
            Self::Deletion => "deletion",
            Self::SharedCredential => "shared-credential",
            Self::LeaderChange => "leader-change",
            Self::RunUnderWay => "run-under-way",
            Self::RunAgain => "run-again",
            Self::AfterCall => "after-call",
            Self::Fill => "fill",
        })
    }
}

fn change_password(simulator: &Simulator) {
    let changed = simulator.edit_user(USER, |user| user.password = "changed".into());
    changed.unwrap();
    simulator.revoke_sessions(USER);
}

async fn cron_jobs_are(play: &Play<'_>, expected: &[&str]) -> Result<(), String> {
    let all = state::all::<CronJob>(&play.stage.client, play.stage.ns(), "").await?;
    let mut names: Vec<&str> = all
        .iter()
        .filter_map(|job| job["metadata"]["name"].as_str())
        .collect();
    names.sort_unstable();
    match names == expected {
        true => Ok(()),
        false => Err(format!("the CronJobs are {names:?}")),
    }
}

async fn jobs(play: &Play<'_>) -> Result<Vec<Value>, String> {
    state::all::<Job>(&play.stage.client, play.stage.ns(), "").await
}

async fn leader(play: &Play<'_>) -> Result<String, String> {
    let leases = Api::<Lease>::namespaced(play.stage.client.clone(), play.stage.ns());
    let lease = leases.get(LEASE).await.map_err(|error| error.to_string())?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    holder.ok_or("nobody leads".to_owned())
}

/// Whether this request was answered by a run that ended well.
async fn ran(play: &Play<'_>, wish: &str) -> Result<(), String> {
    play.is_ready("acme", "True").await?;
    let object = play.get("acme").await?.ok_or("not there")?;
    let status = &object["status"];
    let run = &status["lastRun"];
    let handled = status["lastHandledRunAt"] == wish;
    let is_the_one = status["requestedRun"]["job"] == run["job"];
    if !(handled && is_the_one && run["outcome"] == "Succeeded") {
        return Err(format!(
            "handled {}, requested {}, last {run}",
            status["lastHandledRunAt"], status["requestedRun"]
        ));
    }
    let synced = condition(&object, "Synced").ok_or("no condition yet")?;
    if synced["status"] != "True" {
        return Err(synced.to_string());
    }
    match play.events("RunRefused").await?.as_slice() {
        [] => Ok(()),
        refused => Err(format!("refused: {refused:?}")),
    }
}
