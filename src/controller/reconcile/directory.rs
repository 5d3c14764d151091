//! The controller's requests to the directory, each with a token for one company and one purpose
//! that it mints for itself and that is good for minutes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::{
    Retrieval, SalesforceIntegration, SalesforceIntegrationStatus, Settings, conditions, now,
};
use crate::company_id::CompanyId;
use crate::controller::context::Context;
use crate::controller::memory::key::Key;
use crate::decide::data::claim::{Answer, Other, Question};
use crate::decide::data::erasure::Outcome;
use crate::directory::client::Retry;
use crate::directory::model::company::{
    Belonging, CompanySettings, CompanyState, EraseCompanyRequest, LinkHealth, Owner, RetrievalMode,
};
use crate::directory::{Claims, Client, ClientError, Purpose, TokenError};
use crate::error::Chain;
use crate::phone::Region;
use crate::reason::{Code, Reason};
use crate::run::{BookReport, Filling};

/// How long a token is good that the controller mints for itself.
const OWN_TOKEN_GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);
/// How long a reconcile waits for the directory.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why the directory could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The token could not be made.
    #[error("the token for the directory could not be made")]
    Token(#[from] TokenError),
    /// The directory did not do what it was asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It takes too long.
    #[error("the directory did not answer within {} seconds", .0.as_secs())]
    TooSlow(Duration),
}

/// A client for one company and one purpose. It tries once: the reconcile comes again.
pub(crate) fn client(
    context: &Context,
    company: &CompanyId,
    purpose: Purpose,
    region: Region,
    issued_at: Timestamp,
) -> Result<Client, Failure> {
    let claims = Claims {
        company: company.clone(),
        purpose,
        region,
        issued_at,
        expires_at: now().checked_add(OWN_TOKEN_GOOD_FOR).ok(),
    };
    let token = context.token_keys.mint(&claims)?;
    let http = context.directory_trust.http()?;
    let url = context.config.directory_url.as_str();
    let client = Client::with_http(http, url, token)?;
    Ok(client.with_retry(Retry {
        attempts: 1,
        ..Retry::default()
    }))
}

/// A client for the company of an integration. Its token outlives a revocation that is under way.
pub(crate) fn client_of(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
    purpose: Purpose,
) -> Result<Client, Failure> {
    let not_before = context.token_sources(resource).not_before;
    let issued_at = now().max(not_before.unwrap_or(Timestamp::MIN));
    let (company, region) = (&settings.company_id, settings.region);
    client(context, company, purpose, region, issued_at)
}

/// Asks whose the company's data is, and claims it for the integration.
pub(crate) async fn claim(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
    question: Question,
    not_before: Option<Timestamp>,
) -> Answer {
    #[cfg(test)]
    if let Some(directory) = played::directory() {
        return directory.claim(owner(resource), &resource.spec.company_id, &question);
    }
    let request = CompanySettings {
        owner: owner(resource),
        adopt: question.adopt,
        had_tokens: question.held_before,
        retain_days: question.retain_days,
    };
    let issued_at = now().max(not_before.unwrap_or(Timestamp::MIN));
    let asked = async {
        let (company, region) = (&settings.company_id, settings.region);
        let client = client(context, company, Purpose::Controller, region, issued_at)?;
        Ok(client.claim_company(&request).await?)
    };
    match in_time(PATIENCE, asked).await {
        Ok(state) => answer(state),
        Err(failure) => {
            let problem = Chain(&failure).to_string();
            tracing::warn!(
                problem,
                "the directory could not be asked whose the data is"
            );
            Answer::Unknown(problem)
        }
    }
}

fn answer(state: CompanyState) -> Answer {
    let other = |owner: Owner| Other {
        uid: owner.uid,
        namespace: owner.namespace,
        name: owner.name,
    };
    match (state.belongs, state.other) {
        (Belonging::Ours, taken_from) => Answer::Ours {
            taken_from: taken_from.map(other),
            retain_days: state.retain_days,
        },
        (Belonging::Another, Some(owner)) => Answer::Another(other(owner)),
        (Belonging::Another | Belonging::Nobody, _) => Answer::Nobody,
    }
}

