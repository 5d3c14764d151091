//! Whose the company's data is, and for how long the directory keeps it.

use jiff::SignedDuration;

use super::Decision;
use super::data::claim;
use super::data::claim::{Answer, Holding};
use super::rules::company_claim::Claim;
use super::rules::warnings;
use super::rules::warnings::Origin;
use crate::api::Settings;
use crate::reason::Reason;
use crate::run::shorten;

/// How long a directory that could not be asked is left alone.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);
/// How long a stranger's data is left alone: somebody may have given it away or erased it.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Maximum length of what the directory said, in bytes.
const MAX_PROBLEM_BYTES: usize = 512;

impl Decision<'_> {
    /// Whether the integration may have the company's data.
    pub(crate) fn holding(&self) -> Holding {
        claim::holding(self.observed.resource, &self.observed.data)
    }

    /// Records whose the data is, what is taken over and for how long it is kept.
    pub(crate) fn data(&mut self, settings: &Settings) {
        if self.observed.claim != Claim::Held {
            return;
        }
        let (resource, answer) = (self.observed.resource, &self.observed.data);
        self.status.data = claim::kept(resource, answer, settings.retain_days, self.now);
        if let Answer::Ours {
            taken_from: Some(other),
            ..
        } = answer
        {
            let note = format!(
                "The directory kept data of the company {:?} that belonged to the SalesforceIntegration {}/{} with the UID {}, which is gone. This one has taken it over.",
                resource.spec.company_id, other.namespace, other.name, other.uid
            );
            self.notice(false, Reason::DataTakenOver, note, "Claim");
        }
        let again = match answer {
            Answer::Unknown(_) => Some(AGAIN),
            Answer::Another(_) | Answer::Nobody => Some(LOOK_AGAIN),
            Answer::NotAsked | Answer::Ours { .. } => None,
        };
        let again = again.and_then(|again| self.now.checked_add(again).ok());
        self.wake.extend(again);
        let found = self.retention(settings);
        warnings::replace(
            &mut self.status.warnings,
            Origin::Data,
            found.into_iter().collect(),
        );
    }

    fn retention(&self, settings: &Settings) -> Option<crate::api::status::Warning> {
        let kept = self.status.data.as_ref()?;
        if let Answer::Unknown(problem) = &self.observed.data {
            let differs = kept.asked_retain_days != settings.retain_days;
            return differs.then(|| {
                let mut message =
                    format!("The directory keeps calls for the time of before: {problem}");
                shorten(&mut message, MAX_PROBLEM_BYTES);
                warnings::of(Reason::RetentionNotTold, message)
            });
        }
        let (asked, counts) = (kept.asked_retain_days?, kept.retain_days?);
        (counts < asked).then(|| {
            warnings::of(
                Reason::RetentionShorter,
                format!(
                    "spec.contacts.retainDays is {asked}; the operator keeps calls for {counts} days at most, and these count."
                ),
            )
        })
    }
}
