//! The HTTP server: limits the number of client connections and their idle time, and ends them.
//!
//! HTTP/1.1 only (docs/adr/0017). A client connection is closed when it sends a request's headers
//! slowly, when it idles, or when its client does not read the response; and at the limit, before
//! that, to make room for another client (`seats`). Nobody can therefore use up the limit with
//! connections that are only held open.

mod connection;
mod listen;
mod proxies;
mod seats;
mod tls;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use self::connection::ClientConnection;
pub(crate) use self::listen::{address, listen, listen_remedy};
pub(crate) use self::proxies::{AddressRange, Proxies};
use self::seats::{Admission, SeatId, Seats};
pub(crate) use self::tls::{CurrentTls, Pair, PairError, Validity};
use crate::error::Chain;

/// The largest request line with its headers, in bytes. A token and a number are far shorter.
const MAX_HEAD: usize = 64 * 1024;

/// The pause when the system has no file descriptor for another client connection.
const NO_FILES: Duration = Duration::from_millis(100);

/// The limits of client connections.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// The most client connections that are open at once. Those that have shown no token have
    /// three quarters of them.
    pub(crate) most: usize,
    /// The most client connections of one address that have shown no token; behind a proxy, the
    /// most requests of one address that are answered at once.
    pub(crate) per_address: usize,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub(crate) proxies: Proxies,
    /// The longest time for a request's headers, counted from the previous response. Also the
    /// longest time that a client may leave a response unread.
    pub(crate) idle: Duration,
    /// The longest time for requests in flight after the shutdown.
    pub(crate) grace: Duration,
}

/// The client of a request, as a handler sees it: an extension of the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visitor {
    known: Arc<AtomicBool>,
    /// From where the connection comes.
    address: Option<IpAddr>,
}

// === impl Visitor ===

impl Visitor {
    /// The address from which the connection comes: the last proxy's, if there is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Records that the request has shown a valid token. Its connection then keeps its place.
    pub(crate) fn has_shown_a_token(&self) {
        self.known.store(true, Ordering::Relaxed);
    }
}

/// Serves client connections until the shutdown. Then finishes the requests in flight, and cuts off
/// the rest after the grace period. Returns whether every request was answered. No work for a
/// client connection continues when this returns.
///
/// With `tls`, connections are encrypted. Who does not end the handshake counts as one that is slow
/// to send a request.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<CurrentTls>,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) -> bool {
    let floor = Arc::new(Floor::new(&limits));
    let mut connections = JoinSet::new();
    while let Some((stream, seat)) = shutdown
        .run_until_cancelled(accept(&listener, &floor))
        .await
    {
        while connections.try_join_next().is_some() {}
        let connection = ClientConnection::new(stream, limits.idle);
        let conversation = Conversation {
            seat: Arc::new(seat),
            router: router.clone(),
            idle: limits.idle,
            shutdown: shutdown.clone(),
        };
        match &tls {
            None => connections.spawn(conversation.go(connection)),
            Some(tls) => connections.spawn(conversation.go_encrypted(connection, tls.clone())),
        };
    }
    // New client connections are refused from here on, and go to another replica.
    drop(listener);
    let answered = async { while connections.join_next().await.is_some() {} };
    let all = tokio::time::timeout(limits.grace, answered).await.is_ok();
    connections.shutdown().await;
    all
}

/// Accepts the next client connection that gets a seat.
async fn accept(listener: &TcpListener, floor: &Arc<Floor>) -> (TcpStream, TakenSeat) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(seat) = floor.seat(peer.ip().to_canonical()).await {
                    return (stream, seat);
                }
                debug!(address = %peer.ip(), "an address has all the connections that one may have");
            }
            // An error of this client connection, not of the listener: the client left before the
            // accept.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                warn!(error = %Chain(&error), "a connection cannot be accepted");
                tokio::time::sleep(NO_FILES).await;
            }
        }
    }
}

/// What a client connection is answered with, until somebody else needs its seat.
struct Conversation {
    seat: Arc<TakenSeat>,
    router: Router,
    idle: Duration,
    shutdown: CancellationToken,
}

// === impl Conversation ===

impl Conversation {
    /// Begins TLS, then answers the requests.
    async fn go_encrypted(self, connection: ClientConnection, tls: CurrentTls) {
        let shaken = tokio::select! {
            shaken = connection.handshake(&tls) => shaken,
            () = self.seat.given_up.cancelled() => {
                debug!("a slow connection made room for another");
                return;
            }
            // It has sent no request yet.
            () = self.shutdown.cancelled() => return,
        };
        match shaken {
            Ok(stream) => self.go(stream).await,
            Err(error) => debug!(error = %Chain(&error), "a TLS handshake failed"),
        }
    }

