//! Runs blocking work outside of the runtime.

/// Runs work that may wait for standard input or a slow disk in a thread of its own, so that a
/// signal can end the process meanwhile.
pub(crate) async fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the end of the runtime cancels the task, and then nobody waits here.
            Err(_) => std::future::pending().await,
        },
    }
}
