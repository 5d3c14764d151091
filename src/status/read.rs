//! The requests to the API server, with the caller's own rights. Events and CronJobs are extras:
//! who may not read them is told so, and gets the rest.

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Event;
use kube::api::{DynamicObject, ListParams, ObjectList};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::error::{LookError, place};
use crate::api::{MANAGED_BY_LABEL, MANAGER, SalesforceIntegration};
use crate::error::{CauseText, Chain};

/// Objects in one response.
const PAGE: u32 = 500;

/// What was read.
#[derive(Debug)]
pub(crate) struct Found {
    /// The integrations, as they are: their controller may be older or newer than this program.
    pub integrations: Vec<DynamicObject>,
    /// The Events about them, or why there are none.
    pub events: Extra<Event>,
    /// The CronJobs of their runs, or why there are none.
    pub cron_jobs: Extra<CronJob>,
}

/// Objects that the answer can do without, or the sentence that says why they are left out.
pub(crate) type Extra<K> = Result<Vec<K>, String>;

/// Reads the integration of that name, or all of the namespace, or those of all namespaces.
pub(crate) async fn look(
    client: &Client,
    server: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Found, LookError> {
    let integrations = match name {
        Some(name) => vec![get(client, server, namespace, name).await?],
        None => {
            let kind = ApiResource::erase::<SalesforceIntegration>(&());
            let api = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
                None => Api::all_with(client.clone(), &kind),
            };
            list(&api, &ListParams::default())
                .await
                .map_err(|error| refused(error, server, "list", namespace))?
        }
    };
    if integrations.is_empty() {
        return Err(LookError::Empty {
            place: place(namespace),
        });
    }
    let of_kind = format!("involvedObject.kind={}", SalesforceIntegration::kind(&()));
    let about = match name {
        Some(name) => format!("{of_kind},involvedObject.name={name}"),
        None => of_kind,
    };
    let ours = format!("{MANAGED_BY_LABEL}={MANAGER}");
    let (events, cron_jobs) = tokio::join!(
        extra(
            client,
            namespace,
            "events",
            ListParams::default().fields(&about)
        ),
        extra(
            client,
            namespace,
            "cronjobs.batch",
            ListParams::default().labels(&ours)
        ),
    );
    Ok(Found {
        integrations,
        events,
        cron_jobs,
    })
}

async fn get(
    client: &Client,
    server: &str,
    namespace: Option<&str>,
    name: &str,
) -> Result<DynamicObject, LookError> {
    let kind = ApiResource::erase::<SalesforceIntegration>(&());
    let api = Api::namespaced_with(client.clone(), namespace.unwrap_or_default(), &kind);
    let missing = || LookError::NotFound {
        name: name.to_owned(),
        place: place(namespace),
    };
    match api.get(name).await {
        Ok(found) => Ok(found),
        // Without details the path itself is unknown: the resource is not served.
        Err(kube::Error::Api(status))
            if status.code == 404 && status.details.as_ref().is_some_and(|of| of.name == name) =>
        {
            Err(missing())
        }
        Err(error) => Err(refused(error, server, "get", namespace)),
    }
}

/// All objects, a page at a time.
async fn list<K>(api: &Api<K>, params: &ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut params = params.clone().limit(PAGE);
    let mut all = vec![];
    loop {
        let ObjectList {
            metadata, items, ..
        } = api.list(&params).await?;
        all.extend(items);
        match metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(all),
        }
    }
}

async fn extra<K>(
    client: &Client,
    namespace: Option<&str>,
    resource: &str,
    params: ListParams,
) -> Extra<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    list(&api, &params).await.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("you may not list {resource} {}", place(namespace))
        }
        error => format!("{resource} could not be read: {}", Chain(&error)),
    })
}

/// The sentence for a request that failed.
fn refused(
    error: kube::Error,
    server: &str,
    verb: &'static str,
    namespace: Option<&str>,
) -> LookError {
    let server = server.to_owned();
    let status = match error {
        kube::Error::Api(status) => status,
        source => return LookError::Unreachable { server, source },
    };
    let said = CauseText::from(status.message);
    match status.code {
        401 => LookError::Unauthorized { server, said },
        403 => LookError::Forbidden {
            verb,
            place: place(namespace),
            said,
        },
        404 => LookError::NotServed { server },
        _ => LookError::Refused { server, said },
    }
}
