//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A token that is cancelled by SIGTERM (which a kubelet sends) or SIGINT. A second signal ends the
/// process at once, as it would without us.
pub(crate) fn on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let signals = signal(SignalKind::terminate())
        .and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    match signals {
        Ok((mut term, mut interrupt)) => {
            tokio::spawn(async move {
                for last in [false, true] {
                    tokio::select! {
                        _ = term.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                    if last {
                        // 128 + SIGTERM, what a shell reports of a process that it ended.
                        std::process::exit(143);
                    }
                    info!("told to stop: the request in flight is finished, the rest handed back");
                    told.cancel();
                }
            });
        }
        Err(error) => warn!(%error, "signals are not watched: the run cannot be stopped softly"),
    }
    stop
}
