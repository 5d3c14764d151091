//! The directory of a played world: whose a company's data is.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::cluster::now;
use crate::controller::reconcile::directory::played;
use crate::decide::data::claim::{Answer, Other, Question};
use crate::decide::data::erasure::Outcome;
use crate::directory::model::company::Owner;

/// The directory.
#[derive(Default)]
pub(super) struct Directory(Mutex<State>);

#[derive(Default)]
struct State {
    down_until: Timestamp,
    owners: BTreeMap<String, Owner>,
}

// === impl Directory ===

impl Directory {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn down_until(&self, until: Timestamp) {
        self.0.lock().down_until = until;
    }

    /// The UID of the integration to which a company's data belongs.
    pub(super) fn owner(&self, company: &str) -> Option<String> {
        let state = self.0.lock();
        Some(state.owners.get(company)?.uid.clone())
    }
}

impl played::Directory for Directory {
    fn claim(&self, owner: Owner, company: &str, question: &Question) -> Answer {
        let mut state = self.0.lock();
        if now() < state.down_until {
            return Answer::Unknown("it is away".into());
        }
        let stands = state.owners.get(company).cloned();
        let other = |owner: &Owner| Other {
            uid: owner.uid.clone(),
            namespace: owner.namespace.clone(),
            name: owner.name.clone(),
        };
        let same_place =
            |stands: &Owner| (&stands.namespace, &stands.name) == (&owner.namespace, &owner.name);
        match stands {
            Some(stands)
                if stands.uid != owner.uid
                    && !same_place(&stands)
                    && question.adopt.as_ref() != Some(&stands.uid) =>
            {
                Answer::Another(other(&stands))
            }
            stands => {
                let taken = stands.filter(|stands| stands.uid != owner.uid && !same_place(stands));
                state.owners.insert(company.to_owned(), owner.clone());
                Answer::Ours {
                    taken_from: taken.as_ref().map(other),
                    retain_days: question.retain_days,
                }
            }
        }
    }

    fn erase(&self, owner: Owner, company: &str) -> Outcome {
        let mut state = self.0.lock();
        if now() < state.down_until {
            return Outcome::Failed("it is away".into());
        }
        match state.owners.get(company) {
            Some(stands) if stands.uid != owner.uid => Outcome::NotOurs,
            _ => {
                state.owners.remove(company);
                Outcome::Done
            }
        }
    }
}
