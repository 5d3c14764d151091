//! The HTTP server: limits the number of client connections and their idle time, and ends them.
//!
//! HTTP/1.1 only (docs/adr/0017). Client connections above the limit wait in the kernel's queue and
//! cost nothing here. A client connection is closed when it sends a request's headers slowly, when
//! it idles, or when its client does not read the response. Nobody can therefore use up the limit
//! with connections that are only held open.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::error::Chain;

/// The advice for a listener that cannot be opened.
pub(crate) fn listen_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has the port: end it, or choose another with --listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "the address is none of this machine: choose one with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "this process may not use the port: choose one above 1023 with --listen"
        }
        _ => "choose another address or port with --listen",
    }
}

/// The largest request line with its headers, in bytes. A token and a number are far shorter.
const MAX_HEAD: usize = 64 * 1024;

/// The pause when the system has no file descriptor for another client connection.
const NO_FILES: Duration = Duration::from_millis(100);

/// The limits of client connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// The most client connections that are open at once.
    pub(crate) most: usize,
    /// The longest time for a request's headers, counted from the previous response. Also the
    /// longest time that a client may leave a response unread.
    pub(crate) idle: Duration,
    /// The longest time for requests in flight after the shutdown.
    pub(crate) grace: Duration,
}

/// Serves client connections until the shutdown. Then finishes the requests in flight, and cuts off
/// the rest after the grace period. Returns whether every request was answered. No work for a
/// client connection continues when this returns.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) -> bool {
    let room = Arc::new(Semaphore::new(limits.most));
    let mut connections = JoinSet::new();
    while let Some((stream, room)) = shutdown.run_until_cancelled(accept(&listener, &room)).await {
        while connections.try_join_next().is_some() {}
        let connection = ClientConnection::new(stream, limits.idle, room);
        connections.spawn(converse(
            connection,
            router.clone(),
            limits.idle,
            shutdown.clone(),
        ));
    }
    // New client connections are refused from here on, and go to another replica.
    drop(listener);
    let answered = async { while connections.join_next().await.is_some() {} };
    let all = tokio::time::timeout(limits.grace, answered).await.is_ok();
    connections.shutdown().await;
    all
}

/// Accepts the next client connection when the limit allows it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let room = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, room),
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

/// Answers the requests of one client connection.
async fn converse(
    connection: ClientConnection,
    router: Router,
    idle: Duration,
    shutdown: CancellationToken,
) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        debug!(error = %Chain(&error), "a connection ended");
    }
}

/// A client connection that fails when the client leaves written data unread. Its slot is free when
/// it closes.
struct ClientConnection {
    stream: TcpStream,
    idle: Duration,
    /// The timer that runs while a write waits for the client.
    unread: Option<Pin<Box<Sleep>>>,
    _room: Option<OwnedSemaphorePermit>,
}

// === impl ClientConnection ===

impl ClientConnection {
    fn new(stream: TcpStream, idle: Duration, room: Option<OwnedSemaphorePermit>) -> Self {
        // Sends responses at once. Otherwise the second of two writes waits for the acknowledgement
        // of the first.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(error = %Chain(&error), "a connection goes without TCP_NODELAY");
        }
        Self {
            stream,
            idle,
            unread: None,
            _room: room,
        }
    }

    /// Returns the result of a write, or an error if the write has waited too long.
    fn in_time<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let idle = self.idle;
        let unread = self
            .unread
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + idle)));
        unread
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
