//! The body of an answer: unpacked as it arrives, and no more of it kept than the request allows.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};

/// The packing that is asked for.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip");

/// How much of a failure's body is kept, in bytes. An error of Salesforce has some hundred; the
/// words of a proxy's page stand at its beginning.
pub(super) const MOST_OF_A_FAILURE: usize = 64 << 10;

/// What is wanted of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it, up to so many bytes: packed, unpacked and as text.
    Text(usize),
    /// Whether this field of the outermost object is true. The rest is read and not kept.
    Flag(&'static str),
    /// All of it as it arrives, up to so many bytes, packed and unpacked. A failure is kept as a
    /// text.
    Flow(usize),
}

/// Why the rest of a body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has more than so many bytes.
    TooLarge(usize),
    /// It is not what its headers say.
    Broken,
}

/// A body that is being received.
pub(super) struct Intake {
    unpacking: Unpacking,
    /// The bytes that were received, packed.
    received: usize,
    most: usize,
}

enum Unpacking {
    None(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
}

/// What is kept of the unpacked bytes.
struct Kept {
    bytes: Vec<u8>,
    most_kept: usize,
    unpacked: usize,
    most: usize,
    flag: Option<FlagScan>,
}

/// The bytes that an answer left behind.
pub(super) struct Received {
    /// The bytes that were kept.
    pub(super) bytes: Vec<u8>,
    /// The value of the flag that was wanted, if it was there.
    pub(super) flag: Option<bool>,
}

// === impl Wanted ===

impl Wanted {
    /// How many bytes of the answer are kept at most.
    pub(super) fn most_kept(self) -> usize {
        match self {
            Self::Text(most) | Self::Flow(most) => most,
            Self::Flag(_) => MOST_OF_A_FAILURE,
        }
    }
}

// === impl Intake ===

impl Intake {
    /// An intake for an answer with these headers. No body may have more than `most` bytes.
    pub(super) fn new(headers: &HeaderMap, wanted: Wanted, most: usize) -> Self {
        let (most, flag) = match wanted {
            Wanted::Text(wanted) | Wanted::Flow(wanted) => (wanted.min(most), None),
            Wanted::Flag(name) => (most, Some(FlagScan::new(name))),
        };
        let kept = Kept {
            bytes: Vec::new(),
            most_kept: wanted.most_kept().min(most),
            unpacked: 0,
            most,
            flag,
        };
        let packing = headers.get(CONTENT_ENCODING);
        let packing = packing.and_then(|name| name.to_str().ok()).map(str::trim);
        let is_gzip = packing.is_some_and(|name| {
            name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip")
        });
        Self {
            unpacking: match is_gzip {
                true => Unpacking::Gzip(Box::new(MultiGzDecoder::new(kept))),
                false => Unpacking::None(kept),
            },
            received: 0,
            most,
        }
    }

    /// Takes the next chunk.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Stop> {
        self.received = self.received.saturating_add(chunk.len());
        let pushed = match &mut self.unpacking {
            Unpacking::None(kept) => kept.write_all(chunk),
            Unpacking::Gzip(gzip) => gzip.write_all(chunk),
        };
        match pushed {
            _ if self.is_too_large() => Err(Stop::TooLarge(self.most)),
            Ok(()) => Ok(()),
            Err(_) => Err(Stop::Broken),
        }
    }

