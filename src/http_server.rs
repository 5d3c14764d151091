//! The HTTP server: limits the number of client connections and their idle time, and ends them.
//!
//! HTTP/1.1 only (docs/adr/0017). Client connections above the limit wait in the kernel's queue and
//! cost nothing here. A client connection is closed when it sends a request's headers slowly, when
//! it idles, or when its client does not read the response. Nobody can therefore use up the limit
//! with connections that are only held open.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::error::Chain;

/// The most client connections that wait in the kernel's queue to be accepted.
const QUEUE: i32 = 1024;

/// Opens a listener.
///
/// `[::]` takes clients of IPv6 and of IPv4, whatever the machine's own setting is. A machine
/// without IPv6 listens at `0.0.0.0` instead, so that one flag does for every cluster.
///
/// # Errors
///
/// The address is taken, is none of this machine, or may not be used; [`listen_remedy`] says what
/// to do.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(listen_by(open, address)?)
}

/// Opens a listener with `open`, at the address or at the one that stands in for it.
fn listen_by<T>(open: impl Fn(SocketAddr) -> io::Result<T>, address: SocketAddr) -> io::Result<T> {
    open(address).or_else(|error| {
        if !(takes_both(address) && is_without_ipv6(&error)) {
            return Err(error);
        }
        let instead = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        warn!(error = %Chain(&error), %address, %instead, "this machine has no IPv6: it listens for IPv4 alone");
        open(instead)
    })
}

/// Whether this address stands for all addresses of both families.
fn takes_both(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// Whether the kernel knows no IPv6, or has switched it off.
fn is_without_ipv6(error: &io::Error) -> bool {
    let known = Errno::from_io_error(error);
    known == Some(Errno::AFNOSUPPORT) || known == Some(Errno::ADDRNOTAVAIL)
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if takes_both(address) {
        // Else the sysctl net.ipv6.bindv6only decides.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}

/// The advice for a listener that cannot be opened.
pub(crate) fn listen_remedy(error: &io::Error) -> &'static str {
    if Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) {
        return "this machine has no IPv6: choose an IPv4 address with --listen, such as 0.0.0.0:8080";
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "[::]:8080";

    /// Opens as a kernel without IPv6 does.
    fn without_ipv6(errno: Errno) -> impl Fn(SocketAddr) -> io::Result<SocketAddr> {
        move |address| match address.is_ipv6() {
            true => Err(errno.into()),
            false => Ok(address),
        }
    }

    #[test]
    fn a_machine_without_ipv6_listens_for_ipv4() {
        for errno in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            let opened = listen_by(without_ipv6(errno), BOTH.parse().unwrap());
            assert_eq!(opened.unwrap(), "0.0.0.0:8080".parse().unwrap());
        }
    }

    #[test]
    fn an_address_that_was_asked_for_is_not_replaced() {
        let one = "[::1]:8080".parse().unwrap();
        let refused = listen_by(without_ipv6(Errno::AFNOSUPPORT), one).unwrap_err();
        assert!(listen_remedy(&refused).contains("has no IPv6"), "{refused}");
        let taken = |_| -> io::Result<SocketAddr> { Err(Errno::ADDRINUSE.into()) };
        let refused = listen_by(taken, BOTH.parse().unwrap()).unwrap_err();
        assert!(listen_remedy(&refused).contains("another process has the port"));
    }
}
