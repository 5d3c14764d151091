//! One client connection: it fails when its client reads nothing, and over TLS when the handshake
//! takes too long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::tls::CurrentTls;
use crate::error::Chain;

/// The longest time for a TLS handshake. It takes two round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The first byte of a client that begins a TLS handshake (RFC 8446, 5.1).
const BEGINS_TLS: u8 = 0x16;

/// What is read at most of a request without TLS, in bytes.
const MAX_PLAIN: u64 = 64 * 1024;

/// The answer to a request without TLS where only TLS is spoken.
const SPEAK_TLS: &str = r#"{"title":"Bad Request","status":400,"code":"https-only","detail":"this server speaks HTTPS only, and the request came without TLS; write https:// in its address"}"#;

/// A client connection that fails when the client leaves written data unread.
pub(super) struct ClientConnection {
    stream: TcpStream,
    idle: Duration,
    /// The timer that runs while a write waits for the client.
    unread: Option<Pin<Box<Sleep>>>,
}

// === impl ClientConnection ===

impl ClientConnection {
    pub(super) fn new(stream: TcpStream, idle: Duration) -> Self {
        // Sends responses at once. Otherwise the second of two writes waits for the acknowledgement
        // of the first.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(error = %Chain(&error), "a connection goes without TCP_NODELAY");
        }
        Self {
            stream,
            idle,
            unread: None,
        }
    }

    /// Begins TLS, in time. A client that speaks plain HTTP is told so.
    pub(super) async fn handshake(mut self, tls: &CurrentTls) -> io::Result<TlsStream<Self>> {
        let in_time = self.idle.min(HANDSHAKE);
        let shaking = async {
            let mut first = [0];
            if self.stream.peek(&mut first).await? > 0 && first != [BEGINS_TLS] {
                self.refuse_plain().await?;
                return Err(io::Error::other("the client speaks no TLS"));
            }
            let config = tls.borrow().clone();
            TlsAcceptor::from(config).accept(self).await
        };
        match tokio::time::timeout(in_time, shaking).await {
            Ok(shaken) => shaken,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn refuse_plain(&mut self) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n",
            SPEAK_TLS.len()
        );
        self.write_all((head + SPEAK_TLS).as_bytes()).await?;
        self.shutdown().await?;
        // To close a connection with unread data would take back the answer.
        let mut rest = self.take(MAX_PLAIN);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        Ok(())
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