/// How far the company's address book is; `None` if the directory does not say. The report of the
/// run tells it, too.
pub(crate) async fn book(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
) -> Option<BookReport> {
    #[cfg(test)]
    if played::directory().is_some() {
        return None;
    }
    let asked = async {
        let client = client_of(context, resource, settings, Purpose::Controller)?;
        Ok(client.company_book().await?)
    };
    let told = match in_time(PATIENCE, asked).await {
        Ok(told) => told,
        Err(failure) => {
            let problem = Chain(&failure).to_string();
            tracing::debug!(
                problem,
                "the directory could not be asked for the address book"
            );
            return None;
        }
    };
    Some(BookReport {
        records: told.records,
        numbers: told.numbers,
        bytes: told.bytes,
        filled_at: told.filled_at,
        watermark: told.watermark,
        filling: told.filling.map(|filling| Filling {
            rows: filling.rows,
            of: filling.of,
        }),
        over_limit: false,
    })
}

/// Has the directory erase what it keeps about the company, or a part of it.
pub(crate) async fn erase(
    context: &Context,
    resource: &SalesforceIntegration,
    held_before: bool,
) -> Outcome {
    let Ok(company) = resource.spec.company_id.parse::<CompanyId>() else {
        // Nothing can be kept under it.
        return Outcome::Done;
    };
    #[cfg(test)]
    if let Some(directory) = played::directory() {
        return directory.erase(owner(resource), &resource.spec.company_id);
    }
    // The region of a token is for numbers in requests, of which there are none.
    let region = resource.spec.contacts.region.parse();
    let request = EraseCompanyRequest {
        owner: owner(resource),
        had_tokens: held_before,
        not_before: now(),
    };
    let issued_at = now().max(
        context
            .token_sources(resource)
            .not_before
            .unwrap_or(Timestamp::MIN),
    );
    let asked = async {
        let region = region.unwrap_or(Region::JAPAN);
        let client = client(context, &company, Purpose::Erase, region, issued_at)?;
        Ok(client.erase_company(&request).await?)
    };
    match in_time(PATIENCE, asked).await {
        Ok(erased) if erased.belongs != Belonging::Ours => Outcome::NotOurs,
        Ok(erased) if erased.done => Outcome::Done,
        Ok(_) => Outcome::GoesOn,
        Err(failure) => Outcome::Failed(Chain(&failure).to_string()),
    }
}

/// How long a reconcile waits until the directory has taken in how the link is. It is told again by
/// the next one.
const PATIENCE_TO_TELL: Duration = Duration::from_secs(3);

/// Tells the directory what the status says of the link, if that is not what it was last told.
/// Nothing is told of an integration whose data it is not: another one tells of that company.
pub(crate) async fn tell_link(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
    status: &SalesforceIntegrationStatus,
) {
    let key = Key::of(resource);
    let is_ours = status
        .data
        .as_ref()
        .is_some_and(|data| data.company_id == settings.company_id.as_str());
    let Some(health) = is_ours.then(|| link_health(settings, status)).flatten() else {
        return;
    };
    if context.memory.link_told(&key).as_ref() == Some(&health) {
        return;
    }
    #[cfg(test)]
    if played::directory().is_some() {
        context.memory.tell_link(&key, health);
        return;
    }
    let telling = async {
        let client = client_of(context, resource, settings, Purpose::Controller)?;
        Ok(client.tell_link(&health).await?)
    };
    match in_time(PATIENCE_TO_TELL, telling).await {
        Ok(()) => context.memory.tell_link(&key, health),
        Err(failure) => {
            let problem = Chain(&failure).to_string();
            tracing::debug!(problem, "the directory could not be told how the link is");
        }
    }
}

