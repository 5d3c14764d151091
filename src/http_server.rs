//! Connections: how many there are, how long one may keep its place without asking anything, and how they end.
//!
//! HTTP/1.1 only (docs/adr/0017). More connections than there is room for wait in the kernel's queue and cost nothing
//! here. A connection that is slow to send a request's headers, that idles, or whose peer does not read its answer is
//! closed, so that nobody can take all the room by holding it.

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

/// The longest request line with its headers. A token and a number are far shorter.
const MAX_HEAD: usize = 64 * 1024;

/// How long to wait when the system has no file for another connection.
const NO_FILES: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many are open at once.
    pub(crate) most: usize,
    /// How long one may take for a request's headers, from the answer before on, and how long its peer may leave an
    /// answer unread.
    pub(crate) idle: Duration,
    /// How long requests in flight may take after the shutdown.
    pub(crate) grace: Duration,
}

/// Serves connections until the shutdown and then until what is in flight is answered, or cut off after the grace
/// period; says whether everything was answered. Nothing of a connection goes on when this returns.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> bool {
    let room = Arc::new(Semaphore::new(limits.most));
    let mut connections = JoinSet::new();
    while let Some((stream, room)) = shutdown.run_until_cancelled(accept(&listener, &room)).await {
        while connections.try_join_next().is_some() {}
        let connection = Connection::new(stream, limits.idle, room);
        connections.spawn(converse(
            connection,
            router.clone(),
            limits.idle,
            shutdown.clone(),
        ));
    }
    // New connections are refused from here on, and go to another replica.
    drop(listener);
    let answered = async { while connections.join_next().await.is_some() {} };
    let all = tokio::time::timeout(limits.grace, answered).await.is_ok();
    connections.shutdown().await;
    all
}

/// The next connection, when there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let room = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, room),
            // Of the connection, not of the listener: its peer went before it was accepted.
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

/// Answers the requests of one connection.
async fn converse(
    connection: Connection,
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

/// A connection that fails when its peer leaves what was written unread. Its room is free when it closes.
struct Connection {
    stream: TcpStream,
    idle: Duration,
    /// Runs while a write waits for the peer.
    unread: Option<Pin<Box<Sleep>>>,
    _room: Option<OwnedSemaphorePermit>,
}

// === impl Connection ===

impl Connection {
    fn new(stream: TcpStream, idle: Duration, room: Option<OwnedSemaphorePermit>) -> Self {
        // Answers are written at once; without this the second of two waits for the acknowledgement of the first.
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

    /// What a write came to, and an error in place of a wait that lasts too long.
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

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
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
