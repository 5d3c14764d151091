//! Request bodies: unpacked, within the cap of one body, and within the room for all bodies.

use std::io::Read;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::app::App;
use super::error::ApiError;
use crate::directory::model::webhook::without_bom;

/// How many bytes of bodies are in memory at once, over all companies: an eighth of the chart's
/// memory limit.
const ROOM: usize = 64 * 1024 * 1024;

/// How many bytes are unpacked at a time.
const PORTION: usize = 64 * 1024;

/// The room for the bodies of all requests in flight. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// A request body, unpacked and without a byte order mark. It holds its room until it is dropped.
pub(crate) struct Body {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

/// How a body is packed (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Deflate,
}

// === impl Room ===

impl Room {
    /// The room of a directory that takes bodies of up to this many bytes: at least one that is
    /// packed always fits.
    pub(crate) fn for_bodies_of(body_bytes: usize) -> Self {
        let bytes = ROOM.max(body_bytes.saturating_mul(2));
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Takes room for so many bytes, or fails at once: a request that waited here would hold what
    /// the others wait for.
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let bytes = u32::try_from(bytes).map_err(|_| ApiError::NoRoom)?;
        let room = self.0.clone().try_acquire_many_owned(bytes);
        room.map_err(|_| ApiError::NoRoom)
    }
}

// === impl Body ===

impl Body {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            room: None,
        }
    }

    /// The content, without a byte order mark.
    pub(crate) fn content(&self) -> &[u8] {
        without_bom(&self.bytes)
    }

    fn push(&mut self, portion: &[u8], most: usize, room: &Room) -> Result<(), ApiError> {
        if portion.len() > most.saturating_sub(self.bytes.len()) {
            return Err(ApiError::TooLarge);
        }
        let taken = room.take(portion.len())?;
        match &mut self.room {
            Some(room) => room.merge(taken),
            None => self.room = Some(taken),
        }
        self.bytes.extend_from_slice(portion);
        Ok(())
    }

    /// Reads until the end. Stops as soon as the cap is passed, so that a small body which unpacks
    /// to a large one costs no more than the cap.
    fn unpack(mut packed: impl Read, most: usize, room: &Room) -> Result<Self, ApiError> {
        let mut body = Self::new();
        let mut portion = vec![0; PORTION];
        loop {
            match packed.read(&mut portion) {
                Ok(0) => return Ok(body),
                Ok(count) => body.push(&portion[..count], most, room)?,
                Err(_) => {
                    return Err(ApiError::Malformed(
                        "the body is not what its Content-Encoding says, or broke off; send it again".to_owned(),
                    ));
                }
            }
        }
    }
}

impl FromRequest<App> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let most = app.limits.body_bytes;
        let packing = Packing::told(request.headers())?;
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > most) {
            return Err(ApiError::TooLarge);
        }
        let mut body = Self::new();
        let mut portions = request.into_body().into_data_stream();
        while let Some(portion) = portions.next().await {
            let portion = portion
                .map_err(|_| ApiError::Malformed("the body broke off; send it again".to_owned()))?;
            body.push(&portion, most, &app.room)?;
        }
        let packed = body.bytes.as_slice();
        match packing {
            Packing::None => Ok(body),
            Packing::Gzip => Self::unpack(MultiGzDecoder::new(packed), most, &app.room),
            Packing::Deflate if zlib(packed) => {
                Self::unpack(ZlibDecoder::new(packed), most, &app.room)
            }
            Packing::Deflate => Self::unpack(DeflateDecoder::new(packed), most, &app.room),
        }
    }
}

// === impl Packing ===

impl Packing {
    fn told(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut packing = Self::None;
        for value in headers.get_all(CONTENT_ENCODING) {
            let names = value.to_str().map_err(|_| ApiError::Packing)?;
            for name in names.split(',').map(str::trim) {
                let next = match name.to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(ApiError::Packing),
                };
                if packing != Self::None {
                    return Err(ApiError::Packing);
                }
                packing = next;
            }
        }
        Ok(packing)
    }
}

/// Whether a deflated body has the header of zlib (RFC 1950, section 2.2). Some senders leave it
/// out.
fn zlib(packed: &[u8]) -> bool {
    match packed {
        [method, flags, ..] => {
            method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0
        }
        _ => false,
    }
}

/// The length of what a body unpacks to, up to the cap: the entrance for the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn unpacked(headers: &HeaderMap, packed: &[u8], most: usize) -> Result<usize, ApiError> {
    let room = Room::for_bodies_of(most);
    let body = match Packing::told(headers)? {
        Packing::None => Body::unpack(packed, most, &room),
        Packing::Gzip => Body::unpack(MultiGzDecoder::new(packed), most, &room),
        Packing::Deflate if zlib(packed) => Body::unpack(ZlibDecoder::new(packed), most, &room),
        Packing::Deflate => Body::unpack(DeflateDecoder::new(packed), most, &room),
    };
    Ok(body?.content().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_one_room_and_leave_it() {
        let room = Room(Arc::new(Semaphore::new(100)));
        let mut first = Body::new();
        first.push(&[0; 60], 80, &room).unwrap();
        let mut second = Body::new();
        let refused = second.push(&[0; 60], 80, &room);
        assert!(matches!(refused, Err(ApiError::NoRoom)));
        drop(first);
        second.push(&[0; 60], 80, &room).unwrap();
        let refused = second.push(&[0; 21], 80, &room);
        assert!(matches!(refused, Err(ApiError::TooLarge)));
    }

    #[test]
    fn unpacking_stops_at_the_cap() {
        let room = Room(Arc::new(Semaphore::new(1_000_000)));
        let endless = std::io::repeat(b' ');
        let stopped = Body::unpack(endless, 500_000, &room);
        assert!(matches!(stopped, Err(ApiError::TooLarge)));
        assert_eq!(room.0.available_permits(), 1_000_000);
    }
}
