//! The call centers: whether another integration holds one of their users, and whether Salesforce
//! has them as the spec says.

use super::data::claim;
use super::data::claim::Holding;
use super::rules::call_centers;
use super::rules::company_claim::Claim;
use super::rules::config::CallCenterConflicts;
use super::rules::user_claim::own_duplicates;
use super::{Decision, verdicts};
use crate::api::conditions::{CALL_CENTERS_VERIFIED, CONNECTED, EXCLUSIVE, SYNCED, Truth, Verdict};
use crate::api::{Settings, conditions};
use crate::reason::Reason;
use crate::salesforce::Findings;

impl Decision<'_> {
    /// Whether the integration holds its company ID, and no stranger's data is kept under it.
    pub(crate) fn holds_company(&self) -> bool {
        self.observed.claim == Claim::Held && self.holding() != Holding::NotOurs
    }

    /// Sets Exclusive: first the company ID, then the users of the call centers.
    pub(crate) fn exclusive(&mut self) {
        let spec = &self.observed.resource.spec;
        let mut verdict = verdicts::exclusive(&self.observed.claim, &spec.company_id);
        let of_data = claim::verdict(self.observed.resource, &self.observed.data);
        if self.observed.claim == Claim::Held
            && let Some(of_data) = of_data
        {
            verdict = of_data;
        } else if self.holds_company() && !spec.call_centers.is_empty() {
            let is_proved = self.status.organization.is_some() || self.findings().is_some();
            let own = own_duplicates(&spec.call_centers);
            verdict = verdicts::exclusive_users(&own, &self.observed.taken_users, is_proved);
        }
        let clashes = verdict.reason == Reason::UserInOtherCallCenter;
        if clashes && self.tolerates_clashes() && !self.is_false(EXCLUSIVE) {
            self.notice(
                true,
                verdict.reason.clone(),
                format!("{} {}", verdict.message, verdict.reason.remedy()),
                "Reconcile",
            );
        }
        self.set_and_file(EXCLUSIVE, verdict);
    }

    /// Sets Exclusive while the spec cannot be used. Whose the company is does not depend on the
    /// spec. Where the directory has not said that the data is the integration's, the condition
    /// stays: True would say that it has.
    pub(crate) fn exclusive_of_refused(&mut self) {
        let resource = self.observed.resource;
        if claim::told(resource).is_some() || claim::held_before(resource) {
            self.exclusive();
        } else if let Some(verdict) = self.verdict(EXCLUSIVE) {
            self.set(EXCLUSIVE, verdict);
        }
    }

    /// Whether a condition that does not hold stops nothing: the operator lets runs go on while a
    /// user belongs to another integration, and an org that is too large for an address book has
    /// its names on demand.
    pub(crate) fn is_tolerated(&self, type_: &str) -> bool {
        let is = |reason: Reason| {
            self.verdict(type_)
                .is_some_and(|verdict| verdict.reason == reason)
        };
        match type_ {
            EXCLUSIVE => self.tolerates_clashes() && is(Reason::UserInOtherCallCenter),
            SYNCED => is(Reason::AddressBookOverLimit),
            _ => false,
        }
    }

    fn tolerates_clashes(&self) -> bool {
        self.observed.config.call_center_conflicts == CallCenterConflicts::Warn
    }

    /// Sets CallCentersVerified from the proof that has just ended. Without one it stays as it is,
    /// as long as the connection works.
    pub(crate) fn call_centers(&mut self, settings: &Settings) {
        let found = self.findings().map(|findings| &findings.users);
        let verdict = found.and_then(|found| call_centers::verdict(&settings.call_centers, found));
        if let Some(verdict) = verdict {
            self.set_call_centers(verdict);
        } else if settings
            .call_centers
            .iter()
            .all(|center| center.users.is_empty())
        {
            conditions::remove(&mut self.status.conditions, CALL_CENTERS_VERIFIED);
        } else if !conditions::is_true(&self.status.conditions, CONNECTED) {
            self.set(
                CALL_CENTERS_VERIFIED,
                Verdict::unknown(Reason::Pending, "The connection must work first."),
            );
        } else if self.verdict(CALL_CENTERS_VERIFIED).is_none() {
            self.set(
                CALL_CENTERS_VERIFIED,
                Verdict::unknown(
                    Reason::Pending,
                    "The next proof of the connection looks at the users.",
                ),
            );
        }
    }

    fn set_call_centers(&mut self, verdict: Verdict) {
        let differs = |verdict: &Verdict| verdict.truth == Truth::False;
        let before = self.verdict(CALL_CENTERS_VERIFIED);
        if differs(&verdict) && !before.as_ref().is_some_and(differs) {
            self.notice(
                true,
                verdict.reason.clone(),
                format!("{} {}", verdict.message, verdict.reason.remedy()),
                "Prove",
            );
        }
        self.set(CALL_CENTERS_VERIFIED, verdict);
    }

    fn findings(&self) -> Option<&Findings> {
        self.observed.proof?.outcome.as_deref().ok()
    }
}
