//! How many requests may be under way to one host. It is what TCP does for a network: the number
//! grows with answers, and is halved when no answer comes.

use tokio::time::{Duration, Instant};

use crate::salesforce::answers::error::Error;

/// The maximum number of requests under way to one host, and of connections that are kept to it.
pub(crate) const MOST_AT_ONCE: usize = 64;
/// With how many a host begins: a server that is slow to accept connections is not met by all of
/// them at once, and a quick one has the maximum after four answers in a row.
const AT_FIRST: f64 = 4.0;
/// After this many requests in a row without a response, a host is silent. Fewer are a short
/// network problem.
pub(super) const SILENT: u32 = 5;
/// The time for which the result of the last request is valid for all callers.
pub(super) const STALE: Duration = Duration::from_secs(10);
/// The time for which the others wait for the request that tests a silent host. Then another
/// request tests it too, because the known result is too old.
pub(super) const ASKING: Duration = Duration::from_secs(60);
/// For how long a host is remembered that nobody asks.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The result of a request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// There was no response.
    Silence(Error),
    /// Salesforce's edge responded: the instance behind it does not respond.
    Edge,
    /// Any other response.
    Answer,
    /// The caller gave up. It says nothing about the host.
    Abandoned,
}

/// What is known of a host.
#[derive(Debug)]
pub(super) struct Host {
    /// The number of requests that may be under way; its fraction grows to the next one.
    limit: f64,
    /// Up to this number it grows by one with each answer, then by one with each round of them. It
    /// is never below that of the beginning.
    steep_until: f64,
    under_way: usize,
    /// When the number was last made smaller.
    cut_at: Option<Instant>,
    used_at: Instant,
    /// The number of requests without a response since the last response.
    in_a_row: u32,
    /// The error of the last of these requests.
    silence: Option<Error>,
    /// Until this time, other callers get that error.
    told_until: Instant,
}

// === impl Host ===

impl Host {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            limit: AT_FIRST,
            steep_until: MOST_AT_ONCE as f64,
            under_way: 0,
            cut_at: None,
            used_at: now,
            in_a_row: 0,
            silence: None,
            told_until: now,
        }
    }

    /// Whether the last request got no response.
    pub(super) fn is_troubled(&self) -> bool {
        self.in_a_row > 0
    }

    /// Whether fewer requests may be under way than at the beginning.
    pub(super) fn is_slow(&self) -> bool {
        self.limit < AT_FIRST
    }

    /// Whether nobody misses the host when it is forgotten.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.under_way == 0 && now.duration_since(self.used_at) > REMEMBERED
    }

    /// Begins a request if one more may be under way.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        // The limit is at least one, and small.
        let may = self.under_way < self.limit as usize;
        if may {
            self.under_way += 1;
            self.used_at = now;
        }
        may
    }

    /// A request ended that began at `began`.
    pub(super) fn end(&mut self, began: Instant, outcome: Outcome, now: Instant) {
        let is_full = self.under_way >= self.limit as usize;
        self.under_way = self.under_way.saturating_sub(1);
        self.used_at = now;
        match outcome {
            Outcome::Abandoned => {}
            Outcome::Answer => {
                self.in_a_row = 0;
                self.silence = None;
                // A number that is not used up says nothing about what the host can carry.
                if is_full {
                    let step = match self.limit < self.steep_until {
                        true => 1.0,
                        false => 1.0 / self.limit,
                    };
                    self.limit = (self.limit + step).min(MOST_AT_ONCE as f64);
                }
            }
            Outcome::Edge => {
                self.cut(began, now);
                self.in_a_row = 0;
                self.silence = None;
            }
            Outcome::Silence(error) => {
                self.cut(began, now);
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.silence = Some(error);
                self.told_until = now + STALE;
                if self.in_a_row >= SILENT {
                    self.limit = 1.0;
                }
            }
        }
    }

    /// The last error of a silent host. A caller that gets `None` sends a request on behalf of all
    /// callers.
    pub(super) fn silence(&mut self, now: Instant) -> Option<Error> {
        let silence = self.last_silence()?;
        if now < self.told_until {
            return Some(silence);
        }
        self.told_until = now + ASKING;
        None
    }

    /// The last error of a silent host that somebody asks already.
    pub(super) fn silence_for_waiting(&self) -> Option<Error> {
        self.last_silence().filter(|_| self.under_way > 0)
    }

    fn last_silence(&self) -> Option<Error> {
        self.silence.clone().filter(|_| self.in_a_row >= SILENT)
    }

    /// Requests that were under way together fail together: they are one reason to be slower.
    fn cut(&mut self, began: Instant, now: Instant) {
        if self.cut_at.is_some_and(|cut_at| began < cut_at) {
            return;
        }
        let half = (self.limit / 2.0).max(1.0);
        // What an outage leaves of the number says nothing about what the host can carry later.
        if self.in_a_row == 0 {
            self.steep_until = half.max(AT_FIRST);
        }
        self.limit = half;
        self.cut_at = Some(now);
    }
}
