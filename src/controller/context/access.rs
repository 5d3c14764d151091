//! Whether the namespaces that the operator is limited to can be watched. One that is missing, or
//! in which the operator has no Role, is logged once and counted. It does not stop the others.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, future};
use kube::api::ListParams;
use kube::runtime::watcher::{Error, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::metrics::Metrics;

/// The time between two attempts to list a forbidden kind. A watch without events would not show
/// that access has returned.
const PAUSE: Duration = Duration::from_secs(10);

/// Whether one scope can be watched.
pub(crate) struct ScopeAccess {
    namespace: Option<String>,
    refused: watch::Sender<BTreeSet<String>>,
    metrics: Arc<Metrics>,
}

// === impl ScopeAccess ===

impl ScopeAccess {
    /// For a namespace, or for the whole cluster. In the cluster scope a refusal is an error of the
    /// installation, and the controller cannot work.
    pub(crate) fn of(namespace: Option<&str>, metrics: Arc<Metrics>) -> Arc<Self> {
        if let Some(namespace) = namespace {
            metrics.namespace_watched(namespace, true);
        }
        Arc::new(Self {
            namespace: namespace.map(str::to_owned),
            refused: watch::Sender::default(),
            metrics,
        })
    }

    /// The namespace; `None` for the whole cluster.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether any kind is forbidden now.
    pub(crate) fn is_denied(&self) -> bool {
        !self.refused.borrow().is_empty()
    }

    /// Waits until a kind is forbidden.
    pub(crate) async fn denied(&self) {
        let mut refused = self.refused.subscribe();
        // Waiting fails only when the sender is gone, and this struct owns it.
        let _ = refused.wait_for(|refused| !refused.is_empty()).await;
    }

    /// Removes the refusals from the events of one kind and records them.
    pub(crate) fn filter_forbidden<K>(
        self: &Arc<Self>,
        api: Api<K>,
        events: impl Stream<Item = Result<Event<K>, Error>> + Send + 'static,
    ) -> impl Stream<Item = Result<Event<K>, Error>> + Send + 'static
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let access = Arc::clone(self);
        events.filter(move |event| {
            let is_refusal = match event {
                Err(error) if access.namespace.is_some() && is_forbidden(error) => {
                    if access.note(&kind_of::<K>(), true) {
                        tokio::spawn(ask_again(Arc::clone(&access), api.clone()));
                    }
                    true
                }
                Ok(_) if access.is_denied() => {
                    access.note(&kind_of::<K>(), false);
                    false
                }
                _ => false,
            };
            future::ready(!is_refusal)
        })
    }

    /// Records whether a kind is forbidden, and logs when that changes for the scope. Returns
    /// whether it changed for the kind.
    fn note(&self, kind: &str, refused: bool) -> bool {
        let mut tells = None;
        let news = self.refused.send_if_modified(|kinds| {
            let was = kinds.is_empty();
            let news = if refused {
                kinds.insert(kind.to_owned())
            } else {
                kinds.remove(kind)
            };
            tells = (was != kinds.is_empty()).then_some(kinds.is_empty());
            news
        });
        if let (Some(watched), Some(namespace)) = (tells, self.namespace()) {
            self.metrics.namespace_watched(namespace, watched);
            if watched {
                tracing::info!(namespace, "the namespace is watched again");
            } else {
                tracing::error!(
                    namespace,
                    kind,
                    "the namespace cannot be watched: it does not exist, or the operator has no Role in it. Create it and upgrade the \
                     release, or take it out of scope.namespaces; the other namespaces go on"
                );
            }
        }
        news
    }
}

/// Lists one object of the kind from time to time, until that is permitted.
async fn ask_again<K>(access: Arc<ScopeAccess>, api: Api<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let kind = kind_of::<K>();
    while access.refused.borrow().contains(&kind) {
        tokio::time::sleep(PAUSE).await;
        let one = ListParams::default().limit(1);
        if api.list_metadata(&one).await.is_ok() {
            access.note(&kind, false);
        }
    }
}

fn kind_of<K: Resource<DynamicType = ()>>() -> String {
    K::kind(&()).into_owned()
}

fn is_forbidden(error: &Error) -> bool {
    let status = match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
        | Error::WatchError(status) => status,
        _ => return false,
    };
    status.code == 403
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};
    use k8s_openapi::api::core::v1::Pod;
    use kube::core::Status;

    use super::*;

    fn refusal(code: u16) -> Error {
        let status = Status {
            code,
            ..Status::default()
        };
        Error::WatchError(Box::new(status))
    }

    fn api() -> Api<Pod> {
        let nobody = tower::service_fn(|_: http::Request<kube::client::Body>| {
            future::pending::<Result<http::Response<kube::client::Body>, std::io::Error>>()
        });
        Api::namespaced(kube::Client::new(nobody, "acme"), "acme")
    }

    async fn filtered(
        access: &Arc<ScopeAccess>,
        events: Vec<Result<Event<Pod>, Error>>,
    ) -> Vec<Result<Event<Pod>, Error>> {
        access
            .filter_forbidden(api(), stream::iter(events))
            .collect()
            .await
    }

    #[tokio::test]
    async fn a_refused_namespace_is_told_of_once_and_again_when_it_is_back() {
        let metrics = Arc::new(Metrics::default());
        let access = ScopeAccess::of(Some("acme"), Arc::clone(&metrics));
        let watched = |value: u8| {
            let line = format!("switchboard_namespace_watched{{namespace=\"acme\"}} {value}");
            assert!(metrics.text(None).contains(&line), "{}", metrics.text(None));
        };
        watched(1);
        assert!(access.denied().now_or_never().is_none());

        let passed = filtered(&access, vec![Err(refusal(403)), Err(refusal(403))]).await;
        assert!(passed.is_empty(), "{passed:?}");
        assert!(access.denied().now_or_never().is_some());
        watched(0);

        assert_eq!(filtered(&access, vec![Ok(Event::InitDone)]).await.len(), 1);
        assert!(!access.is_denied());
        watched(1);
    }

    #[tokio::test]
    async fn other_errors_and_a_refusal_for_the_whole_cluster_go_on_to_the_watch() {
        let metrics = Arc::new(Metrics::default());
        let access = ScopeAccess::of(Some("acme"), Arc::clone(&metrics));
        assert_eq!(filtered(&access, vec![Err(refusal(500))]).await.len(), 1);
        assert!(!access.is_denied());
        let cluster = ScopeAccess::of(None, metrics);
        assert_eq!(filtered(&cluster, vec![Err(refusal(403))]).await.len(), 1);
        assert!(!cluster.is_denied());
    }
}