    /// Answers the requests.
    async fn go(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Self {
            seat,
            router,
            idle,
            shutdown,
        } = self;
        let answer = {
            let seat = Arc::clone(&seat);
            move |request| Arc::clone(&seat).answer(router.clone(), request)
        };
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::pin!(serving);
        let result = tokio::select! {
            result = serving.as_mut() => result,
            () = seat.given_up.cancelled() => {
                debug!("a slow connection made room for another");
                return;
            }
            () = shutdown.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = result {
            debug!(error = %Chain(&error), "a connection ended");
        }
    }
}

/// The connections that are open, and who waits for one to close.
struct Floor {
    state: Mutex<FloorState>,
    left: Notify,
    proxies: Proxies,
    per_address: usize,
}

struct FloorState {
    seats: Seats,
    given_up: HashMap<SeatId, CancellationToken>,
    /// Requests in flight, by the address that a proxy names.
    forwarded: HashMap<IpAddr, usize>,
}

// === impl Floor ===

impl Floor {
    fn new(limits: &ConnectionLimits) -> Self {
        Self {
            state: Mutex::new(FloorState {
                seats: Seats::new(limits.most, limits.per_address),
                given_up: HashMap::new(),
                forwarded: HashMap::new(),
            }),
            left: Notify::new(),
            proxies: limits.proxies.clone(),
            per_address: limits.per_address,
        }
    }

    /// Waits for a seat. Returns `None` if the address has too many.
    async fn seat(self: &Arc<Self>, address: IpAddr) -> Option<TakenSeat> {
        let is_proxy = self.proxies.contains(address);
        loop {
            let left = self.left.notified();
            let wait_until = {
                let mut state = self.state.lock();
                let counted = (!is_proxy).then_some(address);
                match state.seats.admit(counted, Instant::now()) {
                    Admission::Seated(id, leaves) => {
                        let leaves = leaves.and_then(|leaves| state.given_up.remove(&leaves));
                        if let Some(leaves) = leaves {
                            leaves.cancel();
                        }
                        let given_up = CancellationToken::new();
                        state.given_up.insert(id, given_up.clone());
                        return Some(TakenSeat {
                            id,
                            floor: Arc::clone(self),
                            address,
                            is_proxy,
                            given_up,
                        });
                    }
                    Admission::Refused => return None,
                    Admission::Wait(until) => until,
                }
            };
            // Whoever is first: either way the question is asked again.
            let _ = tokio::time::timeout_at(wait_until, left).await;
        }
    }
}

/// The seat of one client connection.
struct TakenSeat {
    id: SeatId,
    floor: Arc<Floor>,
    address: IpAddr,
    is_proxy: bool,
    /// Cancelled when another client gets the seat.
    given_up: CancellationToken,
}

/// A request in flight of an address that a proxy names.
struct Forwarded {
    address: IpAddr,
    floor: Arc<Floor>,
}

// === impl TakenSeat ===

impl TakenSeat {
    async fn answer(
        self: Arc<Self>,
        router: Router,
        mut request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        if !self.floor.state.lock().seats.begin(self.id) {
            return Ok(busy(
                "Another client got this connection's place. Connect again.",
            ));
        }
        let visitor = Visitor {
            address: Some(self.address),
            ..Visitor::default()
        };
        let answering = Answering {
            visitor: visitor.clone(),
            seat: Arc::clone(&self),
        };
        let Ok(forwarded) = self.forwarded(request.headers()) else {
            return Ok(busy(
                "Too many requests of this address are answered at once. Wait for their answers.",
            ));
        };
        request.extensions_mut().insert(visitor);
        let response = router.oneshot(request).await?;
        Ok(response.map(|body| {
            Body::new(AnswerBody {
                body,
                _forwarded: forwarded,
                _answering: answering,
            })
        }))
    }

    /// Counts a request to the address that the proxy names. `Ok(None)` without a proxy, `Err` if
    /// that address has too many.
    fn forwarded(&self, headers: &HeaderMap) -> Result<Option<Forwarded>, ()> {
        let named = self.is_proxy.then(|| self.floor.proxies.client_of(headers));
        let Some(address) = named.flatten() else {
            return Ok(None);
        };
        let mut state = self.floor.state.lock();
        let count = state.forwarded.entry(address).or_default();
        if *count >= self.floor.per_address {
            return Err(());
        }
        *count += 1;
        Ok(Some(Forwarded {
            address,
            floor: Arc::clone(&self.floor),
        }))
    }
}

/// A request in flight, until all of its answer is written.
struct Answering {
    visitor: Visitor,
    seat: Arc<TakenSeat>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let known = self.visitor.known.load(Ordering::Relaxed);
        let mut state = self.seat.floor.state.lock();
        state.seats.answered(self.seat.id, known, Instant::now());
    }
}

/// The body of an answer. The request counts as in flight as long as it is there.
struct AnswerBody {
    body: Body,
    _forwarded: Option<Forwarded>,
    _answering: Answering,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for TakenSeat {
    fn drop(&mut self) {
        let mut state = self.floor.state.lock();
        state.seats.leave(self.id);
        state.given_up.remove(&self.id);
        drop(state);
        self.floor.left.notify_waiters();
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        let mut state = self.floor.state.lock();
        if let Entry::Occupied(mut count) = state.forwarded.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The answer to a request for which there is no room now.
fn busy(sentence: &'static str) -> Response {
    let headers = [(RETRY_AFTER, "1"), (CONNECTION, "close")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, sentence).into_response()
}
