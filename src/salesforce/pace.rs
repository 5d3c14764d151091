//! How fast hosts are asked that lately did not answer. A thousand tenants notice at the same moment that Salesforce is back, and
//! must not be what takes it down again: all requests to such hosts together begin one after the other, a fixed time apart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use url::Url;

use super::error::Error;
use super::meaning::Meaning;
use super::transport::Incoming;

/// Between the beginnings of two requests to hosts in trouble: five a second. What begins evenly arrives in bunches, because the
/// first request on a connection waits for its handshake; at eight a second a busy machine was seen to send twelve.
const APART: Duration = Duration::from_millis(200);
/// For how long a host counts as troubled after it last did not answer.
const TROUBLE: Duration = Duration::from_secs(600);

/// Which hosts lately did not answer, and when the next of them may be asked.
#[derive(Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    troubled: HashMap<String, Instant>,
    next: Option<Instant>,
}

// === impl Pace ===

impl Pace {
    /// Whether the host lately did not answer.
    pub(super) fn is_troubled(&self, url: &Url) -> bool {
        self.lock().is_troubled(&host(url), Instant::now())
    }

    /// Waits until a request to the host may begin: at once, unless it lately did not answer.
    pub(super) async fn turn(&self, url: &Url) {
        let begin = self.lock().turn(&host(url), Instant::now());
        if let Some(begin) = begin {
            sleep_until(begin).await;
        }
    }

    /// Takes note of how a request to the host ended.
    pub(super) fn note(&self, url: &Url, outcome: &Result<Incoming, Error>) {
        let troubled = match outcome {
            Err(error) => error.meaning() == Meaning::Unreachable,
            // What Salesforce's edge says while an instance does not answer (facts 2.9).
            Ok(incoming) => matches!(incoming.status, 420 | 502 | 503 | 504),
        };
        if troubled {
            self.lock().trouble(host(url), Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn is_troubled(&self, host: &str, now: Instant) -> bool {
        self.troubled.get(host).is_some_and(|until| *until > now)
    }

    fn turn(&mut self, host: &str, now: Instant) -> Option<Instant> {
        if !self.is_troubled(host, now) {
            return None;
        }
        let begin = self.next.map_or(now, |next| next.max(now));
        self.next = Some(begin + APART);
        Some(begin)
    }

    fn trouble(&mut self, host: String, now: Instant) {
        self.troubled.retain(|_, until| *until > now);
        self.troubled.insert(host, now + TROUBLE);
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

    #[test]
    fn only_hosts_that_did_not_answer_are_asked_slowly_and_not_for_ever() {
        let now = Instant::now();
        let mut state = State::default();
        state.trouble("bad".into(), now);
        state.trouble("worse".into(), now);
        assert_eq!(state.turn("good", now), None);
        for number in 0..16 {
            let host = if number % 2 == 0 { "bad" } else { "worse" };
            assert_eq!(state.turn(host, now), Some(now + number * APART));
        }
        assert_eq!(state.turn("bad", now + TROUBLE), None);
    }
}
