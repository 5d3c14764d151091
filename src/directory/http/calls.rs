//! `GET /v1/calls`: the call history with names.

use axum::Json;
use axum::extract::State;

use super::middleware::auth::{Caller, Read};
use super::middleware::cursor;
use super::middleware::error::ApiError;
use super::middleware::input::{NumberInPath, Params, within};
use super::middleware::responses::Refusals;
use super::{App, now};
use crate::directory::model::{CallsPage, CallsQuery, Problem};
use crate::directory::store::{CallFilter, NumberFilter};
use crate::directory::why::Why;
use crate::phone;
use crate::phone::Region;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// The call history
///
/// Newest first, with the names known for each number at this moment. To read on, ask for
/// `nextCursor` with the same filters: calls that come in meanwhile neither shift nor repeat what
/// follows.
#[utoipa::path(
    get,
    path = "/v1/calls",
    tag = "lookup",
    security(("lookup" = []), ("admin" = [])),
    params(CallsQuery),
    responses(
        (status = 200, description = "A page of calls", body = CallsPage),
        (status = 400, description = "A filter is malformed", body = Problem,
            content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller<Read>,
    Params(query): Params<CallsQuery>,
) -> Result<Json<CallsPage>, ApiError> {
    let filter = filter(query, caller.region)?;
    let (calls, next) = app.store.calls(&caller.company, &filter).await?;
    Ok(Json(CallsPage {
        calls,
        next_cursor: next.as_ref().map(cursor::write),
    }))
}

/// Why a call has its name, or none
///
/// What became of the call's number: how it was read, when Salesforce was asked and by which run,
/// what came back; or the step that is missing, and what to do about it.
#[utoipa::path(
    get,
    path = "/v1/calls/{id}/why",
    tag = "lookup",
    security(("lookup" = []), ("admin" = [])),
    params(("id" = String, Path, description = "The platform's ID of the leg", example = "d1")),
    responses(
        (status = 200, description = "Why", body = Why),
        (status = 404, description = "There is no such call, or its number was erased", body = Problem,
            content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(crate) async fn why(
    State(app): State<App>,
    caller: Caller<Read>,
    NumberInPath(id): NumberInPath,
) -> Result<Json<Why>, ApiError> {
    let facts = app
        .store
        .facts_of_call(&caller.company, &id, caller.region)
        .await?;
    let (_, facts) = facts.ok_or(ApiError::NoSuchCall)?;
    Ok(Json(facts.why(now())))
}

/// Why a number has its name, or none
///
/// As for a call: of the newest call of the number, or of the number alone where no call has it.
#[utoipa::path(
    get,
    path = "/v1/contacts/{number}/why",
    tag = "lookup",
    security(("lookup" = []), ("admin" = [])),
    params(("number" = String, Path, description = "The number, in any spelling", example = "0312345678")),
    responses(
        (status = 200, description = "Why", body = Why),
        (status = 404, description = "It is not a phone number", body = Problem,
            content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(crate) async fn why_of_number(
    State(app): State<App>,
    caller: Caller<Read>,
    NumberInPath(number): NumberInPath,
) -> Result<Json<Why>, ApiError> {
    let e164 = phone::parse(&number, &caller.region).map_err(ApiError::NotANumber)?;
    let facts = app
        .store
        .facts_of_number(&caller.company, &e164, caller.region)
        .await?;
    let why = facts.why(now());
    Ok(Json(Why {
        number: Some(number),
        ..why
    }))
}

fn filter(query: CallsQuery, region: Region) -> Result<CallFilter, ApiError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    within("limit", limit, 1, MAX_LIMIT)?;
    let region = query.region.unwrap_or(region);
    let number = query.number.map(|text| match phone::parse(&text, &region) {
        Ok(number) => NumberFilter::E164(number),
        Err(_) => NumberFilter::Spelled(text.trim().to_owned()),
    });
    let after = query.cursor.as_deref().map(cursor::read).transpose()?;
    Ok(CallFilter {
        number,
        from: query.from,
        to: query.to,
        matched: query.matched,
        direction: query.direction,
        name: None,
        after,
        down_to: None,
        limit,
    })
}
