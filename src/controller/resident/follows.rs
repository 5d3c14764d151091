//! When changes are asked for where nobody calls. A run after calls asks for them, too.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::queue::Task;
use crate::api::{SalesforceIntegration, Settings, now};
use crate::company_id::CompanyId;
use crate::controller::context::Context;
use crate::controller::memory::key::Key;
use crate::decide::resident::{self, Work};
use crate::decide::rules::schedule::stable_hash;

/// How often it is looked whose time has come.
const EVERY: Duration = Duration::from_secs(15);
/// When an integration that follows nothing is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Those whose time came while no controller led are spread over the interval of their questions,
/// and over so many seconds at least. Each of them needs a log-in, and the status may tell of a
/// question that was asked an hour before the last one.
const SPREAD_SECONDS: u64 = 300;

/// When changes are asked for next, for each integration.
#[derive(Debug, Default)]
pub(super) struct Follows(Mutex<HashMap<Key, Next>>);

/// When an integration is looked at next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Changes are asked for then.
    Follow(Timestamp),
    /// It follows nothing now.
    Look(Timestamp),
}

// === impl Follows ===

impl Follows {
    /// Wakes those whose time has come, until it is dropped.
    pub(super) async fn wake(&self, context: &Context, wakes: &mpsc::UnboundedSender<Task>) {
        loop {
            for company in self.due(context, now()) {
                // The receiver goes with this task.
                let _ = wakes.send((company, Work::Calls));
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Changes were asked for, or could not be.
    pub(super) fn asked(&self, key: &Key, next: Option<Timestamp>, now: Timestamp) {
        let next = next.map_or(Next::Look(later(now)), Next::Follow);
        self.0.lock().insert(key.clone(), next);
    }

    fn due(&self, context: &Context, now: Timestamp) -> Vec<CompanyId> {
        let all = context.ours();
        let mut known = self.0.lock();
        if known.len() > all.len() {
            let there: std::collections::HashSet<Key> =
                all.iter().map(|one| Key::of(one.as_ref())).collect();
            known.retain(|key, _| there.contains(key));
        }
        let mut due = vec![];
        for one in all {
            let key = Key::of(one.as_ref());
            match known.get(&key) {
                Some(Next::Follow(at) | Next::Look(at)) if *at > now => {}
                Some(Next::Follow(_)) => {
                    known.insert(key, Next::Look(later(now)));
                    due.extend(one.spec.company_id.parse::<CompanyId>());
                }
                Some(Next::Look(_)) | None => {
                    known.insert(key, first(&one, context, now));
                }
            }
        }
        due
    }
}

/// When changes are asked for first by this controller.
fn first(resource: &SalesforceIntegration, context: &Context, now: Timestamp) -> Next {
    let Ok(settings) = Settings::of(resource) else {
        return Next::Look(later(now));
    };
    let last = resource
        .status
        .as_ref()
        .and_then(|status| status.last_run.as_ref())
        .and_then(|run| run.finished_at.as_ref())
        .map_or(now, |finished| finished.0.min(now));
    match resident::next_follow(resource, &settings, &context.config, last) {
        None => Next::Look(later(now)),
        Some(next) if next > now => Next::Follow(next),
        Some(_) => {
            let uid = resource.uid().unwrap_or_default();
            let every = settings.follow.map_or(0, |(_, every)| every.as_secs());
            let wait = stable_hash(&uid, "first follow") % every.max(SPREAD_SECONDS);
            let at = now.checked_add(Duration::from_secs(wait));
            Next::Follow(at.unwrap_or(Timestamp::MAX))
        }
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.checked_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX)
}
