//! One scenario with one fault: what the tenant does in it, and what it sees.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use switchboard::api::{RUN_REQUESTED_AT, SalesforceIntegration};
use switchboard::directory;
use switchboard_testbed::proxy::Proxy;
use switchboard_testbed::{incoming_call, try_wait_for};
use tokio_util::sync::CancellationToken;

use super::deployment::Replica;
use super::fault::Fault;
use super::state;
use crate::stage::{Stage, condition};
use crate::world::{PASSWORD, TOKEN, USER};

/// How long a tenant waits for what it expects, before it goes on all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time limit for all that has to come in the end.
pub(crate) const IN_THE_END: Duration = Duration::from_secs(60);

/// A tenant at work.
pub(super) struct Play<'a> {
    /// The installation.
    pub stage: &'a Stage,
    /// Between the controller and the API server.
    pub proxy: &'a Proxy,
    /// The controllers.
    pub replicas: &'a [Replica],
    /// The company ID of this run alone.
    pub company: String,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

// === impl Play ===

impl Play<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.stage.client.clone(), self.stage.ns())
    }

    /// Applies the Secret with this password.
    pub(super) async fn password(&self, password: &str) -> Result<(), String> {
        let secret = self.stage.secret("acme", password, TOKEN);
        put(&self.api::<Secret>(), &secret).await
    }

    /// The manifest of an integration with these contacts. All of them log in as one user.
    pub(super) fn manifest(&self, name: &str, contacts: &Value) -> Value {
        let mut manifest = self.stage.integration(name);
        let company = match name {
            "acme" => self.company.clone(),
            other => format!("{}-{other}", self.company),
        };
        manifest["spec"]["companyId"] = company.into();
        manifest["spec"]["salesforce"]["auth"]["password"] =
            json!({"username": USER, "secretRef": {"name": "acme-salesforce"}});
        manifest["spec"]["contacts"] = contacts.clone();
        manifest
    }

    /// Applies an integration.
    pub(super) async fn apply(&self, manifest: &Value) -> Result<(), String> {
        put(&self.api::<SalesforceIntegration>(), manifest).await
    }

    /// Applies `acme` with these contacts.
    pub(super) async fn contacts(&self, contacts: &Value) -> Result<(), String> {
        self.apply(&self.manifest("acme", contacts)).await
    }

    /// The first application: Secret and integration, until it is ready.
    pub(super) async fn link(&self, contacts: &Value) -> Result<(), String> {
        self.password(PASSWORD).await?;
        self.contacts(contacts).await?;
        self.until_ready("acme", "True").await
    }

    /// Asks for a run, as often as it takes: the integration may be gone for a moment.
    pub(super) async fn ask_for_run(&self, wish: &str) -> Result<(), String> {
        let patch = json!({"metadata": {"annotations": {RUN_REQUESTED_AT: wish}}});
        let (api, patch) = (self.api::<SalesforceIntegration>(), Patch::Merge(&patch));
        let asked = try_wait_for("a run to be asked for", PATIENCE, || async {
            let patched = api.patch("acme", &PatchParams::default(), &patch).await;
            patched.map(drop)
        });
        asked.await.map_err(|timed_out| timed_out.to_string())
    }

    /// Asks for the deletion of `acme`.
    pub(super) async fn delete(&self) -> Result<(), String> {
        let api = self.api::<SalesforceIntegration>();
        let deleted = api.delete("acme", &DeleteParams::default()).await;
        deleted.map(drop).map_err(|error| error.to_string())
    }

    /// An integration as it is now; `None` if it is not.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Value>, String> {
        let found = self.api::<SalesforceIntegration>().get_opt(name).await;
        let found = found.map_err(|error| error.to_string())?;
        found
            .map(serde_json::to_value)
            .transpose()
            .map_err(|error| error.to_string())
    }

    /// Waits until `check` holds. Where the controller cannot see everything, only for a while.
    ///
    /// # Errors
    /// What was seen last.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        check: impl AsyncFn() -> Result<T, String>,
    ) -> Result<(), String> {
        let blind = self.fault.is_some_and(Fault::blinds);
        let patience = if blind { PATIENCE } else { IN_THE_END };
        match try_wait_for(what, patience, || check()).await {
            Ok(_) => Ok(()),
            Err(_) if blind => Ok(()),
            Err(timed_out) => Err(timed_out.to_string()),
        }
    }

    /// Waits until Ready has this status.
    pub(super) async fn until_ready(&self, name: &str, status: &str) -> Result<(), String> {
        self.until(&format!("{name} Ready={status}"), async || {
            self.is_ready(name, status).await
        })
        .await
    }

    /// Whether Ready has this status, for the spec as it is.
    pub(super) async fn is_ready(&self, name: &str, status: &str) -> Result<(), String> {
        let object = self.get(name).await?.ok_or("not there")?;
        let ready = condition(&object, "Ready").ok_or("no condition yet")?;
        let is_current = ready["observedGeneration"] == object["metadata"]["generation"];
        match is_current && ready["status"] == status {
            true => Ok(()),
            false => Err(format!("{ready}")),
        }
    }

    /// Whether the next log-in as the user waits for the hour. A log-in that was on record when the
    /// controller was killed counts as one that was refused, and one that is blind may try a
    /// password more. So after a mistyped one the right one has to wait, and the status must say
    /// so.
    ///
    /// # Errors
    /// What the status says instead, or why it may not.
    pub(super) async fn waits_for_the_hour(&self, name: &str) -> Result<(), String> {
        let may = |fault: Fault| fault.starts() > 0 || fault.blinds();
        if !self.fault.is_some_and(may) {
            return Err("no other log-in counts".to_owned());
        }
        let object = self.get(name).await?.ok_or("not there")?;
        let next = &object["status"]["connection"]["nextAttemptAt"];
        let connected = condition(&object, "Connected").ok_or("no condition yet")?;
        let says_when = next.as_str().is_some_and(|next| {
            let message = connected["message"].as_str().unwrap_or_default();
            message.contains(next)
        });
        let is_known = matches!(
            connected["reason"].as_str(),
            Some("LoginWithheld" | "Pending")
        );
        match connected["status"] != "True" && is_known && says_when {
            true => Ok(()),
            false => Err(format!("{connected}")),
        }
    }

    /// A client of the directory with the token for this purpose.
    pub(super) async fn directory(&self, purpose: &str) -> Result<directory::Client, String> {
        let secret = self.api::<Secret>().get("acme-directory").await;
        let secret = secret.map_err(|error| error.to_string())?;
        let token = secret.data.as_ref().and_then(|data| data.get(purpose));
        let token = token.ok_or("no such token")?.0.clone();
        let token = String::from_utf8(token).map_err(|error| error.to_string())?;
        directory::Client::new(self.stage.directory_url(), token.into())
            .map_err(|error| error.to_string())
    }

    /// A call comes in; the phone platform repeats it until it is taken.
    pub(super) async fn call(&self, id: &str, number: &str) -> Result<(), String> {
        let call = incoming_call(&self.company, id, number);
        let taken = try_wait_for(format!("call {id} to be taken"), IN_THE_END, || async {
            let ingest = self.directory("ingest").await?;
            ingest
                .ingest(&call)
                .await
                .map_err(|error| error.to_string())
        });
        taken
            .await
            .map(drop)
            .map_err(|timed_out| timed_out.to_string())
    }

    /// Whether the directory has one call of each of these people, and no other call.
    pub(super) async fn calls_are_of(&self, people: &[&str]) -> Result<(), String> {
        let lookup = self.directory("lookup").await?;
        let page = lookup.calls(&Default::default()).await;
        let page = page.map_err(|error| error.to_string())?;
        let mut named: Vec<&str> = page
            .calls
            .iter()
            .map(|call| {
                let contact = call.contact.as_ref();
                let person = contact.and_then(|contact| contact.person_name.as_deref());
                person.unwrap_or("nobody")
            })
            .collect();
        named.sort_unstable();
        match named == people {
            true => Ok(()),
            false => Err(format!("the calls are of {named:?}")),
        }
    }

    /// The Events of this reason.
    pub(super) async fn events(&self, reason: &str) -> Result<Vec<String>, String> {
        let events = state::all::<Event>(&self.stage.client, self.stage.ns(), "").await?;
        let of_it = events.iter().filter(|event| event["reason"] == reason);
        Ok(of_it.map(|event| event["note"].to_string()).collect())
    }

    /// What happens behind the back of a controller that is blind, once it is. Nothing, if it is
    /// not before all is `over`.
    pub(super) async fn meddle(&self, over: &CancellationToken) -> Result<(), String> {
        let Some(fault @ (Fault::ChangedBack | Fault::MadeAgain)) = self.fault else {
            return Ok(());
        };
        let struck = over.run_until_cancelled(self.proxy.struck()).await;
        if struck.is_none() {
            return Ok(());
        }
        match fault {
            Fault::MadeAgain => self.make_again().await?,
            _ => self.change_and_change_back().await?,
        }
        self.proxy.forget_past();
        Ok(())
    }

    async fn change_and_change_back(&self) -> Result<(), String> {
        // A run that begins now would log in with the other password.
        if !state::runs(self.stage).await? {
            self.change_password_and_change_it_back().await?;
        }
        let integrations = self.api::<SalesforceIntegration>();
        let found = integrations.get_opt("acme").await;
        if found.map_err(|error| error.to_string())?.is_some() {
            for suspend in [json!(true), Value::Null] {
                let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
                let patched = integrations
                    .patch("acme", &PatchParams::default(), &patch)
                    .await;
                patched.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// What the tenant does to the Secret meanwhile stays.
    async fn change_password_and_change_it_back(&self) -> Result<(), String> {
        let secrets = self.api::<Secret>();
        let found = secrets.get_opt("acme-salesforce").await;
        let Some(mut secret) = found.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let data = json!(secret.data);
        for mut patch in [
            json!({"stringData": {"password": "another"}}),
            json!({"data": data}),
        ] {
            patch["metadata"]["resourceVersion"] = json!(secret.resource_version());
            let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
            let patched = secrets.patch("acme-salesforce", &params, &patch);
            secret = match patched.await {
                Err(kube::Error::Api(error)) if error.code == 409 => return Ok(()),
                patched => patched.map_err(|error| error.to_string())?,
            };
        }
        Ok(())
    }

    /// Only an integration that goes at once can be there again before anybody has seen it gone.
    async fn make_again(&self) -> Result<(), String> {
        let integrations = self.api::<SalesforceIntegration>();
        let found = loop {
            let found = integrations.get_opt("acme").await;
            let Some(found) = found.map_err(|error| error.to_string())? else {
                return Ok(());
            };
            if !found.finalizers().is_empty() || found.metadata.deletion_timestamp.is_some() {
                return Ok(());
            }
            // With all that the tenant has asked for.
            let as_found = Preconditions {
                uid: None,
                resource_version: found.resource_version(),
            };
            let params = DeleteParams::default().preconditions(as_found);
            match integrations.delete("acme", &params).await {
                Err(kube::Error::Api(error)) if error.code == 409 => {}
                deleted => {
                    deleted.map_err(|error| error.to_string())?;
                    break found;
                }
            }
        };
        // At once with what was asked for: asked for afterwards it would take the place of what the
        // tenant asks for meanwhile.
        let wish = found.annotations().get(RUN_REQUESTED_AT);
        let annotations = wish.map(|wish| json!({RUN_REQUESTED_AT: wish}));
        let manifest = json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration",
            "metadata": {
                "name": "acme", "namespace": self.stage.ns(), "annotations": annotations,
            },
            "spec": found.spec,
        });
        self.apply(&manifest).await
    }
}

/// Applies an object as a tenant's pipeline does.
async fn put<K>(api: &Api<K>, manifest: &Value) -> Result<(), String>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
    let params = PatchParams::apply("tenant").force();
    let applied = api.patch(name, &params, &Patch::Apply(manifest)).await;
    applied.map(drop).map_err(|error| error.to_string())
}
