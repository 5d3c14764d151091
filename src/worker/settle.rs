//! Calls whose number needs no question: the directory follows what Salesforce says about it.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use super::failure::Failure;
use super::follow::state_of;
use super::run::Run;
use super::todo::Todo;
use crate::directory::model::ContactSource;
use crate::directory::model::follow::{FollowState, KnownNumber, KnownRequest};
use crate::follow::keeps_up;
use crate::run::RunKind;

/// How long after the last question a number is asked for again when it calls. What leaves no
/// stamp, such as sharing, is not followed; so long pass between two questions about a number that
/// Salesforce does not know, too.
const ASKED_AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Numbers that the directory is asked for at once.
const KNOWN_AT_ONCE: usize = 200;

// === impl Run ===

impl Run {
    /// Takes calls for done of whose numbers the directory says what Salesforce does, as far as
    /// changes have been followed. A run that somebody requests asks for all of them.
    pub(super) async fn settle(
        &self,
        state: Option<&FollowState>,
        todo: &mut Todo,
    ) -> Result<(), Failure> {
        let now = Timestamp::now();
        let keeps_up = |state: &&FollowState| {
            let every = self.settings.follow.map_or(0, |follow| follow.every_seconds);
            let every = SignedDuration::from_secs(i64::try_from(every).unwrap_or(i64::MAX));
            keeps_up(&state_of(state), every, now) && state.reconciled_up_to.is_none()
        };
        let is_requested = self.settings.re_retrieve.is_some();
        if self.kind != RunKind::Lookup || is_requested || state.filter(keeps_up).is_none() {
            return Ok(());
        }
        let mut settled = HashSet::new();
        for numbers in todo.numbers.chunks(KNOWN_AT_ONCE) {
            let request = KnownRequest {
                numbers: numbers.to_vec(),
                limit: KNOWN_AT_ONCE as u32,
                ..KnownRequest::default()
            };
            let known = self.directory.known_numbers(&request).await?;
            let is_settled = |known: &KnownNumber| {
                let is_named = follows(known, &self.settings.match_settings, now);
                is_named || known.contact.is_none() && todo.missed.contains(&known.number)
            };
            let known = known.numbers.into_iter().filter(is_settled);
            settled.extend(known.map(|known| known.number));
        }
        if !settled.is_empty() {
            info!(numbers = settled.len(), "followed, and not asked for");
            todo.settle(&settled);
        }
        Ok(())
    }
}

/// Whether a contact changes when its record does: it came from Salesforce, under the same
/// settings, with all records that hold its number.
fn follows(known: &KnownNumber, settings: &str, now: Timestamp) -> bool {
    let Some(contact) = &known.contact else {
        return false;
    };
    contact.source == ContactSource::Salesforce
        && known.all_holders
        && known.holders.is_some()
        && known.settings.as_deref() == Some(settings)
        && contact
            .asked_at
            .is_some_and(|asked| now.duration_since(asked) < ASKED_AGAIN_AFTER)
}
