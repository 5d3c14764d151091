//! `/v1/company`: the controller says whose a company's data is, and that all of it goes.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::middleware::auth::{Caller, Control, EraseAll};
use super::middleware::error::ApiError;
use super::middleware::input::{Json, text, within};
use super::middleware::responses::{BodyRefusals, Refusals};
use super::{App, now};
use crate::directory::model::company::{
    Belonging, BookState, CompanySettings, CompanyState, EraseCompanyRequest, ErasedCompany,
    FillProgress, LinkHealth, Owner,
};

const MAX_UID_CHARS: usize = 100;
const MAX_NAME_CHARS: usize = 253;
const MAX_DAYS: u32 = 9_999;
const MAX_CODE_CHARS: usize = 100;
const MAX_SENTENCE_CHARS: usize = 1_000;

/// How far ahead of this clock a time may be; see `tokens`.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// How long one request deletes. The rest is left to the next one, well within the time that a
/// request may take.
const BUDGET: Duration = Duration::from_secs(4);

/// Claim a company's data
///
/// Says which integration the data of the company belongs to, and for how long it is kept. What an
/// integration of the same namespace and name had left is taken over; what another one has left
/// stays untouched unless `adopt` names its UID.
#[utoipa::path(
    put,
    path = "/v1/company",
    tag = "controller",
    security(("controller" = [])),
    request_body = CompanySettings,
    responses(
        (status = 200, description = "Whose it is", body = CompanyState),
        BodyRefusals,
    )
)]
pub(crate) async fn claim(
    State(app): State<App>,
    caller: Caller<Control>,
    Json(mut settings, _): Json<CompanySettings>,
) -> Result<Answer<CompanyState>, ApiError> {
    check(&mut settings.owner)?;
    settings.adopt = text("adopt", settings.adopt, MAX_UID_CHARS)?;
    if let Some(days) = settings.retain_days {
        within("retainDays", days, 1, MAX_DAYS)?;
    }
    let (company, actor) = (&caller.company, caller.actor());
    let state = app
        .store
        .claim_company(company, &settings, app.retain_days, &actor, now())
        .await?;
    let Owner {
        uid,
        namespace,
        name,
    } = &settings.owner;
    match (state.belongs, &state.other) {
        (Belonging::Ours, None) => info!(namespace, name, uid, "the company's data is its own"),
        (Belonging::Ours, Some(other)) => {
            let (from, left_by) = (&other.uid, format!("{}/{}", other.namespace, other.name));
            info!(
                namespace,
                name, uid, from, left_by, "it takes over what was left"
            );
        }
        (_, Some(other)) => {
            let (owner, is_of) = (&other.uid, format!("{}/{}", other.namespace, other.name));
            warn!(
                namespace,
                name, uid, owner, is_of, "the data is another integration's"
            );
        }
        (_, None) => warn!(namespace, name, uid, "the data is nobody's on record"),
    }
    Ok(Answer(state))
}

/// How far the address book is
///
/// Its size, until when changes are in it, and how far the fill is that is under way.
#[utoipa::path(
    get,
    path = "/v1/company/book",
    tag = "controller",
    security(("controller" = [])),
    responses((status = 200, description = "The address book", body = BookState), Refusals)
)]
pub(crate) async fn book(
    State(app): State<App>,
    caller: Caller<Control>,
) -> Result<Answer<BookState>, ApiError> {
    let book = app.store.book(&caller.company).await?;
    // A worker that follows for contacts alone says nothing of a book.
    let watermark = match book.filled_at {
        Some(_) => app.store.follow_state(&caller.company).await?.watermark,
        None => None,
    };
    let filling = book.fill.as_ref().map(|fill| {
        let (rows, of) = fill.progress();
        FillProgress { rows, of }
    });
    Ok(Answer(BookState {
        records: book.records,
        numbers: book.numbers,
        bytes: book.bytes,
        filled_at: book.filled_at,
        watermark,
        filling,
    }))
}

/// Erase a company
///
/// Deletes everything that is held about the company: calls, contacts, what Salesforce was asked,
/// the audit. From the first request on the company's older tokens are refused and nothing is taken
/// in. A large company takes several requests: send it again until `done`.
#[utoipa::path(
    post,
    path = "/v1/company/erase",
    tag = "controller",
    security(("erase" = [])),
    request_body = EraseCompanyRequest,
    responses(
        (status = 200, description = "How far it has come", body = ErasedCompany),
        BodyRefusals,
    )
)]
pub(crate) async fn erase(
    State(app): State<App>,
    caller: Caller<EraseAll>,
    Json(mut request, _): Json<EraseCompanyRequest>,
) -> Result<Answer<ErasedCompany>, ApiError> {
    check(&mut request.owner)?;
    if request.not_before.duration_since(Timestamp::now()) > AHEAD {
        return Err(ApiError::Malformed(
            "notBefore lies more than ten minutes ahead; send a time that has passed, and compare the clocks"
                .to_owned(),
        ));
    }
    let (company, actor) = (&caller.company, caller.actor());
    let erased = app
        .store
        .erase_company(company, &request, &actor, now(), BUDGET)
        .await?;
    if erased.belongs == Belonging::Ours {
        app.revoked.learn([(company.clone(), request.not_before)]);
    }
    info!(
        rows = erased.rows,
        done = erased.done,
        belongs = ?erased.belongs,
        "erases what is held about the company"
    );
    Ok(Answer(erased))
}

/// Say how the link is
///
/// What the status of the integration says of its link to Salesforce, for who looks at calls: why
/// names are missing, since when and what to do about it. Nothing else of the cluster is told.
#[utoipa::path(
    put,
    path = "/v1/company/health",
    tag = "controller",
    security(("controller" = [])),
    request_body = LinkHealth,
    responses((status = 200, description = "What is kept", body = LinkHealth), BodyRefusals)
)]
pub(crate) async fn health(
    State(app): State<App>,
    caller: Caller<Control>,
    Json(mut told, _): Json<LinkHealth>,
) -> Result<Answer<LinkHealth>, ApiError> {
    for (field, value, most) in [
        ("reason", &mut told.reason, MAX_CODE_CHARS),
        ("cause", &mut told.cause, MAX_SENTENCE_CHARS),
        ("remedy", &mut told.remedy, MAX_SENTENCE_CHARS),
        ("timeZone", &mut told.time_zone, MAX_CODE_CHARS),
    ] {
        *value = text(field, Some(std::mem::take(value)), most)?.unwrap_or_default();
    }
    told.last_outcome = text("lastOutcome", told.last_outcome, MAX_CODE_CHARS)?;
    app.store.tell_link(&caller.company, &told, now()).await?;
    info!(
        ready = told.ready,
        reason = told.reason,
        "the controller says how the link is"
    );
    Ok(Answer(told))
}

fn check(owner: &mut Owner) -> Result<(), ApiError> {
    for (field, value, most) in [
        ("owner.uid", &mut owner.uid, MAX_UID_CHARS),
        ("owner.namespace", &mut owner.namespace, MAX_NAME_CHARS),
        ("owner.name", &mut owner.name, MAX_NAME_CHARS),
    ] {
        *value = text(field, Some(std::mem::take(value)), most)?.ok_or_else(|| {
            ApiError::Malformed(format!("{field} is empty; name the integration"))
        })?;
    }
    Ok(())
}
