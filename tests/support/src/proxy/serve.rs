//! Answers the program's requests.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::request::{Asked, NumberedRequest};
use super::watches::Frozen;
use super::{Door, Fate, Shared, watches};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The connection to the program breaks without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection breaks")]
struct Broken;

/// Serves one door.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, door: Door) {
    let over = shared.over.clone();
    while let Some(accepted) = over.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            continue;
        };
        let shared = Arc::clone(&shared);
        let over = over.clone();
        tokio::spawn(async move {
            let answers = service_fn(|request| answer(Arc::clone(&shared), door, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answers);
            // Whether it ended well is what the program finds out.
            let _ = over.run_until_cancelled(connection).await;
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    door: Door,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let asked = Asked {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: body.collect().await.map_err(|_| Broken)?.to_bytes(),
    };
    let Some((request, fate)) = shared.number(door, &asked) else {
        return std::future::pending().await;
    };
    let answer = match fate {
        None => shared.pass(&asked, &request).await,
        Some(Fate::Kill) => {
            shared.do_unheard(door, asked, request).await;
            return std::future::pending().await;
        }
        Some(Fate::LoseRequest) => {
            shared.strike(door, request);
            return Err(Broken);
        }
        Some(Fate::LoseAnswer) => {
            shared.do_unheard(door, asked, request).await;
            return Err(Broken);
        }
        Some(Fate::Delay(time)) => {
            shared.strike(door, request.clone());
            tokio::time::sleep(time).await;
            shared.pass(&asked, &request).await
        }
        Some(Fate::Refuse(refusal)) => {
            shared.strike(door, request.clone());
            Ok(refusal
                .response()
                .map(|body| Full::new(body).boxed_unsync()))
        }
        Some(Fate::Freeze(kind)) => {
            shared.freeze(Frozen::Kind(kind));
            shared.strike(door, request.clone());
            shared.pass(&asked, &request).await
        }
        Some(Fate::Blind) => {
            shared.freeze(Frozen::Everything);
            shared.strike(door, request.clone());
            shared.pass(&asked, &request).await
        }
        Some(Fate::Remember) => {
            shared.remember().await;
            shared.strike(door, request.clone());
            shared.pass(&asked, &request).await
        }
    };
    if let Ok(answer) = &answer {
        shared.answered(&request, answer.status());
    }
    answer
}

// === impl Shared ===

impl Shared {
    /// Numbers a request, and says what is to happen to it. `None` if the program is to be dead.
    fn number(&self, door: Door, asked: &Asked) -> Option<(NumberedRequest, Option<Fate>)> {
        let mut state = self.state();
        if state.down.contains(&door.number) {
            return None;
        }
        let request = NumberedRequest::of(state.requests.len() + 1, asked);
        state.requests.push(request.clone());
        if request.verb == "list" && asked.parameter("continue").is_none() {
            let list = asked.clone();
            state.lists.insert(request.resource.clone(), list);
        }
        let is_due = |planned: &mut (usize, Fate)| planned.0 == request.number;
        let fate = state.planned.take_if(is_due).map(|(_, fate)| fate);
        if fate == Some(Fate::Kill) {
            state.down.insert(door.number);
        }
        Some((request, fate))
    }

    fn answered(&self, request: &NumberedRequest, status: StatusCode) {
        let mut state = self.state();
        if let Some(numbered) = state.requests.get_mut(request.number - 1) {
            numbered.code = Some(status.as_u16());
        }
    }

    /// Lets the API server do what was asked, whether or not the program still waits for it.
    async fn do_unheard(self: &Arc<Self>, door: Door, asked: Asked, request: NumberedRequest) {
        let shared = Arc::clone(self);
        let deed = tokio::spawn(async move {
            // It is done, whatever came of it.
            let _ = shared.pass(&asked, &request).await;
            shared.strike(door, request);
        });
        let _ = deed.await;
    }

    /// Lets the API server answer, or the list from before.
    async fn pass(
        self: &Arc<Self>,
        asked: &Asked,
        request: &NumberedRequest,
    ) -> Result<Response<Body>, Broken> {
        if let Some(list) = self.list_from_before(request) {
            let mut response = Response::new(Full::new(list).boxed_unsync());
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            return Ok(response);
        }
        let upstream = self.upstream.ask(asked).await.map_err(|_| Broken)?;
        let (status, mut headers) = (upstream.status(), upstream.headers().clone());
        // They are about the connection to the API server.
        for of_connection in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(of_connection);
        }
        let body = if request.is_watch() && status.is_success() {
            let lines = watches::told(self, request.resource.clone(), upstream);
            let frames = lines.map(|line| Ok(Frame::data(line)));
            StreamBody::new(frames).boxed_unsync()
        } else {
            Full::new(upstream.bytes().await.map_err(|_| Broken)?).boxed_unsync()
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Keeps every list that the program has asked for, as it is now.
    async fn remember(&self) {
        let lists = self.state().lists.clone();
        for (resource, list) in lists {
            let Ok(answer) = self.upstream.ask(&list.whole_list()).await else {
                continue;
            };
            if let (true, Ok(body)) = (answer.status().is_success(), answer.bytes().await) {
                self.state().remembered.insert(resource, body);
            }
        }
    }

    fn list_from_before(&self, request: &NumberedRequest) -> Option<Bytes> {
        let mut state = self.state();
        (state.is_behind && request.verb == "list")
            .then(|| state.remembered.remove(&request.resource))
            .flatten()
    }
}
