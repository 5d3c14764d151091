//! What the API server refuses: in words that name the field, as `switchboard check` does.

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::Value;
use switchboard::api::SalesforceIntegration;
use switchboard_testbed::sequences::Change;

use crate::{bed, schema};

/// Who applies.
const TENANT: &str = "tenant";

/// Applies a manifest, as a pipeline does.
pub(super) async fn apply(
    api: &Api<SalesforceIntegration>,
    manifest: &Value,
) -> kube::Result<SalesforceIntegration> {
    patch(api, manifest, PatchParams::apply(TENANT).force()).await
}

async fn patch(
    api: &Api<SalesforceIntegration>,
    manifest: &Value,
    params: PatchParams,
) -> kube::Result<SalesforceIntegration> {
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
    api.patch(name, &params, &Patch::Apply(manifest)).await
}

/// Whether the API server would take an integration with this value.
pub(super) async fn is_taken(namespace: &str, change: &Change) -> bool {
    let client = bed::control_plane().await.client();
    let mut manifest = bed::integration(namespace, "asked");
    manifest["spec"]["salesforce"]["loginUrl"] = "https://localhost".into();
    change.make(&mut manifest["spec"]);
    let api = Api::namespaced(client, namespace);
    let params = PatchParams::apply(TENANT).force().dry_run();
    match patch(&api, &manifest, params).await {
        Ok(_) => true,
        Err(kube::Error::Api(_)) => false,
        other => other.map(|_| true).unwrap(),
    }
}

/// Applies a manifest that is to be refused because of these changes.
///
/// # Errors
/// What a person would miss: a refusal, a word about the field, or the object as it was.
pub(super) async fn is_refused(
    api: &Api<SalesforceIntegration>,
    manifest: &Value,
    changes: &[Change],
) -> Result<(), String> {
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
    let get = async || {
        let found = api.get(name).await.map_err(|error| error.to_string())?;
        Ok::<_, String>((found.metadata.generation, found.spec))
    };
    let before = get().await?;
    let said = match apply(api, manifest).await {
        Ok(_) => return Err(format!("{changes:?} was taken")),
        Err(kube::Error::Api(refused)) => refused.message,
        Err(other) => return Err(other.to_string()),
    };
    is_about(&said, changes)?;
    if get().await? != before {
        return Err(format!("{changes:?} was refused, and the spec is another"));
    }
    // kubectl leaves out a null before it sends anything, and `check` speaks for kubectl. Who
    // applies on the server sends it, and there is no enumeration that has it.
    if changes.iter().any(|change| change.value.is_null()) {
        return Ok(());
    }
    let (code, said) = check(manifest).await;
    if code != Some(2) {
        return Err(format!("check takes {changes:?}: {said}"));
    }
    is_about(&said, changes)
}

/// `switchboard check` of a manifest.
pub(super) async fn check(manifest: &Value) -> (Option<i32>, String) {
    let manifest = manifest.clone();
    let checked = tokio::task::spawn_blocking(move || schema::check(&manifest));
    checked.await.unwrap()
}

/// A refusal names a field that was changed, what it is a part of, or what is missing beside it.
fn is_about(said: &str, changes: &[Change]) -> Result<(), String> {
    let named = changes.iter().any(|change| {
        let field = format!("spec{}", change.path.replace('/', "."));
        let (parent, last) = field.rsplit_once('.').unwrap_or_default();
        let beside = ["Required", "required", "must be set", last];
        let is_part = ["spec.salesforce.auth", "spec.run.resources"];
        said.contains(&field)
            || is_part
                .iter()
                .any(|whole| field.starts_with(whole) && said.contains(whole))
            || said.contains(parent) && beside.iter().any(|word| said.contains(word))
    });
    match named {
        true => Ok(()),
        false => Err(format!("{changes:?} is refused without its name: {said}")),
    }
}
