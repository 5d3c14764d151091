//! Writes objects that belong to an integration, and none that does not: an object is created, or
//! read and judged before it is replaced. Each write is bound to the version that was judged
//! (docs/adr/0025).

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{GetParams, ListParams, PostParams};
use kube::core::{Request, Status};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::{MANAGER, SalesforceIntegration};
use crate::controller::cluster::api_server;
use crate::decide::children::{Ownership, ownership};
use crate::decide::runs::admission::{NotOurs, Whose};

/// A kind of object that belongs to integrations.
pub(crate) trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + PartialEq
    + Serialize
    + DeserializeOwned
{
}

impl<K> Child for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + PartialEq
        + Serialize
        + DeserializeOwned
{
}

/// Why an object was not written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The API server's answer.
    Api(kube::Error),
    /// The object that stands there belongs to somebody else.
    NotOurs(NotOurs),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

/// How an object is brought to the desired state.
pub(crate) struct Write<'a, K> {
    /// The API server.
    pub client: &'a Client,
    /// The integration.
    pub resource: &'a SalesforceIntegration,
    /// The desired object.
    pub wanted: &'a K,
    /// Whether the object is known to stand.
    pub stands: bool,
}

// === impl Write ===

impl<K: Child> Write<'_, K> {
    /// Creates the object, or replaces the one that stands by what `onto` makes of it, if that
    /// differs. `expect` is called before each write. Returns the object on the server.
    ///
    /// # Errors
    /// When the API server refuses it, or the object that stands is somebody else's.
    pub(crate) async fn apply(
        &self,
        onto: impl Fn(K) -> K,
        mut expect: impl FnMut(),
    ) -> Result<K, Failure> {
        let namespace = self.wanted.namespace().unwrap_or_default();
        if !self.stands {
            expect();
            if let Some(created) = create(self.client, self.wanted).await? {
                return Ok(created);
            }
        }
        let Some(found) = get::<K>(self.client, &namespace, &self.wanted.name_any()).await? else {
            // It went since the watch or the API server knew it.
            expect();
            let created = create(self.client, self.wanted).await?;
            return created.ok_or_else(|| Failure::Api(changed_meanwhile()));
        };
        judge(&found, self.resource).map_err(Failure::NotOurs)?;
        let next = onto(found.clone());
        if next == found {
            return Ok(found);
        }
        expect();
        Ok(replace(self.client, &next).await?)
    }
}

/// Checks that an object belongs to the integration, or is given to it.
///
/// # Errors
/// When it belongs to somebody else.
pub(crate) fn judge<K: Child>(found: &K, resource: &SalesforceIntegration) -> Result<(), NotOurs> {
    let whose = match ownership(found.meta(), resource) {
        Ownership::Ours | Ownership::Offered => return Ok(()),
        Ownership::OfPredecessor => Whose::Predecessor,
        Ownership::Foreign(manager) => Whose::Foreign { manager },
    };
    Err(NotOurs {
        kind: match &*K::kind(&()) {
            "Secret" => "Secret",
            "Job" => "Job",
            _ => "CronJob",
        },
        name: found.name_any(),
        integration: resource.name_any(),
        whose,
    })
}

/// Creates an object. `None` when one of that name stands already.
///
/// # Errors
/// Errors of the API server.
pub(crate) async fn create<K: Child>(
    client: &Client,
    wanted: &K,
) -> Result<Option<K>, kube::Error> {
    let body = serde_json::to_vec(wanted).map_err(kube::Error::SerdeError)?;
    let url = K::url_path(&(), wanted.namespace().as_deref());
    match api_server::request(client, Request::new(url).create(&params(), body)).await {
        Err(kube::Error::Api(error)) if error.is_already_exists() => Ok(None),
        created => created.map(Some),
    }
}

/// The whole object, without the server's record of who wrote which field: it is nobody's wish, and
/// would make what stands differ from what is wanted. `None` when there is none of that name.
///
/// # Errors
/// Errors of the API server.
pub(crate) async fn get<K: Child>(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<K>, kube::Error> {
    let request = Request::new(K::url_path(&(), Some(namespace))).get(name, &GetParams::default());
    match api_server::request::<K>(client, request).await {
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(None),
        found => found.map(|mut found| {
            found.meta_mut().managed_fields = None;
            Some(found)
        }),
    }
}

/// The Job of that name. Jobs are listed, for which the watch needs the right anyway.
///
/// # Errors
/// Errors of the API server.
pub(crate) async fn job(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Job>, kube::Error> {
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let request = Request::new(Job::url_path(&(), Some(namespace))).list(&named);
    let list: Jobs = api_server::request(client, request).await?;
    Ok(list.items.into_iter().next())
}

/// A list of Jobs.
#[derive(Deserialize)]
struct Jobs {
    items: Vec<Job>,
}

/// Replaces an object, if it still has the version that was read.
///
/// # Errors
/// Errors of the API server.
pub(crate) async fn replace<K: Child>(client: &Client, next: &K) -> Result<K, kube::Error> {
    let body = serde_json::to_vec(next).map_err(kube::Error::SerdeError)?;
    let url = K::url_path(&(), next.namespace().as_deref());
    let request = Request::new(url).replace(&next.name_any(), &params(), body);
    api_server::request(client, request).await
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.into()),
        ..PostParams::default()
    }
}

/// The next attempt, a moment later, finds the object as it then is.
fn changed_meanwhile() -> kube::Error {
    let status = Status::failure("the object has changed meanwhile", "Conflict").with_code(409);
    kube::Error::Api(Box::new(status))
}
