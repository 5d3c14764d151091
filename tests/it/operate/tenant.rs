//! A tenant who applies A, B, and A again.

use std::fmt::{self, Display};
use std::time::Duration;

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use switchboard::api::{INTEGRATION_LABEL, SalesforceIntegration, Settings};
use switchboard_testbed::sequences::Change;
use switchboard_testbed::try_wait_for;

use super::declared::{self, Seen};
use super::refusal;
use crate::stage::{SOON, Stage};
use crate::sweep::state;
use crate::world::{PASSWORD, TOKEN};

/// One sequence.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// What B changes: one field or two.
    pub changes: Vec<Change>,
    /// What is applied while B stands, each alone, and refused.
    pub refused: Vec<Change>,
    /// How the tenant goes on.
    pub pace: Pace,
}

/// How a tenant goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// When what was applied shows.
    Patient,
    /// After so many seconds: from A to B, and from B to A.
    Hasty([f64; 2]),
}

impl Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Change { path, value } in &self.changes {
            write!(f, "{path}={value} ")?;
        }
        match self.pace {
            Pace::Patient => f.write_str("when it shows"),
            Pace::Hasty([first, second]) => write!(f, "after {first:.1} s and {second:.1} s"),
        }
    }
}

/// A tenant with an org, a company and a Secret of its own.
pub(super) struct Tenant<'a> {
    pub stage: &'a Stage,
    /// Its name, that of its integration.
    pub name: String,
    /// `contacts.retrieval` of A.
    pub retrieval: &'static str,
}

// === impl Tenant ===

impl Tenant<'_> {
    /// The user that logs in.
    pub(super) fn user(name: &str) -> String {
        format!("integration@{name}.example")
    }

    fn company(&self) -> String {
        format!("{}-{}", self.stage.ns(), self.name)
    }

    fn api(&self) -> Api<SalesforceIntegration> {
        self.stage.integrations()
    }

    /// The spec to which it returns.
    fn a(&self) -> Value {
        let mut manifest = self.stage.integration(&self.name);
        manifest["spec"]["companyId"] = self.company().into();
        manifest["spec"]["contacts"] = json!({"retrieval": self.retrieval, "dailyAt": "23:00"});
        manifest
    }

    /// Applies the Secret and A.
    pub(super) async fn begin(&self) -> Result<(), String> {
        let secret = self.stage.secret(&self.name, PASSWORD, TOKEN);
        let secrets = Api::<Secret>::namespaced(self.stage.client.clone(), self.stage.ns());
        let (name, params) = (
            format!("{}-salesforce", self.name),
            PatchParams::apply("tenant"),
        );
        let applied = secrets.patch(&name, &params, &Patch::Apply(&secret)).await;
        applied.map_err(|error| error.to_string())?;
        self.apply(&self.a()).await
    }

    async fn apply(&self, manifest: &Value) -> Result<(), String> {
        let applied = refusal::apply(&self.api(), manifest).await;
        applied.map(drop).map_err(|error| error.to_string())
    }

    /// A, B and A again.
    ///
    /// # Errors
    /// What is not as it was declared.
    pub(super) async fn play(&self, sequence: &Sequence) -> Result<(), String> {
        self.begin().await?;
        self.go_on(sequence, 0)
            .await
            .map_err(|told| format!("with A: {told}"))?;
        let changes = self.change(&sequence.changes).await?;
        let paced = self.go_on(sequence, 1).await;
        paced.map_err(|told| format!("with B {changes:?}: {told}"))?;
        for refused in &sequence.refused {
            let (mut manifest, change) = (self.a(), std::slice::from_ref(refused));
            refused.make(&mut manifest["spec"]);
            refusal::is_refused(&self.api(), &manifest, change).await?;
        }
        self.apply(&self.a()).await
    }

    /// Applies B. Two changes that the API server does not take together are refused together, and
    /// then the first is made alone.
    async fn change<'a>(&self, changes: &'a [Change]) -> Result<&'a [Change], String> {
        let with = |changes: &[Change]| {
            let mut manifest = self.a();
            let spec = &mut manifest["spec"];
            changes.iter().for_each(|change| change.make(spec));
            manifest
        };
        let (mut changes, mut manifest) = (changes, with(changes));
        if let Err(error) = self.apply(&manifest).await {
            if changes.len() < 2 {
                return Err(error);
            }
            refusal::is_refused(&self.api(), &manifest, changes).await?;
            changes = &changes[..1];
            manifest = with(changes);
            self.apply(&manifest).await?;
        }
        // `check` says of a spec what the controller says of it.
        let (_, said) = refusal::check(&manifest).await;
        let object = self.api().get(&self.name).await;
        let invalid = Settings::of(&object.map_err(|error| error.to_string())?).err();
        if said.contains("InvalidSpec") != invalid.is_some() {
            return Err(format!("{changes:?} is {invalid:?}, and check says {said}"));
        }
        Ok(changes)
    }

    async fn go_on(&self, sequence: &Sequence, step: usize) -> Result<(), String> {
        match sequence.pace {
            Pace::Hasty(seconds) => {
                tokio::time::sleep(Duration::from_secs_f64(seconds[step])).await;
                Ok(())
            }
            Pace::Patient => self.until_declared().await,
        }
    }

    /// Waits until all is as the spec declares.
    pub(super) async fn until_declared(&self) -> Result<(), String> {
        let shown = try_wait_for("what is declared", SOON, || self.is_as_declared());
        shown.await.map_err(|timed_out| timed_out.to_string())
    }

    /// Whether all is as the spec declares.
    pub(super) async fn is_as_declared(&self) -> Result<(), String> {
        let (client, ns) = (&self.stage.client, self.stage.ns());
        let own = format!("{INTEGRATION_LABEL}={}", self.name);
        let object = self.api().get(&self.name).await;
        let seen = Seen {
            integration: object.map_err(|error| error.to_string())?,
            cron_jobs: state::all::<CronJob>(client, ns, &own).await?,
            secrets: state::all::<Secret>(client, ns, &own).await?,
            user: Self::user(&self.name),
            login_url: self.stage.login_url(),
        };
        declared::holds(&seen)?;
        // The tokens are of this company, and the directory takes them.
        let lookup = self.stage.directory(&self.name, "lookup").await;
        let page = lookup.calls(&Default::default()).await;
        page.map(drop).map_err(|error| error.to_string())
    }

    /// What there is of it, without what is its own and what it lived through.
    pub(super) async fn state(&self) -> Result<Value, String> {
        let mut state = state::of_one(self.stage, &self.company(), &self.name).await?;
        let (client, ns) = (&self.stage.client, self.stage.ns());
        let own = format!("{INTEGRATION_LABEL}={}", self.name);
        let cron_jobs = state::all::<CronJob>(client, ns, &own).await?;
        state["whole"] = cron_jobs.iter().map(declared::whole).collect();
        // Runs that were are no traces.
        state["jobs"] = Value::Null;
        let integration = &mut state["integrations"][&self.name];
        integration["lastRun"] = Value::Null;
        integration["requestedRunIsOver"] = Value::Null;
        let synced = &mut integration["conditions"]["Synced"];
        if synced[1] == "NoRunYet" || synced[1] == "RunSucceeded" {
            *synced = "True".into();
        }
        let text = state.to_string();
        let text = text
            .replace(&self.company(), "COMPANY")
            .replace(&Self::user(&self.name), "USER")
            .replace(&self.name, "NAME");
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}
