//! `GET /v1/calls`: the call history with names.

use axum::Json;
use axum::extract::State;

use super::App;
use super::middleware::auth::{Caller, Read};
use super::middleware::cursor;
use super::middleware::error::ApiError;
use super::middleware::input::{Params, within};
use super::middleware::responses::Refusals;
use crate::directory::model::{CallsPage, CallsQuery, Problem};
use crate::directory::store::{CallFilter, NumberFilter};
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
        after,
        limit,
    })
}
