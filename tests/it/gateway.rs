//! A reverse proxy for the API server. It can misbehave as API servers do under load and after
//! compactions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::future::BoxFuture;
use kube::Client;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A request to the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub method: String,
    pub path: String,
    /// Whether it is a watch that continues from a known version.
    pub resumes_watch: bool,
}

/// Returns the answer that replaces the API server's; `None` lets the request pass.
pub(crate) type Rule = Arc<dyn Fn(Asked) -> BoxFuture<'static, Option<Response>> + Send + Sync>;

/// The proxy. It ends when this value is dropped.
pub(crate) struct Gateway {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    client: Client,
    rule: Mutex<Option<Rule>>,
    /// Cancels all answers that are still being sent.
    cut: Mutex<CancellationToken>,
}

// === impl Gateway ===

impl Gateway {
    /// Starts a proxy for the API server of this client, and writes its kubeconfig into the folder.
    /// Who uses it stands in this namespace.
    pub(crate) async fn start(client: Client, namespace: &str, dir: &Path) -> Self {
        let shared = Arc::new(Shared {
            client,
            rule: Mutex::default(),
            cut: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let kubeconfig = dir.join("gateway.kubeconfig");
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "gateway", "cluster": {"server": server}}],
            "users": [{"name": "gateway", "user": {}}],
            "contexts": [{"name": "gateway", "context": {"cluster": "gateway", "user": "gateway", "namespace": namespace}}],
            "current-context": "gateway",
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.unwrap(),
                () = stopped => {}
            }
        });
        Self {
            kubeconfig,
            shared,
            stop,
        }
    }

    /// A kubeconfig that connects through the gateway.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Applies this rule to requests from now on.
    pub(crate) fn rule<F>(&self, rule: impl Fn(Asked) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Option<Response>> + Send + 'static,
    {
        let rule: Rule = Arc::new(move |asked| Box::pin(rule(asked)));
        *self.shared.rule.lock().unwrap() = Some(rule);
    }

    /// Ends all running watches.
    pub(crate) fn cut(&self) {
        let mut cut = self.shared.cut.lock().unwrap();
        std::mem::take(&mut *cut).cancel();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        resumes_watch: query.contains("watch=true") && query.contains("resourceVersion="),
    };
    let cut = shared.cut.lock().unwrap().clone();
    let rule = shared.rule.lock().unwrap().clone();
    if let Some(rule) = rule
        && let Some(answer) = rule(asked).await
    {
        return answer;
    }
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(header::HOST);
    parts.uri = parts
        .uri
        .path_and_query()
        .unwrap()
        .as_str()
        .parse()
        .unwrap();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let forwarded = axum::http::Request::from_parts(parts, kube::client::Body::from(body));
    match shared.client.send(forwarded).await {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let data = Body::new(body)
                .into_data_stream()
                .take_until(cut.cancelled_owned());
            Response::from_parts(parts, Body::from_stream(data))
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// A failure in the format of the API server.
pub(crate) fn status(code: u16, reason: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "reason": reason, "message": "the gateway says so", "code": code
    })
}

/// The answer of flow control, with a retry after one second.
pub(crate) fn too_many_requests() -> Response {
    let body = status(429, "TooManyRequests").to_string();
    (
        StatusCode::TOO_MANY_REQUESTS,
        [
            (header::RETRY_AFTER, "1"),
            (header::CONTENT_TYPE, "application/json"),
        ],
        body,
    )
        .into_response()
}

/// The answer to a watch whose start version is too old: the client must list again.
pub(crate) fn gone() -> Response {
    let event = json!({"type": "ERROR", "object": status(410, "Expired")});
    (
        [(header::CONTENT_TYPE, "application/json")],
        format!("{event}\n"),
    )
        .into_response()
}

/// The start of a list that never continues.
pub(crate) fn begun() -> Response {
    let begin = futures::stream::once(async { Ok::<_, std::io::Error>(r#"{"kind": "#) });
    let body = Body::from_stream(begin.chain(futures::stream::pending()));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
