//! A body that is handed on while it arrives. What is kept of it at a time is a few megabytes,
//! however large it is and however well it is packed.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{StreamExt, try_unfold};
use tokio::time::{Instant, timeout};

use super::HttpLimits;
use super::body::{Intake, Stop};
use super::failure::{broken, broken_off, stopped, too_large, unfinished};
use crate::salesforce::answers::Flow;
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::text::Redactor;

/// How much is unpacked at a time, in bytes. Gzip packs a thousand zeros into one.
const PORTION: usize = 2 << 10;

/// Where a body comes from, for its errors.
pub(super) struct Source {
    pub(super) host: String,
    pub(super) phase: Phase,
    pub(super) status: u16,
    pub(super) redactor: Redactor,
}

struct Receiving {
    response: reqwest::Response,
    intake: Intake,
    limits: HttpLimits,
    source: Source,
    /// What has arrived and is not unpacked yet.
    packed: Bytes,
    /// How long bytes were waited for. The time of those who use them does not count.
    waited: Duration,
    is_ended: bool,
}

/// The rest of a response as a stream.
pub(super) fn flow(
    response: reqwest::Response,
    intake: Intake,
    limits: HttpLimits,
    source: Source,
) -> Flow {
    let receiving = Receiving {
        response,
        intake,
        limits,
        source,
        packed: Bytes::new(),
        waited: Duration::ZERO,
        is_ended: false,
    };
    let chunks = try_unfold(receiving, |mut receiving| async move {
        match receiving.next().await {
            Ok(chunk) => Ok(chunk.map(|chunk| (chunk, receiving))),
            Err(error) => Err(error
                .with_status(receiving.source.status)
                .redacted(&receiving.source.redactor)),
        }
    });
    chunks.boxed()
}

impl Receiving {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.packed.is_empty() {
                if self.is_ended {
                    return Ok(None);
                }
                match self.receive().await? {
                    Some(chunk) => self.packed = chunk,
                    None => {
                        self.is_ended = true;
                        self.intake.finish().map_err(|stop| self.refuse(stop))?;
                    }
                }
            }
            let portion = self.packed.split_to(self.packed.len().min(PORTION));
            if !portion.is_empty() {
                self.intake
                    .push(&portion)
                    .map_err(|stop| self.refuse(stop))?;
            }
            let bytes = self.intake.drain();
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Error> {
        let Source { host, phase, .. } = &self.source;
        let HttpLimits {
            total,
            between_bytes,
            ..
        } = self.limits;
        let left = total.saturating_sub(self.waited);
        let patience = between_bytes.min(left);
        let began = Instant::now();
        let chunk = timeout(patience, self.response.chunk()).await;
        self.waited += began.elapsed();
        chunk
            .map_err(|_| match left < between_bytes {
                true => unfinished(host, total, *phase),
                false => stopped(host, between_bytes, *phase),
            })?
            .map_err(|error| broken(&error, host, *phase))
    }

    fn refuse(&self, stop: Stop) -> Error {
        let Source { host, phase, .. } = &self.source;
        match stop {
            Stop::TooLarge(most) => too_large(host, most, *phase),
            Stop::Broken => broken_off(host, *phase),
        }
    }
}
