//! Writes the status. The controller is its only writer, and a write is bound to the version that
//! was decided on (docs/adr/0005).

use std::sync::Arc;

use kube::api::PostParams;
use kube::core::Request;
use kube::{Api, Client, Resource, ResourceExt};

use super::error::Error;
use crate::api::{SalesforceIntegration, SalesforceIntegrationStatus};
use crate::controller::cluster::api_server::{self, Written};
use crate::controller::context::Context;
use crate::controller::memory::key::Key;

/// Writes the status if it has changed, and returns the object that the server then has. The write
/// is bound to the version that was decided on. When only other parts of the object have changed
/// meanwhile, the decision still holds and is written over the newer version. When no answer says
/// what became of the write, what stands does: a log-in that is on record and not sent would count
/// for an hour.
pub(crate) async fn write_status(
    context: &Context,
    resource: &SalesforceIntegration,
    status: &SalesforceIntegrationStatus,
) -> Result<Option<Arc<SalesforceIntegration>>, Error> {
    let decided_on = resource.status.clone().unwrap_or_default();
    if *status == decided_on {
        return Ok(None);
    }
    let mut wanted = resource.clone();
    wanted.status = Some(status.clone());
    let written = match replace_status(&context.client, &wanted).await {
        Err(kube::Error::Api(error)) if error.code == 409 => {
            let mut newer = as_it_stands(&context.client, resource).await?;
            if newer.status.clone().unwrap_or_default() != decided_on {
                return Err(Error::Status(kube::Error::Api(error)));
            }
            newer.metadata.managed_fields = None;
            newer.status = Some(status.clone());
            wanted = newer;
            replace_status(&context.client, &wanted).await
        }
        Err(error) if is_silent_about_the_write(&error) => {
            match as_it_stands(&context.client, resource).await {
                Ok(stands) if stands.status.as_ref() == Some(status) => {
                    Ok(stands.metadata.resource_version)
                }
                _ => Err(error),
            }
        }
        written => written,
    };
    match written {
        Ok(version) => {
            wanted.metadata.resource_version = version;
            let written = Arc::new(wanted);
            context
                .memory
                .keep_written(Arc::clone(&written), || context.cached(&Key::of(resource)));
            Ok(Some(written))
        }
        Err(kube::Error::Api(error)) if error.code == 404 => Err(Error::Gone),
        Err(error) => Err(Error::Status(error)),
    }
}

/// The integration on the server, if it is still this one.
async fn as_it_stands(
    client: &Client,
    resource: &SalesforceIntegration,
) -> Result<SalesforceIntegration, Error> {
    let namespace = resource.namespace().unwrap_or_default();
    let api = Api::<SalesforceIntegration>::namespaced(client.clone(), &namespace);
    let found = api.get_opt(&resource.name_any()).await;
    found
        .map_err(Error::Status)?
        .filter(|found| found.uid() == resource.uid())
        .ok_or(Error::Gone)
}

/// Whether a write that failed in this way may have been done.
fn is_silent_about_the_write(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500,
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

/// Replaces the status of the version that `wanted` is based on. Returns the version that the write
/// created.
async fn replace_status(
    client: &Client,
    wanted: &SalesforceIntegration,
) -> Result<Option<String>, kube::Error> {
    let body = serde_json::to_vec(wanted).map_err(kube::Error::SerdeError)?;
    let namespace = wanted.namespace();
    let request = Request::new(SalesforceIntegration::url_path(&(), namespace.as_deref()))
        .replace_subresource("status", &wanted.name_any(), &PostParams::default(), body);
    let written: Written = api_server::request(client, request).await?;
    Ok(written.metadata.resource_version)
}
