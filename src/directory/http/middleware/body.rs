//! Request bodies: unpacked, within the cap of one body, and within the room for all bodies.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures::StreamExt as _;
use parking_lot::{Mutex, MutexGuard};

use super::app::App;
use super::error::ApiError;
use crate::company_id::CompanyId;
use crate::directory::model::webhook::without_bom;

/// How many bytes of bodies are in memory at once, over all companies: an eighth of the chart's
/// memory limit.
const ROOM: usize = 64 * 1024 * 1024;

/// The part of the room that one company may have, whatever number of tokens and connections it
/// sends with.
const SHARES: usize = 4;

/// How many bytes are unpacked at a time.
const PORTION: usize = 64 * 1024;

/// The room for the bodies of all requests in flight. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    taken: Arc<Mutex<Taken>>,
    most: usize,
    most_of_a_company: usize,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    /// By company; none is kept that has nothing.
    of: HashMap<CompanyId, usize>,
}

/// Room that was taken. It is free again when this is dropped.
pub(crate) struct Place {
    room: Room,
    company: CompanyId,
    bytes: usize,
}

/// The company whose token a request has shown: an extension of the request.
#[derive(Debug, Clone)]
pub(crate) struct Sender(pub(crate) CompanyId);

/// A request body, unpacked and without a byte order mark. It holds its room until it is dropped.
pub(crate) struct Body {
    bytes: Vec<u8>,
    /// How large the body will be, if its head says so.
    announced: Option<usize>,
    place: Place,
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
        let packed = body_bytes.saturating_mul(2);
        Self::of(ROOM.max(packed), (ROOM / SHARES).max(packed))
    }

    fn of(most: usize, most_of_a_company: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
            most_of_a_company,
        }
    }

    /// A place of this company, which has no room yet.
    fn place(&self, company: CompanyId) -> Place {
        Place {
            room: self.clone(),
            company,
            bytes: 0,
        }
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock()
    }
}

// === impl Place ===

impl Place {
    /// Takes room for so many bytes more, or fails at once: a request that waited here would hold
    /// what the others wait for.
    fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let mut taken = self.room.lock();
        let of_company = taken.of.get(&self.company).copied().unwrap_or_default();
        let all = taken.bytes.saturating_add(bytes);
        let own = of_company.saturating_add(bytes);
        if all > self.room.most || own > self.room.most_of_a_company {
            return Err(ApiError::NoRoom);
        }
        taken.bytes = all;
        taken.of.insert(self.company.clone(), own);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.bytes = taken.bytes.saturating_sub(self.bytes);
        let left = taken.of.get(&self.company).copied().unwrap_or_default();
        match left.saturating_sub(self.bytes) {
            0 => taken.of.remove(&self.company),
            left => taken.of.insert(self.company.clone(), left),
        };
    }
}

// === impl Body ===

impl Body {
    fn new(place: Place, announced: Option<usize>) -> Self {
        Self {
            bytes: Vec::new(),
            announced,
            place,
        }
    }

    /// The content, without a byte order mark.
    pub(crate) fn content(&self) -> &[u8] {
        without_bom(&self.bytes)
    }

    /// The place of the body, for what was made of it.
    pub(crate) fn into_place(self) -> Place {
        self.place
    }

