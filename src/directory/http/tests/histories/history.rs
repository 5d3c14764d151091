//! What clients saw of a directory: each request with its begin, its end and its answer. Pure data.

use std::time::Duration;

/// One request of a client, by the clock of the recorder: no clock of a replica counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Who asked, and which replica.
    pub(super) client: String,
    /// When the request was begun, since the recording began. Nothing of it happened before.
    pub(super) from: Duration,
    /// When the answer was there, or the client gave up.
    pub(super) to: Duration,
    /// Whether a success was answered. Otherwise nobody knows whether and when it happens: it may
    /// have been done before the answer was lost, and may still be done after the client gave up.
    pub(super) answered: bool,
    pub(super) deed: Deed,
}

/// What was asked, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// A webhook with calls, by their IDs.
    Delivered { calls: Vec<String> },
    /// Calls were handed out. Recorded only with its answer.
    Claimed {
        holder: String,
        lasts: Duration,
        calls: Vec<Handed>,
    },
    /// A name was written, or another one was kept. Versions of a name count up in the org.
    Wrote {
        holder: String,
        number: String,
        version: u32,
        kept: bool,
    },
    /// Calls were marked done, with the same reading of their number.
    Finished {
        holder: String,
        calls: Vec<String>,
        reading: String,
    },
    /// A holder gave back what it had.
    Released { holder: String },
    /// The whole call history was read. Recorded only with its answer.
    ReadHistory { calls: Vec<Seen> },
    /// The name of one number was read. Recorded only with its answer.
    ReadName {
        number: String,
        version: Option<u32>,
    },
}

/// A call that was handed out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handed {
    pub(super) id: String,
    pub(super) number: String,
}

/// A call of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) number: String,
    pub(super) done: bool,
    /// The version of the name that stands beside it.
    pub(super) version: Option<u32>,
}

// === impl Event ===

impl Event {
    /// Whether all of this was over before the other one began.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.to <= other.from
    }

    /// Whether it may have been done between the begin of one request and the end of another.
    pub(super) fn may_fall_into(&self, begin: &Self, end: &Self) -> bool {
        self.from < end.to && (!self.answered || begin.from < self.to)
    }
}
