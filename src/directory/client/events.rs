//! Reads a `text/event-stream`, in pieces of any size (HTML standard, 9.2.6).

use std::time::Duration;

/// The longest line, and the most bytes of an event's data. The events of the directory have less
/// than 200.
const MAX_BYTES: usize = 16 * 1024;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// What kind of event; empty where the stream did not say.
    pub(crate) kind: String,
    /// Its data.
    pub(crate) data: String,
}

/// Reads events from pieces of a stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, behind which a line feed belongs to it.
    after_return: bool,
    event: Event,
    has_data: bool,
    /// The position that the next event brings.
    next_id: Option<String>,
    /// The position of the last event.
    id: Option<String>,
    retry: Option<Duration>,
}

/// The stream is none of events: a line or an event has no end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an event of the stream is larger than 16 KiB")]
pub(crate) struct Endless;

// === impl Reader ===

impl Reader {
    /// A stream that goes on from a position.
    pub(crate) fn after(position: Option<&str>) -> Self {
        Self {
            next_id: position.map(str::to_owned),
            id: position.map(str::to_owned),
            ..Self::default()
        }
    }

    /// The position of the last event that was handed out.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The pause before the next connection, as the stream asked for it.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Reads bytes up to the next event. Returns it, and how many bytes were read.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(Option<Event>, usize), Endless> {
        for (at, byte) in bytes.iter().enumerate() {
            let is_feed = *byte == b'\n';
            let ends_twice = std::mem::take(&mut self.after_return) && is_feed;
            if ends_twice {
                continue;
            }
            if !is_feed && *byte != b'\r' {
                if self.line.len() >= MAX_BYTES {
                    return Err(Endless);
                }
                self.line.push(*byte);
                continue;
            }
            self.after_return = !is_feed;
            let line = std::mem::take(&mut self.line);
            if let Some(event) = self.line_ended(&String::from_utf8_lossy(&line))? {
                return Ok((Some(event), at + 1));
            }
        }
        Ok((None, bytes.len()))
    }

    fn line_ended(&mut self, line: &str) -> Result<Option<Event>, Endless> {
        if line.is_empty() {
            self.id.clone_from(&self.next_id);
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.kind),
            "data" => {
                if self.event.data.len() + value.len() > MAX_BYTES {
                    return Err(Endless);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.next_id = Some(value.to_owned()),
            "retry" => {
                let pause = value.parse().ok().map(Duration::from_millis);
                self.retry = pause.or(self.retry);
            }
            // A comment, or a field of a later version.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = "retry: 1500\n\nevent: waiting\ndata: {\"a\":1}\n\n: beat\n\nid: x.7\nevent: waiting\r\n\
         data: one\rdata:two\r\n\r\nnonsense\nid: x.8\n\ndata\n\nevent: half";

    fn all(pieces: &[&[u8]]) -> (Vec<(Event, Option<String>)>, Reader) {
        let (mut reader, mut events) = (Reader::default(), vec![]);
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let (event, read) = reader.read(piece).unwrap();
                piece = &piece[read..];
                events.extend(event.map(|event| (event, reader.id().map(str::to_owned))));
            }
        }
        (events, reader)
    }

    #[test]
    fn events_are_read_with_their_positions() {
        let event = |kind: &str, data: &str| Event {
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        let (events, reader) = all(&[STREAM.as_bytes()]);
        assert_eq!(
            events,
            [
                (event("waiting", "{\"a\":1}"), None),
                (event("waiting", "one\ntwo"), Some("x.7".to_owned())),
                (event("", ""), Some("x.8".to_owned())),
            ]
        );
        assert_eq!(reader.retry(), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn a_stream_without_an_end_of_line_is_refused() {
        let mut reader = Reader::default();
        let endless = vec![b'x'; MAX_BYTES + 1];
        assert_eq!(reader.read(&endless), Err(Endless));
        let mut reader = Reader::default();
        let lines = "data: 0123456789\n".repeat(MAX_BYTES / 10 + 1);
        assert_eq!(reader.read(lines.as_bytes()), Err(Endless));
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_it_comes_make_no_difference(cuts in prop::collection::vec(0..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let bytes = STREAM.as_bytes();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(all(&pieces).0, all(&[bytes]).0);
        }
    }
}
