//! `/v1/worker/rings/...`: who asks Salesforce takes rings, and says which could not be asked. The
//! answers are written as contacts.

use axum::Json as Answer;
use axum::extract::State;
use tracing::info;

use super::work::check_holder;
use crate::directory::http::middleware::app::App;
use crate::directory::http::middleware::auth::{Caller, Work};
use crate::directory::http::middleware::error::ApiError;
use crate::directory::http::middleware::input::{Json, bulk, within};
use crate::directory::http::middleware::responses::BodyRefusals;
use crate::directory::model::rings::{
    ClaimRingsRequest, ClaimedRings, MAX_RINGS, SettleRingsReceipt, SettleRingsRequest,
};

const MAX_SECONDS: u32 = 300;

/// Take rings to answer
///
/// Hands out numbers that ring and that Salesforce is to be asked about, the newest first. Nobody
/// else gets them for `claimFor` seconds. They are answered by `POST /v1/worker/contacts`, found or
/// not.
#[utoipa::path(
    post,
    path = "/v1/worker/rings/claim",
    tag = "worker",
    security(("worker" = [])),
    request_body = ClaimRingsRequest,
    responses(
        (status = 200, description = "The rings; none when nothing is left", body = ClaimedRings),
        BodyRefusals,
    )
)]
pub(crate) async fn claim(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<ClaimRingsRequest>,
) -> Result<Answer<ClaimedRings>, ApiError> {
    check_holder(&request.holder)?;
    within("limit", request.limit, 1, MAX_RINGS)?;
    within("claimFor", request.claim_for, 1, MAX_SECONDS)?;
    let now = app.shared_time().await?;
    let claimed = app.store.claim_rings(&caller.company, &request, now);
    let claimed = claimed.await?;
    let rings = claimed.rings.len();
    info!(holder = request.holder, rings, "handed out rings");
    Ok(Answer(claimed))
}

/// Say why rings were not asked
///
/// Whoever waits for them is told at once. They are handed out again a minute later, until ten
/// minutes after they rang.
#[utoipa::path(
    post,
    path = "/v1/worker/rings/settle",
    tag = "worker",
    security(("worker" = [])),
    request_body = SettleRingsRequest,
    responses(
        (status = 200, description = "They are settled", body = SettleRingsReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn settle(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<SettleRingsRequest>,
) -> Result<Answer<SettleRingsReceipt>, ApiError> {
    check_holder(&request.holder)?;
    bulk("numbers", request.numbers.len())?;
    let now = app.shared_time().await?;
    let settled = app.store.settle_rings(&caller.company, &request, now);
    let settled = settled.await?;
    info!(
        holder = request.holder,
        settled,
        why = request.why.word(),
        "rings were not asked"
    );
    Ok(Answer(SettleRingsReceipt { settled }))
}
