//! The stream of the companies that wait.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use reqwest::header::ACCEPT;
use secrecy::ExposeSecret as _;
use url::Url;

use super::events::{Event, Reader};
use super::{Client, ClientError, answer, unreached};
use crate::directory::model::Problem;
use crate::directory::model::waiting::{CAUGHT_UP, HEARTBEAT, WAITING, Waiting, WaitingQuery};
use crate::error::CauseText;
use crate::json;

const ACTION: &str = "follow who waits";

/// A stream that brings nothing for this long is dead, whatever the network says: it has missed two
/// signs of life.
const SILENT: Duration = Duration::from_secs(HEARTBEAT.as_secs() * 5 / 2);

/// The longest time of one stream. The directory ends it before, with its token.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// The pause before the next stream where the directory did not ask for one.
const PAUSE: Duration = Duration::from_secs(2);

/// The largest refusal that is read.
const MAX_PROBLEM: usize = 64 * 1024;

/// One connection of the stream `GET /v1/waiting`.
///
/// It ends whenever the directory goes down, the token expires or the network fails; go on with
/// another one after [`WaitingStream::retry`], from [`WaitingStream::position`]. A company may be
/// told twice, and is never left out.
#[derive(Debug)]
pub struct WaitingStream {
    response: reqwest::Response,
    url: Url,
    reader: Reader,
    left: Bytes,
}

/// What the stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingEvent {
    /// Something of this company waits.
    Waits(Waiting),
    /// All that waited when the stream began has been told; what follows has just happened. It
    /// comes once on each connection.
    CaughtUp,
}

// === impl Client ===

impl Client {
    /// Opens the stream of the companies that wait; the token is that of
    /// [`mint_operator`](crate::directory::TokenKeys::mint_operator). It is tried once: without
    /// `query.after` the stream begins with all that waits, with it it goes on behind that
    /// position, or begins anew where the directory no longer knows it.
    pub async fn waiting(&self, query: &WaitingQuery) -> Result<WaitingStream, ClientError> {
        let url = self.url_with("v1/waiting", ACTION, query)?;
        let request = self
            .http
            .get(url.clone())
            .header(ACCEPT, "text/event-stream")
            .bearer_auth(self.token.expose_secret())
            .timeout(LONGEST);
        let asked = tokio::time::timeout(SILENT, request.send()).await;
        let response = asked
            .map_err(|_| silent(&url))?
            .map_err(|error| unreached(ACTION, &url, error))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        Ok(WaitingStream {
            response,
            url,
            reader: Reader::after(query.after.as_deref()),
            left: Bytes::new(),
        })
    }
}

// === impl WaitingStream ===

impl WaitingStream {
    /// The next event; `None` when the directory has ended the stream. It may be dropped at any
    /// point and called again.
    ///
    /// # Errors
    /// When the connection fails, or brings no sign of life for 25 seconds.
    pub async fn next(&mut self) -> Result<Option<WaitingEvent>, ClientError> {
        loop {
            while self.left.has_remaining() {
                let read = self.reader.read(&self.left);
                let (event, bytes) = read.map_err(|error| answer(ACTION, CauseText::of(&error)))?;
                self.left.advance(bytes);
                if let Some(event) = event.map(understood).transpose()?.flatten() {
                    return Ok(Some(event));
                }
            }
            let chunk = tokio::time::timeout(SILENT, self.response.chunk()).await;
            let chunk = chunk
                .map_err(|_| silent(&self.url))?
                .map_err(|error| unreached(ACTION, &self.url, error))?;
            match chunk {
                Some(chunk) => self.left = chunk,
                None => return Ok(None),
            }
        }
    }

    /// The position behind the last event, for `after` of the next stream; `None` until the stream
    /// has caught up, since nothing before is one.
    pub fn position(&self) -> Option<&str> {
        self.reader.id()
    }

    /// The pause that the directory asks for before the next stream. It differs from stream to
    /// stream, so that not all come back at once.
    pub fn retry(&self) -> Duration {
        self.reader.retry().unwrap_or(PAUSE)
    }
}

/// What an event means; `None` for one of a newer directory.
fn understood(event: Event) -> Result<Option<WaitingEvent>, ClientError> {
    match event.kind.as_str() {
        WAITING => json::read_bytes(event.data.as_bytes())
            .map(|waiting| Some(WaitingEvent::Waits(waiting)))
            .map_err(|error| answer(ACTION, CauseText::of(&error))),
        CAUGHT_UP => Ok(Some(WaitingEvent::CaughtUp)),
        _ => Ok(None),
    }
}

fn silent(url: &Url) -> ClientError {
    ClientError::Silent {
        action: ACTION,
        address: url.origin().ascii_serialization(),
        silent: SILENT,
    }
}

async fn refused(mut response: reqwest::Response) -> ClientError {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENT, response.chunk()).await {
        if bytes.len() + chunk.len() > MAX_PROBLEM {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    let problem = json::read_bytes(&bytes).unwrap_or_else(|_| Problem::bare(status));
    ClientError::Refused {
        action: ACTION,
        problem: Box::new(problem),
    }
}
