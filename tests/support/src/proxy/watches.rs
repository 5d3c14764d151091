//! The streams of watches, which may be stopped and ended.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use reqwest::Response;
use tokio::sync::{mpsc, watch};

use super::{Shared, fate};

/// What watches tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Of what they tell nothing.
    pub frozen: Frozen,
    /// Watches from before end with 410 when it grows.
    pub epoch: u64,
}

/// The kinds whose watches tell nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Frozen {
    #[default]
    Nothing,
    /// One kind, by its plural.
    Kind(&'static str),
    Everything,
}

// === impl Frozen ===

impl Frozen {
    fn holds(&self, resource: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Kind(kind) => *kind == resource,
            Self::Everything => true,
        }
    }
}

/// The lines of a watch, as far as they are told.
pub(super) fn told(
    shared: &Arc<Shared>,
    resource: String,
    upstream: Response,
) -> impl Stream<Item = Bytes> + Send + use<> {
    let (sender, lines) = mpsc::channel(1);
    tokio::spawn(tell(shared.sight.subscribe(), resource, upstream, sender));
    futures::stream::unfold(lines, async |mut lines| Some((lines.recv().await?, lines)))
}

async fn tell(
    mut sight: watch::Receiver<Sight>,
    resource: String,
    mut upstream: Response,
    lines: mpsc::Sender<Bytes>,
) {
    let epoch = sight.borrow_and_update().epoch;
    let mut begun = BytesMut::new();
    loop {
        let now = sight.borrow_and_update().clone();
        if now.epoch != epoch {
            let _ = lines.send(fate::expired()).await; // the program may be gone
            return;
        }
        let chunk = tokio::select! {
            () = lines.closed() => return,
            changed = sight.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            chunk = upstream.chunk(), if !now.frozen.holds(&resource) => chunk,
        };
        let Ok(Some(chunk)) = chunk else {
            return;
        };
        begun.extend_from_slice(&chunk);
        let Some(end) = begun.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        let whole = begun.split_to(end + 1).freeze();
        if lines.send(whole).await.is_err() {
            return;
        }
    }
}