    fn push(&mut self, portion: &[u8], most: usize) -> Result<(), ApiError> {
        if portion.len() > most.saturating_sub(self.bytes.len()) {
            return Err(ApiError::TooLarge);
        }
        let length = self.bytes.len() + portion.len();
        if self.bytes.capacity() < length {
            // What is announced may never come, so that the memory grows with what comes.
            let announced = self.announced.filter(|announced| *announced >= length);
            let doubled = (2 * self.bytes.capacity()).min(announced.unwrap_or(most));
            let wanted = length.max(doubled);
            self.place.grow(wanted.saturating_sub(self.place.bytes))?;
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(portion);
        Ok(())
    }

    /// Reads until the end. Stops as soon as the cap is passed, so that a small body which unpacks
    /// to a large one costs no more than the cap.
    fn unpack(mut packed: impl Read, most: usize, place: Place) -> Result<Self, ApiError> {
        let mut body = Self::new(place, None);
        let mut portion = vec![0; PORTION];
        loop {
            match packed.read(&mut portion) {
                Ok(0) => return Ok(body),
                Ok(count) => body.push(&portion[..count], most)?,
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
        // The token comes first, so that a place has an owner.
        let sender = request.extensions().get::<Sender>().cloned();
        let Sender(company) = sender.ok_or(ApiError::NoToken)?;
        let mut body = Self::new(app.room.place(company.clone()), length);
        let mut portions = request.into_body().into_data_stream();
        while let Some(portion) = portions.next().await {
            let portion = portion
                .map_err(|_| ApiError::Malformed("the body broke off; send it again".to_owned()))?;
            body.push(&portion, most)?;
        }
        let packed = body.bytes.as_slice();
        let place = app.room.place(company);
        match packing {
            Packing::None => Ok(body),
            Packing::Gzip => Self::unpack(MultiGzDecoder::new(packed), most, place),
            Packing::Deflate if zlib(packed) => Self::unpack(ZlibDecoder::new(packed), most, place),
            Packing::Deflate => Self::unpack(DeflateDecoder::new(packed), most, place),
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
    // A fixed company: this reads one body and nothing else.
    let company = "fuzz".parse().map_err(|_| ApiError::NoToken)?;
    let place = room.place(company);
    let body = match Packing::told(headers)? {
        Packing::None => Body::unpack(packed, most, place),
        Packing::Gzip => Body::unpack(MultiGzDecoder::new(packed), most, place),
        Packing::Deflate if zlib(packed) => Body::unpack(ZlibDecoder::new(packed), most, place),
        Packing::Deflate => Body::unpack(DeflateDecoder::new(packed), most, place),
    };
    Ok(body?.content().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(room: &Room, company: &str) -> Body {
        Body::new(room.place(company.parse().unwrap()), None)
    }

    #[test]
    fn bodies_share_one_room_and_leave_it() {
        let room = Room::of(100, 100);
        let mut first = body(&room, "a");
        first.push(&[0; 60], 80).unwrap();
        let mut second = body(&room, "b");
        let refused = second.push(&[0; 60], 80);
        assert!(matches!(refused, Err(ApiError::NoRoom)));
        drop(first);
        second.push(&[0; 60], 80).unwrap();
        let refused = second.push(&[0; 21], 80);
        assert!(matches!(refused, Err(ApiError::TooLarge)));
        drop(second);
        let taken = room.lock();
        assert_eq!((taken.bytes, taken.of.len()), (0, 0));
    }

    #[test]
    fn a_company_has_its_share_and_no_more() {
        let room = Room::of(100, 40);
        let mut bodies = Vec::new();
        for company in ["a", "b"] {
            for _ in 0..2 {
                let mut taken = body(&room, company);
                taken.push(&[0; 20], 80).unwrap();
                bodies.push(taken);
            }
            let refused = body(&room, company).push(&[0; 1], 80);
            assert!(matches!(refused, Err(ApiError::NoRoom)), "{company}");
        }
        body(&room, "c").push(&[0; 20], 80).unwrap();
    }

    #[test]
    fn what_counts_is_what_is_in_memory() {
        let room = Room::of(1_000, 1_000);
        for (announced, end) in [(None, 400), (Some(250), 250), (Some(120), 400)] {
            let place = room.place("a".parse().unwrap());
            let mut body = Body::new(place, announced);
            for (length, counted) in [(100, 100), (50, 200.min(end)), (100, end)] {
                body.push(&vec![0; length], 800).unwrap();
                assert_eq!(body.bytes.capacity(), counted, "{announced:?}");
                assert_eq!(room.lock().bytes, counted, "{announced:?}");
            }
        }
    }

    #[test]
    fn unpacking_stops_at_the_cap() {
        let room = Room::of(1_000_000, 1_000_000);
        let place = room.place("a".parse().unwrap());
        let endless = std::io::repeat(b' ');
        let stopped = Body::unpack(endless, 500_000, place);
        assert!(matches!(stopped, Err(ApiError::TooLarge)));
        assert_eq!(room.lock().bytes, 0);
    }
}
