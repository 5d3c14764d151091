//! Requests to stop: one token for every role, cancelled by SIGTERM (which a kubelet sends) or
//! SIGINT (Ctrl-C).
//!
//! The first signal requests an orderly end, which each role defines for itself. The second one
//! ends the process, with the same exit code whatever it was doing.

use std::io;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// Whether, and how urgently, this process must stop. Clones share this state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    requested: CancellationToken,
    aborted: CancellationToken,
}

/// The work was not done, because a stop was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("told to stop before it was done")]
pub struct Stopped;

// === impl Shutdown ===

impl Shutdown {
    /// A `Shutdown` without signal handlers: only its methods request an end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches the signals of this process. After the second signal the process has `grace` left
    /// for what it must still write.
    ///
    /// A separate thread watches them, so that a process that is stuck in its work can be ended,
    /// too.
    ///
    /// # Errors
    /// When the system can provide no thread or no signal handler.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let shutdown = Self::new();
        let watcher = shutdown.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        // From here on no signal ends the process by itself.
        let signals = Signals::new()?;
        drop(inside);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(watcher.watch(signals, grace)))?;
        Ok(shutdown)
    }

    /// The token that is cancelled when an orderly end is requested.
    pub fn token(&self) -> &CancellationToken {
        &self.requested
    }

    /// Requests an orderly end, as the first signal does.
    pub fn stop(&self) {
        self.requested.cancel();
    }

    /// Requests an immediate end, as the second signal does.
    pub fn abort(&self) {
        self.requested.cancel();
        self.aborted.cancel();
    }

    /// Whether an end was requested, orderly or immediate.
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Waits until an end is requested, orderly or immediate.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Waits until an immediate end is requested. Time is then left for a last write, and for
    /// nothing else.
    pub async fn aborted(&self) {
        self.aborted.cancelled().await;
    }

    /// Runs the work. Fails when an end is requested before the work is done.
    pub async fn unless_requested<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        self.requested
            .run_until_cancelled(work)
            .await
            .ok_or(Stopped)
    }

    async fn watch(self, mut signals: Signals, grace: Duration) {
        signals.next().await;
        tracing::info!("told to stop; a second signal ends this process at once");
        self.stop();
        signals.next().await;
        self.abort();
        // A third signal ends the grace period, too.
        let _ = tokio::time::timeout(grace, signals.next()).await;
        std::process::exit(Exit::Interrupted.code().into());
    }
}

/// The two signals that ask a process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

// === impl Signals ===

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal of either kind.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_is_told_and_work_ends_where_it_waits() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.unless_requested(async { 1 }).await, Ok(1));
        let role = shutdown.clone();
        let waiting = tokio::spawn(async move {
            let work = role.unless_requested(std::future::pending::<()>()).await;
            (work, role.is_requested())
        });
        shutdown.stop();
        assert_eq!(waiting.await.unwrap(), (Err(Stopped), true));
        let again = shutdown.clone();
        let again = tokio::spawn(async move { again.aborted().await });
        assert!(!again.is_finished());
        shutdown.abort();
        let soon = Duration::from_secs(30);
        tokio::time::timeout(soon, again).await.unwrap().unwrap();
    }
}
