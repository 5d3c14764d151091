//! Limits how many requests are under way to each host. A thousand tenants notice at the same
//! moment that Salesforce is back, and must not overload it again: the number begins small and
//! grows with the answers ([`Host`]), so that recovery is a slope.
//!
//! A thousand tenants also need not each wait for the same timeout. If several requests in a row
//! got no response from a host, one request at a time tests whether it is back. The other callers
//! get the result of that request.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use super::millis;
use super::paced_host::{Host, Outcome};
use crate::salesforce::answers::error::Error;

/// The hosts that are asked, or were lately.
#[derive(Clone, Default)]
pub(crate) struct Pace(Arc<Mutex<HashMap<String, Queue>>>);

/// A host, and who waits for it, in order.
struct Queue {
    host: Host,
    waiting: VecDeque<oneshot::Sender<Result<Turn, Error>>>,
}

/// The right to have one request under way to a host. It ends with [`ended`](Self::ended), or when
/// it is dropped.
pub(crate) struct Turn {
    pace: Pace,
    host: String,
    began: Instant,
    is_over: bool,
}

// === impl Pace ===

impl Pace {
    /// Whether a request to the host may wait for long: the last one got no response, or others
    /// wait already.
    pub(crate) fn is_troubled(&self, url: &Url) -> bool {
        let hosts = self.0.lock();
        hosts.get(&name(url)).is_some_and(Queue::is_troubled)
    }

    /// The last error of a silent host. A caller that gets `None` sends a request on behalf of all
    /// callers.
    pub(crate) fn silence(&self, url: &Url) -> Option<Error> {
        let mut hosts = self.0.lock();
        hosts.get_mut(&name(url))?.host.silence(Instant::now())
    }

    /// The number of hosts that are remembered.
    #[cfg(test)]
    pub(crate) fn hosts(&self) -> usize {
        self.0.lock().len()
    }

    /// Waits until a request to the host may start. Those who wait get an error as soon as the host
    /// is silent: another one asks it.
    pub(crate) async fn turn(&self, url: &Url) -> Result<Turn, Error> {
        let host = name(url);
        let began = Instant::now();
        let waiting = {
            let mut hosts = self.0.lock();
            if !hosts.contains_key(&host) {
                hosts.retain(|_, queue| !queue.is_forgotten(began));
            }
            let queue = hosts
                .entry(host.clone())
                .or_insert_with(|| Queue::new(began));
            let may_begin = queue.waiting.is_empty() && queue.host.begin(began);
            match (may_begin, queue.host.silence_for_waiting()) {
                (true, _) => None,
                (false, Some(silence)) => return Err(silence),
                (false, None) => {
                    let (sender, receiver) = oneshot::channel();
                    queue.waiting.push_back(sender);
                    Some(receiver)
                }
            }
        };
        let Some(waiting) = waiting else {
            return Ok(self.begun(host, began));
        };
        // The sender is dropped with the queue only, which stays while somebody waits. If it were
        // gone nobody would be under way.
        let turn = match waiting.await {
            Ok(turn) => turn?,
            Err(_) => self.begun(host, Instant::now()),
        };
        let wait_ms = millis(began.elapsed());
        debug!(
            host = url.host_str(),
            wait_ms, "a request waited for others to the same host"
        );
        Ok(turn)
    }

    fn begun(&self, host: String, began: Instant) -> Turn {
        Turn {
            pace: self.clone(),
            host,
            began,
            is_over: false,
        }
    }

    /// Ends a request, and lets those begin that may now.
    fn end(&self, host: &str, began: Instant, outcome: Outcome) {
        let now = Instant::now();
        // What nobody takes is dropped after the lock, because that takes the lock again.
        let mut not_taken = Vec::new();
        let mut hosts = self.0.lock();
        let Some(queue) = hosts.get_mut(host) else {
            return;
        };
        queue.host.end(began, outcome, now);
        queue.waiting.retain(|waiting| !waiting.is_closed());
        while !queue.waiting.is_empty() && queue.host.begin(now) {
            let turn = self.begun(host.to_owned(), now);
            if let Some(first) = queue.waiting.pop_front()
                && let Err(turn) = first.send(Ok(turn))
            {
                not_taken.push(turn);
            }
        }
        if let Some(silence) = queue.host.silence_for_waiting() {
            for waiting in queue.waiting.drain(..) {
                // Who is gone needs no answer.
                let _gone = waiting.send(Err(silence.clone()));
            }
        }
        drop(hosts);
        drop(not_taken);
    }
}

// === impl Queue ===

impl Queue {
    fn new(now: Instant) -> Self {
        Self {
            host: Host::new(now),
            waiting: VecDeque::new(),
        }
    }

    fn is_troubled(&self) -> bool {
        self.host.is_troubled() || (self.host.is_slow() && !self.waiting.is_empty())
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.host.is_forgotten(now)
    }
}

// === impl Turn ===

impl Turn {
    /// The request has this result.
    pub(crate) fn ended(mut self, outcome: Outcome) {
        self.is_over = true;
        self.pace.end(&self.host, self.began, outcome);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.pace.end(&self.host, self.began, Outcome::Abandoned);
        }
    }
}

fn name(url: &Url) -> String {
    format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    )
}
