//! Revoked tokens: what the annotation asks for, and since when the company's tokens have to be
//! issued.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::Decision;
use super::rules::warnings;
use super::rules::warnings::Origin;
use crate::api::status::RevokedTokens;
use crate::api::{SalesforceIntegration, TOKENS_NOT_BEFORE};
use crate::reason::Reason;

/// How far ahead of this clock a time may be: the clock of whoever wrote it may be another one.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// Returns since when the integration's tokens have to be issued, whether or not the directory
/// knows it yet. Tokens are minted with it.
pub(crate) fn not_before(resource: &SalesforceIntegration, now: Timestamp) -> Option<Timestamp> {
    let asked = asked(resource, now).and_then(Result::ok);
    asked.max(told(resource))
}

/// What the directory was told last, of this company ID.
fn told(resource: &SalesforceIntegration) -> Option<Timestamp> {
    let revoked = resource.status.as_ref()?.revoked_tokens.as_ref()?;
    let same_company = revoked.company_id == resource.spec.company_id;
    same_company.then_some(revoked.not_before.0)
}

/// The time that the annotation asks for, or what is wrong with it.
fn asked(
    resource: &SalesforceIntegration,
    now: Timestamp,
) -> Option<Result<Timestamp, &'static str>> {
    let value = resource.annotations().get(TOKENS_NOT_BEFORE)?;
    let Ok(at) = value.trim().parse::<Timestamp>() else {
        return Some(Err("is no time"));
    };
    if at.duration_since(now) > AHEAD {
        return Some(Err(
            "lies in the future, and new tokens would be refused, too",
        ));
    }
    // Tokens know whole seconds, and one of the same second may have been issued before.
    let seconds = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    Some(Timestamp::from_second(seconds).map_err(|_| "is no time"))
}

// === impl Decision ===

impl Decision<'_> {
    /// Has the directory refuse the company's older tokens, if the tenant asks for it.
    pub(crate) fn revocation(&mut self) {
        let resource = self.observed.resource;
        let mut found = vec![];
        match asked(resource, self.now) {
            Some(Ok(at)) if self.holds_company() && told(resource) < Some(at) => {
                self.plan.revoke = Some(at);
                self.status.revoked_tokens = Some(RevokedTokens {
                    company_id: resource.spec.company_id.clone(),
                    not_before: Time(at),
                });
                let note = format!(
                    "The directory refuses the company's tokens that were issued before {at}. The Secret has new ones."
                );
                self.notice(false, Reason::TokensRevoked, note, "Revoke");
            }
            Some(Ok(_)) | None => {}
            Some(Err(problem)) => {
                let message = format!("The annotation {TOKENS_NOT_BEFORE} {problem}.");
                found.push(warnings::of(Reason::TokensNotBeforeInvalid, message));
            }
        }
        warnings::replace(&mut self.status.warnings, Origin::Tokens, found);
    }
}
