//! The HTTP server: listener, TLS, HTTP/1.1 and h2, and simulated downtime.

mod exchange;
mod flood;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
pub(crate) use tls::{Identity, identity};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use wire::{Knife, Wire};

use crate::core::Core;

/// The requested state of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Up,
    /// The server does not listen, and open client connections are cut.
    Down,
    Stopped,
}

/// Whether the server listens at the moment.
pub(crate) type Listening = watch::Sender<bool>;

/// Opens the listener.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // The option lets a server that was down listen at its old address again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Accepts client connections until the server is stopped.
pub(crate) async fn run(
    core: Arc<Core>,
    listener: TcpListener,
    identity: Identity,
    mut wanted: watch::Receiver<Wanted>,
    listening: Listening,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(identity.config);
    let mut listener = Some(listener);
    loop {
        let now = *wanted.borrow_and_update();
        match now {
            Wanted::Stopped => break,
            Wanted::Down => listener = None,
            Wanted::Up if listener.is_none() => listener = Some(bind(address)?),
            Wanted::Up => {}
        }
        listening.send_replace(listener.is_some());
        let Some(open) = &listener else {
            if wanted.changed().await.is_err() {
                break;
            }
            continue;
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { break },
            accepted = open.accept() => {
                if let Ok((tcp, peer)) = accepted {
                    core.runtime().counters.connections += 1;
                    tokio::spawn(serve(Arc::clone(&core), tcp, peer, acceptor.clone(), wanted.clone()));
                }
            }
        }
    }
    drop(listener);
    listening.send_replace(false);
    Ok(())
}

async fn serve(
    core: Arc<Core>,
    tcp: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    mut wanted: watch::Receiver<Wanted>,
) {
    // Small answers must not wait for acknowledgements. A failure here only costs time.
    let _ = tcp.set_nodelay(true);
    let knife = Knife::default();
    let converse = async {
        let stream = acceptor.accept(Wire::new(tcp, knife.clone())).await.ok()?;
        let service = service_fn(|request| {
            exchange::answer(Arc::clone(&core), knife.clone(), peer.ip(), request)
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http2().max_header_list_size(1 << 20);
        // A failed client connection is the client's problem; the request log records the answers.
        builder
            .serve_connection(TokioIo::new(stream), service)
            .await
            .ok()
    };
    tokio::select! {
        _ = converse => {}
        () = knife.until_cut() => {}
        _ = wanted.wait_for(|wanted| *wanted != Wanted::Up) => knife.cut(),
    }
}
