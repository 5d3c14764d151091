//! What becomes of the data when the integration is deleted: `spec.deletionPolicy`.
//!
//! With `Erase` a finalizer keeps the deleted integration until the directory has erased what it
//! keeps about the company, but never for longer than [`PATIENCE`].

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::claim;
use crate::api::conditions::{self, DATA_ERASED, EXCLUSIVE, Verdict};
use crate::api::{DeletionPolicy, ERASE_DATA, SalesforceIntegration};
use crate::reason::Reason;
use crate::run::shorten;

/// A deletion waits this long for the directory, and then goes on without.
pub(crate) const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// The time between two attempts to reach the directory.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// Maximum length of what the directory said, in bytes.
const MAX_PROBLEM_BYTES: usize = 512;

/// What the directory did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is left.
    Done,
    /// A part was erased, and it goes on.
    GoesOn,
    /// The data is another integration's, and was left alone.
    NotOurs,
    /// It could not be asked, for this reason.
    Failed(String),
}

/// What to do about an integration that is being deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing: the deletion does not wait for us.
    Nothing,
    /// Have the directory erase, and decide again with what it did.
    Erase,
    /// Tell why the deletion waits, and decide again at this time.
    Wait { verdict: Verdict, until: Timestamp },
    /// Let the deletion go on. The Event, if there is one to publish: whether it is a warning, its
    /// reason and its note.
    Release(Option<(bool, Reason, String)>),
}

/// Whether the finalizer is there.
pub(crate) fn is_held(resource: &SalesforceIntegration) -> bool {
    resource.finalizers().iter().any(|one| one == ERASE_DATA)
}

/// Whether an integration that is not being deleted is to get the finalizer (`true`) or to lose it
/// (`false`). `None`: it is as it should be.
pub(crate) fn wanted(resource: &SalesforceIntegration) -> Option<bool> {
    let wanted = resource.spec.deletion_policy == DeletionPolicy::Erase;
    let live = resource.metadata.deletion_timestamp.is_none();
    (live && wanted != is_held(resource)).then_some(wanted)
}

/// Decides about an integration that is being deleted. `outcome` is what the directory did when it
/// was asked, if it was.
///
/// The data goes whoever else claims the company: it is the holder's to decide about, and who waits
/// with a claim of his own never had it. An integration that did not hold the company erases
/// nothing.
pub(crate) fn step(
    resource: &SalesforceIntegration,
    outcome: Option<&Outcome>,
    now: Timestamp,
) -> Step {
    let Some(deleted_at) = &resource.metadata.deletion_timestamp else {
        return Step::Nothing;
    };
    if !is_held(resource) {
        return Step::Nothing;
    }
    if resource.spec.deletion_policy != DeletionPolicy::Erase || !held_company(resource) {
        return Step::Release(None);
    }
    let company = &resource.spec.company_id;
    let deadline = deleted_at.0.checked_add(PATIENCE).unwrap_or(Timestamp::MAX);
    let is_over = now >= deadline;
    match outcome {
        None => Step::Erase,
        Some(Outcome::Done) => Step::Release(Some((
            false,
            Reason::CompanyErased,
            format!(
                "The directory has erased what it kept about the company {company:?}, and refuses its tokens."
            ),
        ))),
        Some(Outcome::NotOurs) => Step::Release(Some((
            true,
            Reason::CompanyNotErased,
            format!(
                "Nothing was erased: the data of the company {company:?} belongs to another SalesforceIntegration."
            ),
        ))),
        Some(Outcome::GoesOn) if is_over => given_up(company, "a part of it was erased"),
        Some(Outcome::GoesOn) => Step::Wait {
            verdict: Verdict::fails(
                Reason::Erasing,
                format!(
                    "The directory erases what it keeps about the company {company:?}. The deletion goes on when that is done, at {deadline} at the latest."
                ),
            ),
            until: now,
        },
        Some(Outcome::Failed(problem)) if is_over => given_up(company, problem),
        Some(Outcome::Failed(problem)) => {
            let mut message =
                format!("The data of the company {company:?} is not erased yet: {problem}");
            shorten(&mut message, MAX_PROBLEM_BYTES);
            Step::Wait {
                verdict: Verdict::fails(
                    Reason::ErasureWaits,
                    format!(
                        "{message} It is tried again until {deadline}; then the deletion goes on, and the data stays."
                    ),
                ),
                until: now.checked_add(AGAIN).unwrap_or(deadline).min(deadline),
            }
        }
    }
}

fn given_up(company: &str, problem: &str) -> Step {
    let mut note = format!("The directory still keeps data of the company {company:?}: {problem}");
    shorten(&mut note, MAX_PROBLEM_BYTES);
    Step::Release(Some((true, Reason::CompanyNotErased, note)))
}

/// Whether the integration held its company, and so may have data there.
fn held_company(resource: &SalesforceIntegration) -> bool {
    let status = resource.status.as_ref();
    let held = status.is_some_and(|status| conditions::is_true(&status.conditions, EXCLUSIVE));
    held || claim::told(resource).is_some()
}

/// What the status says of an erasure that waits; `None` when it says so already.
pub(crate) fn news(resource: &SalesforceIntegration, verdict: &Verdict) -> Option<Verdict> {
    let status = resource.status.as_ref();
    let before = status.and_then(|status| conditions::verdict(&status.conditions, DATA_ERASED));
    (before.as_ref() != Some(verdict)).then(|| verdict.clone())
}
