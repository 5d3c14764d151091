//! What is known of a call's number, and the step that decided about its name.

use jiff::{SignedDuration, Timestamp};

use super::{Cause, Question};
use crate::directory::model::company::{LinkHealth, RetrievalMode};
use crate::directory::model::{Call, Contact, ContactSource, Direction, LookupState, Was};
use crate::phone::{E164, NotLookedUp};

/// A call whose end was never reported counts as ended so long after its start, as for workers.
const ENDED_AFTER: SignedDuration = SignedDuration::from_hours(4);

/// What is known of a call's number. Time is an argument.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) call: Option<CallFacts>,
    /// As the platform spelled it, or as somebody asked.
    pub(crate) number: Option<String>,
    pub(crate) e164: Option<E164>,
    /// Why it is not looked up, in the words that the directory keeps.
    pub(crate) not_looked_up: Option<String>,
    pub(crate) erased: bool,
    pub(crate) contact: Option<Contact>,
    pub(crate) asked: Option<Question>,
    pub(crate) ask_again_at: Option<Timestamp>,
    pub(crate) was: Option<Was>,
    /// Whether other settings decide about a match now than when it was asked.
    pub(crate) settings_changed: bool,
    pub(crate) link: Option<LinkHealth>,
    /// Whether the address book is filled for the first time.
    pub(crate) filling: bool,
}

/// What is known of one call.
#[derive(Debug, Clone)]
pub(crate) struct CallFacts {
    pub(crate) id: String,
    pub(crate) direction: Direction,
    pub(crate) lookup: LookupState,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) received_at: Timestamp,
    /// Until when a run has it.
    pub(crate) claimed_until: Option<Timestamp>,
}

// === impl Facts ===

impl Facts {
    /// What a list of calls tells of one: as much as the call itself and the link say.
    pub(crate) fn in_a_list(call: &Call, link: Option<&LinkHealth>) -> Self {
        Self {
            call: Some(CallFacts {
                id: call.id.clone(),
                direction: call.direction,
                lookup: call.lookup,
                started_at: call.started_at,
                ended_at: call.ended_at,
                received_at: call.started_at,
                claimed_until: None,
            }),
            number: call.number.clone(),
            e164: call.e164.clone(),
            not_looked_up: call.not_looked_up.clone(),
            contact: call.contact.clone(),
            asked: call.asked_at.map(|at| Question {
                at,
                run: None,
                api_calls: None,
                spellings: 0,
                likeliest: Vec::new(),
                misses: u32::from(call.not_found),
            }),
            ask_again_at: call.ask_again_at,
            was: call.was.clone(),
            link: link.cloned(),
            ..Self::default()
        }
    }

    /// The step that decided, or the first one that is missing.
    pub(crate) fn cause(&self, now: Timestamp) -> Cause {
        if let Some(contact) = &self.contact {
            return if contact.company_name.is_none() && contact.person_name.is_none() {
                Cause::RecordWithoutName
            } else if contact.source == ContactSource::Manual {
                Cause::NamedByHand
            } else {
                Cause::Named
            };
        }
        if self.erased {
            return Cause::Erased;
        }
        if let Some(call) = &self.call
            && call.direction == Direction::Internal
        {
            return Cause::InternalCall;
        }
        if self.e164.is_none() {
            return self.unread();
        }
        if self.was.is_some() {
            return Cause::GoneFromSalesforce;
        }
        match &self.asked {
            Some(question) if question.misses > 0 && self.settings_changed => {
                Cause::SettingsChanged
            }
            Some(question) if question.misses > 0 => Cause::NotInSalesforce,
            Some(_) if !self.is_pending() => Cause::RemovedByHand,
            _ => self.not_asked(now),
        }
    }

    /// Whether the call's number has still to be looked up.
    fn is_pending(&self) -> bool {
        let state = self.call.as_ref().map(|call| call.lookup);
        state == Some(LookupState::Pending)
    }

    /// Why there is no number to ask for.
    fn unread(&self) -> Cause {
        let text = self.number.as_deref().unwrap_or_default();
        if text.trim().is_empty() {
            return Cause::NoNumber;
        }
        let words = self.not_looked_up.as_deref().unwrap_or_default();
        let reason = [
            (NotLookedUp::Empty, Cause::NoNumber),
            (NotLookedUp::Anonymous, Cause::Withheld),
            (NotLookedUp::Extension, Cause::Extension),
            (NotLookedUp::Emergency, Cause::Emergency),
            (NotLookedUp::Service, Cause::ServiceNumber),
            (NotLookedUp::NoAreaCode, Cause::NoAreaCode),
            (NotLookedUp::NoSuchCountry, Cause::NoSuchCountry),
            (NotLookedUp::Invalid, Cause::NoSuchNumber),
        ];
        reason
            .into_iter()
            .find(|(reason, _)| reason.to_string() == words)
            .map_or(Cause::NotANumber, |(_, cause)| cause)
    }

    /// Why a number has not been asked for yet.
    fn not_asked(&self, now: Timestamp) -> Cause {
        if let Some(call) = &self.call {
            if call.claimed_until.is_some_and(|until| until > now) {
                return Cause::BeingAsked;
            }
            if call.ended_at.is_none() && now.duration_since(call.started_at) < ENDED_AFTER {
                return Cause::CallLasts;
            }
        }
        let Some(link) = &self.link else {
            return Cause::NoLink;
        };
        if link.suspended {
            return Cause::Suspended;
        }
        if link.retrieval == RetrievalMode::Disabled {
            return Cause::LookupDisabled;
        }
        if link.ready == Some(false) {
            return match link.reason.as_str() {
                "BudgetExhausted" => Cause::BudgetUsedUp,
                "RunFailed" => Cause::RunFailed,
                "RunOverdue" => Cause::RunOverdue,
                _ => Cause::LinkBroken,
            };
        }
        if self.filling {
            return Cause::BookBeingFilled;
        }
        Cause::NotAskedYet
    }
}
