//! `/v1/numbers/...` and `/v1/audit`: what is held about a number is erased or exported, and who
//! did what. The number stands in the body: addresses are written into logs on the way.

use axum::Json as Answer;
use axum::extract::State;
use tracing::info;

use super::middleware::auth::{Caller, Protect};
use super::middleware::cursor;
use super::middleware::error::ApiError;
use super::middleware::input::{Json, Params, text, within};
use super::middleware::responses::{BodyRefusals, Refusals};
use super::{App, now};
use crate::directory::model::Problem;
use crate::directory::model::privacy::{
    AuditPage, AuditQuery, ErasedNumber, NumberExport, NumberRequest, RestoredNumber,
};
use crate::directory::store::audit::AuditFilter;
use crate::directory::store::{NumberFilter, Position};
use crate::phone;
use crate::phone::Region;

const MAX_NUMBER_CHARS: usize = 200;
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;
const MAX_HASH_CHARS: usize = 64;

/// Erase a number
///
/// Deletes the calls, the contact and everything else that is held about a number, and leaves a
/// keyed hash: from now on neither runs nor webhooks bring the number back, nor does an edit by
/// hand. Calls that are delivered again are answered and not kept.
#[utoipa::path(
    post,
    path = "/v1/numbers/erase",
    tag = "privacy",
    security(("privacy" = [])),
    request_body = NumberRequest,
    responses(
        (status = 200, description = "It is erased", body = ErasedNumber),
        BodyRefusals,
    )
)]
pub(crate) async fn erase(
    State(app): State<App>,
    caller: Caller<Protect>,
    Json(request, _): Json<NumberRequest>,
) -> Result<Answer<ErasedNumber>, ApiError> {
    let (number, region) = read(request, caller.region)?;
    let actor = caller.actor();
    let erased = app
        .store
        .erase_number(&caller.company, &number, region, &actor, now())
        .await?;
    info!(
        calls = erased.calls,
        contacts = erased.contacts,
        records = erased.records,
        "erased a number"
    );
    Ok(Answer(erased))
}

/// Keep an erased number again
///
/// Takes back the keyed hash that an erasure has left. What was erased does not come back; new
/// calls of the number are kept again.
#[utoipa::path(
    post,
    path = "/v1/numbers/restore",
    tag = "privacy",
    security(("privacy" = [])),
    request_body = NumberRequest,
    responses(
        (status = 200, description = "It may be kept", body = RestoredNumber),
        BodyRefusals,
    )
)]
pub(crate) async fn restore(
    State(app): State<App>,
    caller: Caller<Protect>,
    Json(request, _): Json<NumberRequest>,
) -> Result<Answer<RestoredNumber>, ApiError> {
    let (number, _) = read(request, caller.region)?;
    let (company, actor) = (&caller.company, caller.actor());
    let was_erased = app
        .store
        .restore_number(company, &number, &actor, now())
        .await?;
    info!(was_erased, "a number may be kept again");
    Ok(Answer(RestoredNumber {
        number_hash: app.store.number_hash(company, number.text()),
        was_erased,
    }))
}

/// Export a number
///
/// Everything that is held about a number, as one document: its contact, its calls, what Salesforce
/// was asked, and what the audit has.
#[utoipa::path(
    post,
    path = "/v1/numbers/export",
    tag = "privacy",
    security(("privacy" = [])),
    request_body = NumberRequest,
    responses(
        (status = 200, description = "What is held", body = NumberExport),
        BodyRefusals,
    )
)]
pub(crate) async fn export(
    State(app): State<App>,
    caller: Caller<Protect>,
    Json(request, _): Json<NumberRequest>,
) -> Result<Answer<NumberExport>, ApiError> {
    let (number, region) = read(request, caller.region)?;
    let (company, actor, now) = (&caller.company, caller.actor(), now());
    let held = app
        .store
        .export_number(company, &number, region, &actor, now)
        .await?;
    info!(calls = held.calls.len(), "exported a number");
    Ok(Answer(NumberExport {
        company: company.clone(),
        number_hash: app.store.number_hash(company, number.text()),
        e164: match number {
            NumberFilter::E164(e164) => Some(e164),
            NumberFilter::Spelled(_) => None,
        },
        exported_at: now,
        erased_at: held.erased_at,
        contact: held.contact,
        asked_at: held.asked.asked_at,
        not_found: held.asked.not_found,
        was: held.asked.was,
        records: held.records,
        ring: held.ring,
        calls: held.calls,
        more_calls: held.more_calls,
        audit: held.audit,
    }))
}

/// The audit
///
/// Who read contacts as CSV, edited, erased or exported what, newest first. Numbers stand there as
/// keyed hashes.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "privacy",
    security(("privacy" = [])),
    params(AuditQuery),
    responses(
        (status = 200, description = "A page of entries", body = AuditPage),
        (status = 400, description = "A filter is malformed", body = Problem,
            content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(crate) async fn audit(
    State(app): State<App>,
    caller: Caller<Protect>,
    Params(query): Params<AuditQuery>,
) -> Result<Answer<AuditPage>, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    within("limit", limit, 1, MAX_LIMIT)?;
    let after = query.cursor.as_deref().map(cursor::read).transpose()?;
    let hash = text("numberHash", query.number_hash, MAX_HASH_CHARS)?;
    let filter = AuditFilter {
        number_hashes: hash.into_iter().collect(),
        after: after.map(|after| (after.started_at, after.id)),
        limit,
    };
    let (entries, next) = app.store.audit(&caller.company, &filter).await?;
    let next = next.map(|(started_at, id)| Position { started_at, id });
    Ok(Answer(AuditPage {
        entries,
        next_cursor: next.as_ref().map(cursor::write),
    }))
}

/// The number that a request names, and the region that it is read with.
fn read(request: NumberRequest, region: Region) -> Result<(NumberFilter, Region), ApiError> {
    let region = request.region.unwrap_or(region);
    let number = text("number", Some(request.number), MAX_NUMBER_CHARS)?.ok_or_else(|| {
        ApiError::Malformed("number is empty; write the number, in any spelling".to_owned())
    })?;
    let filter = match phone::parse(&number, &region) {
        Ok(e164) => NumberFilter::E164(e164),
        Err(_) => NumberFilter::Spelled(number),
    };
    Ok((filter, region))
}