/// What the status says of the link, as far as who looks at calls needs it; `None` before anything
/// is known.
fn link_health(settings: &Settings, status: &SalesforceIntegrationStatus) -> Option<LinkHealth> {
    let ready = conditions::find(&status.conditions, conditions::READY)?;
    let code = conditions::reason_of(ready);
    let outcome = status.last_run.as_ref().map(|run| run.outcome.as_str());
    let outcome = outcome.filter(|outcome| !outcome.is_empty());
    let says = told(&code, outcome);
    let time = |time: &Time| time.0;
    let budget = status.api_budget.as_ref();
    let percent = budget.and_then(|budget| {
        let spent: u64 = budget.spent.iter().map(|spent| spent.calls).sum();
        (spent * 100).checked_div(budget.share?)
    });
    Some(LinkHealth {
        ready: match ready.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        },
        reason: code.as_str().to_owned(),
        cause: says
            .reason()
            .map(Reason::cause)
            .unwrap_or_default()
            .to_owned(),
        remedy: says.remedy().to_owned(),
        since: time(&ready.last_transition_time),
        retrieval: match settings.retrieval {
            Retrieval::Daily => RetrievalMode::Daily,
            Retrieval::AfterCall => RetrievalMode::AfterCall,
            Retrieval::Disabled => RetrievalMode::Disabled,
        },
        suspended: settings.suspend,
        time_zone: settings.time_zone_name.clone(),
        region: settings.region,
        last_run_at: status
            .last_run
            .as_ref()
            .and_then(|run| run.finished_at.as_ref().map(time)),
        last_outcome: outcome.map(str::to_owned),
        next_run_at: status.next_run.as_ref().map(time),
        budget_percent: percent.map(|percent| u32::try_from(percent).unwrap_or(u32::MAX)),
    })
}

/// Whose cause and remedy are told. That a run failed says nothing to who sees no status; why it
/// did, does.
fn told(code: &Code, outcome: Option<&str>) -> Code {
    match (code.reason(), outcome) {
        (Some(Reason::RunFailed), Some(outcome)) => Code::from(outcome),
        _ => code.clone(),
    }
}

async fn in_time<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let answered = tokio::time::timeout(patience, asked).await;
    answered.unwrap_or(Err(Failure::TooSlow(patience)))
}

fn owner(resource: &SalesforceIntegration) -> Owner {
    Owner {
        uid: resource.uid().unwrap_or_default(),
        namespace: resource.namespace().unwrap_or_default(),
        name: resource.name_any(),
    }
}

/// A directory that a test plays instead of a server.
#[cfg(test)]
pub(crate) mod played {
    use std::cell::RefCell;
    use std::sync::Arc;

    use crate::decide::data::claim::{Answer, Question};
    use crate::decide::data::erasure::Outcome;
    use crate::directory::model::company::Owner;

    /// Answers what the controller asks about companies.
    pub(crate) trait Directory: Send + Sync {
        /// Whose the company's data is.
        fn claim(&self, owner: Owner, company: &str, question: &Question) -> Answer;
        /// Erases what is kept about a company.
        fn erase(&self, owner: Owner, company: &str) -> Outcome;
    }

    thread_local! {
        static PLAYED: RefCell<Option<Arc<dyn Directory>>> = const { RefCell::new(None) };
    }

    /// Has this thread's questions answered so, or no longer.
    pub(crate) fn play(directory: Option<Arc<dyn Directory>>) {
        PLAYED.set(directory);
    }

    pub(super) fn directory() -> Option<Arc<dyn Directory>> {
        PLAYED.with_borrow(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_run_that_failed_it_is_told_why() {
        for (reason, outcome, tells) in [
            ("RunFailed", Some("PasswordExpired"), "PasswordExpired"),
            ("RunFailed", Some("QuantumLinkLost"), "QuantumLinkLost"),
            ("RunFailed", None, "RunFailed"),
            ("InvalidLogin", Some("WorkerKilled"), "InvalidLogin"),
        ] {
            let code = told(&Code::from(reason), outcome);
            assert_eq!(code, tells, "{reason} {outcome:?}");
        }
    }
}