    /// Ends the body. Fails if it is packed and broke off.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        if let Unpacking::Gzip(gzip) = &mut self.unpacking
            && self.received > 0
            && gzip.try_finish().is_err()
        {
            return Err(match self.is_too_large() {
                true => Stop::TooLarge(self.most),
                false => Stop::Broken,
            });
        }
        Ok(())
    }

    /// Takes what was unpacked since the last time.
    pub(super) fn drain(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept_mut().bytes)
    }

    /// What was kept of a body that has ended, or was stopped.
    pub(super) fn into_received(mut self) -> Received {
        let kept = self.kept_mut();
        Received {
            bytes: std::mem::take(&mut kept.bytes),
            flag: kept.flag.as_ref().and_then(|flag| flag.found),
        }
    }

    fn is_too_large(&mut self) -> bool {
        self.received > self.most || self.kept_mut().unpacked > self.most
    }

    fn kept_mut(&mut self) -> &mut Kept {
        match &mut self.unpacking {
            Unpacking::None(kept) => kept,
            Unpacking::Gzip(gzip) => gzip.get_mut(),
        }
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unpacked = self.unpacked.saturating_add(bytes.len());
        if let Some(flag) = &mut self.flag {
            flag.feed(bytes);
        }
        let room = self.most_kept - self.bytes.len();
        let fitting = bytes.get(..room).unwrap_or(bytes);
        // The room doubles, but not beyond what is needed at most.
        let doubled = (2 * self.bytes.capacity()).min(self.most_kept);
        if self.bytes.len() + fitting.len() > self.bytes.capacity() {
            let wanted = doubled.max(self.bytes.len() + fitting.len());
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(fitting);
        match self.unpacked > self.most {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks for a field of the outermost object of a JSON text that is true or false, in a text of any
/// length: the description of an object has megabytes, of which one field counts.
struct FlagScan {
    name: &'static str,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    /// How much of the name the text has so far; `None` if it is another text.
    matched: Option<usize>,
    /// Whether the last text of the outermost object was the name.
    is_named: bool,
    /// Whether the value of the field comes next.
    is_next: bool,
    found: Option<bool>,
}

// === impl FlagScan ===

impl FlagScan {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            depth: 0,
            in_text: false,
            is_escaped: false,
            matched: None,
            is_named: false,
            is_next: false,
            found: None,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.found.is_some() {
                return;
            }
            match self.in_text {
                true => self.within_text(*byte),
                false => self.between_texts(*byte),
            }
        }
    }

    fn within_text(&mut self, byte: u8) {
        if self.is_escaped {
            self.is_escaped = false;
            return;
        }
        match byte {
            b'"' => {
                self.in_text = false;
                self.is_named = self.depth == 1 && self.matched == Some(self.name.len());
            }
            b'\\' => {
                self.is_escaped = true;
                self.matched = None;
            }
            _ => {
                self.matched = self
                    .matched
                    .filter(|matched| self.name.as_bytes().get(*matched) == Some(&byte))
                    .map(|matched| matched + 1);
            }
        }
    }

    fn between_texts(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return,
            b'"' => {
                self.in_text = true;
                self.matched = Some(0);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' => {
                self.is_next = self.is_named;
                self.is_named = false;
                return;
            }
            b't' if self.is_next => self.found = Some(true),
            b'f' if self.is_next => self.found = Some(false),
            _ => {}
        }
        self.is_next = false;
        self.is_named = false;
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn packed() -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, ACCEPTED)])
    }

    fn take(headers: &HeaderMap, wanted: Wanted, body: &[u8]) -> Result<Received, Stop> {
        let mut intake = Intake::new(headers, wanted, 1_000_000);
        for chunk in body.chunks(7_000) {
            intake.push(chunk)?;
        }
        intake.finish()?;
        Ok(intake.into_received())
    }

    #[test]
    fn a_body_ends_at_its_bound_packed_and_unpacked() {
        let plain = HeaderMap::new();
        let text = [b'x'; 10_000];
        let whole = take(&plain, Wanted::Text(10_000), &text).unwrap().bytes;
        assert_eq!((whole.len(), whole.capacity()), (10_000, 10_000));
        let stopped = take(&plain, Wanted::Text(9_999), &text).err();
        assert_eq!(stopped, Some(Stop::TooLarge(9_999)));

        let whole = take(&packed(), Wanted::Text(10_000), &gzip(&text)).unwrap();
        assert_eq!(whole.bytes, text);
        let stopped = take(&packed(), Wanted::Text(9_999), &gzip(&text)).err();
        assert_eq!(stopped, Some(Stop::TooLarge(9_999)));
        // Many packed bytes of nothing.
        let nothing = gzip(b"").repeat(1_000);
        let stopped = take(&packed(), Wanted::Text(9_999), &nothing).err();
        assert_eq!(stopped, Some(Stop::TooLarge(9_999)));
    }

    #[test]
    fn a_packed_body_that_broke_off_is_no_body() {
        let body = gzip(b"{\"a\": 1}");
        for broken in [&body[..body.len() - 1], &body[..12], b"{\"a\": 1}"] {
            let stopped = take(&packed(), Wanted::Text(1_000), broken).err();
            assert_eq!(stopped, Some(Stop::Broken));
        }
        let empty = take(&packed(), Wanted::Text(1_000), b"").unwrap();
        assert!(empty.bytes.is_empty());
    }

    #[test]
    fn of_what_is_too_large_the_beginning_is_kept() {
        let mut intake = Intake::new(&HeaderMap::new(), Wanted::Text(10), 1_000_000);
        intake.push(b"12345678").unwrap();
        assert_eq!(intake.push(b"12345678"), Err(Stop::TooLarge(10)));
        assert_eq!(intake.into_received().bytes, b"1234567812");
    }

    #[test]
    fn a_flag_is_found_in_any_amount_of_text_and_nowhere_else() {
        let fields =
            "{\"createable\":false,\"label\":\"a \\\"createable\\\":false\"},".repeat(2_000);
        let text = format!(
            "{{\"label\": \"createable\", \"fields\": [{fields}{{}}], \"createable\" : true, \"x\": 1}}"
        );
        for (headers, body) in [
            (HeaderMap::new(), text.clone().into_bytes()),
            (packed(), gzip(text.as_bytes())),
        ] {
            let read = take(&headers, Wanted::Flag("createable"), &body).unwrap();
            assert_eq!(read.flag, Some(true));
            assert_eq!(read.bytes.len(), MOST_OF_A_FAILURE);
        }
        for (text, found) in [
            ("{\"createable\":false}", Some(false)),
            ("{\"createable\":null}", None),
            ("{\"createable\":\"true\"}", None),
            ("{\"createable\":{\"x\":true}}", None),
            ("{\"createable2\":true}", None),
            ("{\"create\\u0061ble\":true}", None),
            ("{\"x\":\"createable\",\"y\":true}", None),
            ("{\"a\":{\"createable\":true}}", None),
            ("", None),
        ] {
            let mut scan = FlagScan::new("createable");
            text.bytes().for_each(|byte| scan.feed(&[byte]));
            assert_eq!(scan.found, found, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_flag_is_what_a_reader_of_json_says(text in "\\{(\"(c|x)\":(true|false|1|\"c\"|\\{\"c\":true\\}|\\[\"c\"\\]) ?,){0,3}\"c\" ?: ?(true|false)\\}") {
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut scan = FlagScan::new("c");
            scan.feed(text.as_bytes());
            // Of a field that comes twice the first counts here, and the last there.
            let twice = text.matches("\"c\":").count() + text.matches("\"c\" :").count() > 1;
            prop_assert!(twice || scan.found == json["c"].as_bool());
        }
    }
}
