//! The stream of the directory that says which companies have something that waits. It only wakes:
//! what waits is in the directory's store, so nothing is lost while no stream is there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::queue::Task;
use crate::api::now;
use crate::controller::context::Context;
use crate::decide::resident::Work;
use crate::directory::client::{WaitingEvent, WaitingStream};
use crate::directory::model::waiting::WaitingQuery;
use crate::directory::{Client, ClientError, OperatorClaims, TokenError};
use crate::error::Chain;

/// How long the token of a stream is good. The directory ends the stream with it.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);
/// The first pause after a directory that could not be reached; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
enum NoStream {
    #[error("the token for the directory could not be made")]
    Token(#[from] TokenError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Tells of each company that waits, until it is dropped.
pub(super) async fn follow(context: &Context, wakes: &mpsc::UnboundedSender<Task>) {
    let mut after = None;
    let mut failures = 0;
    loop {
        let pause = match open(context, after.clone()).await {
            Ok(mut stream) => {
                if failures > 0 {
                    info!("the directory says again who waits");
                }
                failures = 0;
                *context.waiting_followed.lock() = Some(true);
                tell(&mut stream, wakes).await;
                after = stream.position().map(str::to_owned).or(after);
                stream.retry()
            }
            Err(error) => {
                // One line for an outage, however often it is tried.
                if failures == 0 {
                    warn!(error = %Chain(&error), "the directory does not say who waits; it is tried again");
                }
                failures += 1;
                *context.waiting_followed.lock() = Some(false);
                pause(failures, rand::random())
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn open(context: &Context, after: Option<String>) -> Result<WaitingStream, NoStream> {
    let issued_at = now();
    let claims = OperatorClaims {
        issued_at,
        expires_at: issued_at.checked_add(GOOD_FOR).unwrap_or(Timestamp::MAX),
    };
    let token = context.token_keys.mint_operator(&claims)?;
    let http = context.directory_trust.http()?;
    let client = Client::with_http(http, context.config.directory_url.as_str(), token)?;
    let query = WaitingQuery {
        after,
        shard: (!context.shard.is_whole()).then_some(context.shard),
    };
    Ok(client.waiting(&query).await?)
}

/// Tells what the stream says until it ends.
async fn tell(stream: &mut WaitingStream, wakes: &mpsc::UnboundedSender<Task>) {
    loop {
        let waits = match stream.next().await {
            Ok(Some(WaitingEvent::Waits(waits))) => waits,
            Ok(Some(WaitingEvent::CaughtUp)) => continue,
            Ok(None) => return,
            Err(error) => {
                debug!(error = %Chain(&error), "the stream of who waits broke off");
                return;
            }
        };
        let kinds = [(waits.rings, Work::Rings), (waits.calls, Work::Calls)];
        for (_, work) in kinds.into_iter().filter(|(waits, _)| *waits) {
            // The receiver goes with this task.
            let _ = wakes.send((waits.company_id.clone(), work));
        }
    }
}

/// The pause after so many failures in a row; `random` is in 0..1.
fn pause(failures: u32, random: f64) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10));
    full.min(LONGEST_PAUSE).mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_away_is_tried_at_growing_pauses_and_not_by_all_at_once() {
        assert_eq!(pause(1, 0.0), FIRST_PAUSE / 2);
        assert_eq!(pause(3, 1.0), FIRST_PAUSE * 4);
        assert_eq!(pause(40, 1.0), LONGEST_PAUSE);
    }
}
