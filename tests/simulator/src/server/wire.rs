//! A client connection that can be cut with a TCP reset instead of a normal close.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Cuts one client connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Knife(Arc<(AtomicBool, Notify)>);

impl Knife {
    /// Resets the client connection immediately.
    pub(super) fn cut(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify_one();
    }

    /// Waits until the client connection is to be cut.
    pub(super) async fn until_cut(&self) {
        self.0.1.notified().await;
    }

    fn is_cut(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }
}

/// A TCP connection that a [`Knife`] can cut.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TcpStream,
    knife: Knife,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream, knife: Knife) -> Self {
        Self { tcp, knife }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.knife.is_cut() {
            // A close without linger sends a reset. If the option fails, the connection closes
            // normally.
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
