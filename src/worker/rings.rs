//! Answers calls that ring: asks one composite request for exactly their numbers, and the search
//! index for those that it did not find. Nothing is followed, and no other number is asked.

use std::collections::HashSet;

use jiff::Timestamp;
use tracing::{info, warn};

use super::failure::Failure;
use super::run::{Ended, Progress, Run, not_stopped};
use super::todo::Todo;
use crate::directory::model::rings::{ClaimRingsRequest, NotAsked, SettleRingsRequest};
use crate::error::Chain;
use crate::phone::E164;
use crate::resolve::{ResolveError, Resolver};
use crate::run::RunReport;
use crate::salesforce::{Meaning, Retry};
use crate::shutdown::Shutdown;

/// Rings that are taken at once: the maximum of the directory.
const RINGS_AT_ONCE: u32 = 200;
/// Duration of a lease, in seconds. Whoever rang has hung up by then.
const CLAIM_SECONDS: u32 = 15;

impl Run {
    /// Answers all calls of the company that ring. Those that cannot be asked are settled with the
    /// reason.
    pub(crate) async fn answer_rings(self, shutdown: &Shutdown) -> Ended {
        let mut report = RunReport::begin(self.kind, Timestamp::now());
        let mut progress = Progress::new(&mut report);
        let stopped_late = async {
            shutdown.requested().await;
            tokio::time::sleep(self.bounds.stop_within).await;
        };
        let result = tokio::select! {
            biased;
            answered = self.answer(&mut progress, shutdown) => answered,
            () = stopped_late => Err(Failure::Interrupted),
        };
        let lacks_session = result.as_ref().is_err_and(Failure::lacks_session);
        self.ended(report, result.err(), None, lacks_session)
    }

    async fn answer(
        &self,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let mut resolver = None;
        loop {
            not_stopped(shutdown)?;
            let claim = ClaimRingsRequest {
                holder: self.holder.clone(),
                limit: RINGS_AT_ONCE,
                claim_for: CLAIM_SECONDS,
            };
            let claimed = self.directory.claim_rings(&claim).await?.rings;
            let mut todo = Todo::default();
            let mut known = HashSet::new();
            for ring in claimed {
                // One that comes back although it was answered would keep this from ending.
                if progress.resolved.contains(&ring.number) || !known.insert(ring.number.clone()) {
                    continue;
                }
                if ring.missed {
                    todo.missed.insert(ring.number.clone());
                }
                todo.numbers.push(ring.number);
            }
            if todo.numbers.is_empty() {
                return Ok(());
            }
            let asked = self.ask_rings(&todo, &mut resolver, progress, shutdown);
            if let Err(failure) = asked.await {
                let open = todo.numbers.iter();
                let open = open.filter(|number| !progress.resolved.contains(*number));
                // Who waits for a session is answered when it is there.
                if !failure.lacks_session() {
                    self.settle(open.cloned().collect(), not_asked(&failure))
                        .await;
                }
                return Err(failure);
            }
        }
    }

    async fn ask_rings(
        &self,
        todo: &Todo,
        resolver: &mut Option<Resolver>,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let resolver = match resolver {
            Some(resolver) => resolver,
            none => none.insert(self.log_in().await?),
        };
        let asked = self.ask(&todo.numbers, false, todo, resolver, progress, shutdown);
        let asked = match asked.await {
            Ok(()) => self.ask_again(todo, resolver, progress).await,
            stopped => stopped,
        };
        if let Err(ends) = &asked {
            self.keep_unknown(ends, todo, progress).await;
        }
        asked
    }

    /// Says why these were not asked. It is no reason to fail: their lease ends by itself.
    async fn settle(&self, numbers: Vec<E164>, why: NotAsked) {
        if numbers.is_empty() {
            return;
        }
        let request = SettleRingsRequest {
            holder: self.holder.clone(),
            numbers,
            why,
        };
        match self.directory.settle_rings(&request).await {
            Ok(receipt) => info!(rings = receipt.settled, ?why, "rings were not asked"),
            Err(error) => warn!(error = %Chain(&error), "rings could not be settled"),
        }
    }
}

/// The word for who waits.
fn not_asked(failure: &Failure) -> NotAsked {
    match failure {
        Failure::Resolve(ResolveError::BudgetExhausted(_)) => NotAsked::BudgetExhausted,
        Failure::Resolve(ResolveError::Salesforce(error)) => match error.meaning() {
            Meaning::LoginWithheld => NotAsked::Withheld,
            meaning if meaning.retry() == Retry::Later => NotAsked::Unreachable,
            _ => NotAsked::Failed,
        },
        _ => NotAsked::Failed,
    }
}
