//! `/v1/worker/follow`: what workers need to let contacts follow Salesforce. Every request may be
//! repeated.

use axum::Json as Answer;
use axum::extract::State;
use tracing::info;

use super::MAX_RECORD_ID_CHARS;
use crate::directory::http::middleware::app::{App, now};
use crate::directory::http::middleware::auth::{Caller, Work};
use crate::directory::http::middleware::error::ApiError;
use crate::directory::http::middleware::input::{Json, bulk, within};
use crate::directory::http::middleware::responses::BodyRefusals;
use crate::directory::model::follow::{
    FollowReceipt, FollowState, KnownNumbers, KnownRequest, PutFollow, RecordsPage, RecordsRequest,
};

/// The longest number, with its plus sign.
const MAX_NUMBER_CHARS: usize = 16;

/// Which numbers records are about
///
/// The numbers of contacts that one of the records holds, or a contact of one of them, and those of
/// `numbers` that the directory knows: with a contact, or as one that Salesforce was asked for.
#[utoipa::path(
    post,
    path = "/v1/worker/follow/numbers",
    tag = "worker",
    security(("worker" = [])),
    request_body = KnownRequest,
    responses(
        (status = 200, description = "The numbers, in order", body = KnownNumbers),
        BodyRefusals,
    )
)]
pub(crate) async fn known_numbers(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<KnownRequest>,
) -> Result<Answer<KnownNumbers>, ApiError> {
    bulk("recordIds", request.record_ids.len())?;
    bulk("numbers", request.numbers.len())?;
    within("limit", request.limit, 1, 1_000)?;
    for (index, id) in request.record_ids.iter().enumerate() {
        if id.is_empty() || id.len() > MAX_RECORD_ID_CHARS {
            return Err(ApiError::Malformed(format!(
                "recordIds[{index}] must be 1 to {MAX_RECORD_ID_CHARS} characters"
            )));
        }
    }
    let known = app.store.known_numbers(&caller.company, &request).await?;
    info!(
        records = request.record_ids.len(),
        asked = request.numbers.len(),
        known = known.numbers.len(),
        "found the numbers of records"
    );
    Ok(Answer(known))
}

/// Which records the contacts are from
///
/// For a comparison of all contacts with their records: the contacts that came from Salesforce, in
/// the order of their numbers.
#[utoipa::path(
    post,
    path = "/v1/worker/follow/records",
    tag = "worker",
    security(("worker" = [])),
    request_body = RecordsRequest,
    responses(
        (status = 200, description = "The records", body = RecordsPage),
        BodyRefusals,
    )
)]
pub(crate) async fn records(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<RecordsRequest>,
) -> Result<Answer<RecordsPage>, ApiError> {
    within("limit", request.limit, 1, 1_000)?;
    check_number("after", &request.after)?;
    let page = app
        .store
        .records_of_contacts(&caller.company, &request)
        .await?;
    info!(
        records = page.records.len(),
        "found the records of contacts"
    );
    Ok(Answer(page))
}

/// How far changes are followed
#[utoipa::path(
    get,
    path = "/v1/worker/follow",
    tag = "worker",
    security(("worker" = [])),
    responses(
        (status = 200, description = "The state", body = FollowState),
        BodyRefusals,
    )
)]
pub(crate) async fn state(
    State(app): State<App>,
    caller: Caller<Work>,
) -> Result<Answer<FollowState>, ApiError> {
    Ok(Answer(app.store.follow_state(&caller.company).await?))
}

/// Keep how far changes are followed
///
/// A state whose revision is not the one that is kept is not taken: another worker was faster, and
/// `state` is what that one wrote.
#[utoipa::path(
    put,
    path = "/v1/worker/follow",
    tag = "worker",
    security(("worker" = [])),
    request_body = PutFollow,
    responses(
        (status = 200, description = "The state that is kept now", body = FollowReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn put_state(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<PutFollow>,
) -> Result<Answer<FollowReceipt>, ApiError> {
    if let Some(number) = &request.state.reconciled_up_to {
        check_number("state.reconciledUpTo", number)?;
    }
    let receipt = app
        .store
        .put_follow(&caller.company, &request, now())
        .await?;
    info!(
        stored = receipt.stored,
        revision = receipt.state.revision,
        watermark = receipt.state.watermark.map(tracing::field::display),
        "kept how far changes are followed"
    );
    Ok(Answer(receipt))
}

fn check_number(field: &str, number: &str) -> Result<(), ApiError> {
    let plain = |byte: u8| byte == b'+' || byte.is_ascii_digit();
    if number.len() <= MAX_NUMBER_CHARS && number.bytes().all(plain) {
        return Ok(());
    }
    Err(ApiError::Malformed(format!(
        "{field} must be a number in E.164 form, or the empty text"
    )))
}
