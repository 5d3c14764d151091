//! Limits the rate of requests to hosts that recently did not respond. A thousand tenants notice at
//! the same moment that Salesforce is back, and must not overload it again. All requests to such
//! hosts together therefore start one after the other, a fixed time apart.
//!
//! A thousand tenants also need not each wait for the same timeout. If several requests in a row
//! got no response from a host, one request at a time tests whether it is back. The other callers
//! get the result of that request.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use url::Url;

use super::millis;
use crate::salesforce::answers::error::Error;

/// The time between the starts of two requests to hosts in trouble: five a second. Requests that
/// start evenly arrive in bunches, because the first request on a connection waits for its
/// handshake. At eight a second, a busy machine was observed to send twelve.
const MIN_SPACING: Duration = Duration::from_millis(200);
/// The time for which a host counts as troubled after it last did not respond.
const TROUBLE: Duration = Duration::from_secs(600);

/// After this many requests in a row without a response, a host is silent. Fewer are a short
/// network problem.
const SILENT: u32 = 5;
/// The time for which the result of the last request is valid for all callers.
const STALE: Duration = Duration::from_secs(10);
/// The time for which the others wait for the request that tests a silent host. Then another
/// request tests it too, because the known result is too old.
const ASKING: Duration = Duration::from_secs(60);

/// The result of a request.
pub(crate) enum Outcome {
    /// There was no response.
    Silence(Error),
    /// Salesforce's edge responded: the instance behind it does not respond.
    Edge,
    /// Any other response.
    Answer,
}

/// The hosts that recently did not respond, and the time at which the next request to any of them
/// may start.
#[derive(Default)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    troubled: HashMap<String, Trouble>,
    next: Option<Instant>,
}

/// A host that recently did not respond.
struct Trouble {
    /// The end of the time for which the host counts as troubled.
    until: Instant,
    /// The number of requests without a response since the last response.
    in_a_row: u32,
    /// The error of the last of these requests.
    silence: Option<Error>,
    /// Until this time, other callers get that error.
    told_until: Instant,
}

// === impl Pace ===

impl Pace {
    /// Whether the host recently did not respond.
    pub(crate) fn is_troubled(&self, url: &Url) -> bool {
        self.lock().is_troubled(&host(url), Instant::now())
    }

    /// Waits until a request to the host may start. It does not wait unless the host recently did
    /// not respond.
    pub(crate) async fn turn(&self, url: &Url) {
        let now = Instant::now();
        let begin = self.lock().turn(&host(url), now);
        if let Some(begin) = begin {
            let wait_ms = millis(begin.duration_since(now));
            if wait_ms > 0 {
                debug!(
                    host = url.host_str(),
                    wait_ms, "a host that lately did not answer is asked slowly"
                );
            }
            sleep_until(begin).await;
        }
    }

    /// The last error of a silent host. A caller that gets `None` sends a request on behalf of all
    /// callers.
    pub(crate) fn silence(&self, url: &Url) -> Option<Error> {
        self.lock().silence(&host(url), Instant::now())
    }

    /// Records the result of a request to the host.
    pub(crate) fn note(&self, url: &Url, heard: Outcome) {
        let now = Instant::now();
        match heard {
            Outcome::Silence(error) => self.lock().trouble(host(url), Some(error), now),
            Outcome::Edge => self.lock().trouble(host(url), None, now),
            Outcome::Answer => self.lock().answered(&host(url)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

// === impl State ===

impl State {
    fn is_troubled(&self, host: &str, now: Instant) -> bool {
        self.troubled
            .get(host)
            .is_some_and(|trouble| trouble.until > now)
    }

    fn turn(&mut self, host: &str, now: Instant) -> Option<Instant> {
        if !self.is_troubled(host, now) {
            return None;
        }
        let begin = self.next.map_or(now, |next| next.max(now));
        self.next = Some(begin + MIN_SPACING);
        Some(begin)
    }

    fn silence(&mut self, host: &str, now: Instant) -> Option<Error> {
        let trouble = self.troubled.get_mut(host)?;
        if trouble.in_a_row < SILENT {
            return None;
        }
        if now < trouble.told_until {
            return trouble.silence.clone();
        }
        trouble.told_until = now + ASKING;
        None
    }

    fn trouble(&mut self, host: String, silence: Option<Error>, now: Instant) {
        self.troubled.retain(|_, trouble| trouble.until > now);
        let in_a_row = match (&silence, self.troubled.get(&host)) {
            (Some(_), Some(before)) => before.in_a_row.saturating_add(1),
            (Some(_), None) => 1,
            (None, _) => 0,
        };
        let trouble = Trouble {
            until: now + TROUBLE,
            in_a_row,
            silence,
            told_until: now + STALE,
        };
        self.troubled.insert(host, trouble);
    }

    fn answered(&mut self, host: &str) {
        if let Some(trouble) = self.troubled.get_mut(host) {
            trouble.in_a_row = 0;
        }
    }
}

fn host(url: &Url) -> String {
    format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::answers::error::Phase;
    use crate::salesforce::answers::meaning::Meaning;

    #[test]
    fn only_hosts_that_did_not_answer_are_asked_slowly_and_not_for_ever() {
        let now = Instant::now();
        let mut state = State::default();
        state.trouble("bad".into(), None, now);
        state.trouble("worse".into(), Some(unreachable()), now);
        assert_eq!(state.turn("good", now), None);
        for number in 0..16 {
            let host = if number % 2 == 0 { "bad" } else { "worse" };
            assert_eq!(state.turn(host, now), Some(now + number * MIN_SPACING));
        }
        assert_eq!(state.turn("bad", now + TROUBLE), None);
    }

    fn unreachable() -> Error {
        Error::new(Meaning::Unreachable, Phase::Request, "it did not answer.")
    }

    #[test]
    fn of_a_host_that_answers_nobody_one_asks_and_the_others_are_told() {
        let now = Instant::now();
        let mut state = State::default();
        for _ in 0..SILENT {
            assert!(state.silence("host", now).is_none());
            state.trouble("host".into(), Some(unreachable()), now);
        }
        assert!(state.silence("host", now).is_some());
        assert!(state.silence("other", now).is_none());

        let later = now + STALE;
        assert!(state.silence("host", later).is_none(), "one asks");
        assert!(state.silence("host", later).is_some(), "and no other");
        state.trouble("host".into(), Some(unreachable()), later);
        assert!(state.silence("host", later).is_some());
        assert!(state.silence("host", later + STALE).is_none());
        assert!(
            state.silence("host", later + STALE + ASKING).is_none(),
            "who asked was never heard of again"
        );

        state.answered("host");
        assert!(state.silence("host", later).is_none(), "it is back");
        assert!(
            state.is_troubled("host", later),
            "and asked slowly for a while"
        );
    }

    #[test]
    fn a_network_that_hiccups_or_an_edge_that_answers_is_no_silence() {
        let now = Instant::now();
        let mut state = State::default();
        for _ in 0..3 * SILENT {
            state.trouble("hiccup".into(), Some(unreachable()), now);
            state.answered("hiccup");
            state.trouble("edge".into(), None, now);
        }
        assert!(state.silence("hiccup", now).is_none());
        assert!(state.silence("edge", now).is_none());
    }
}
