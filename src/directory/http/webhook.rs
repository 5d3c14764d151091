//! `POST /v1/webhooks/calls`: receives calls from the phone platform.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tracing::{info, warn};

use super::middleware::auth::{Caller, Ingest};
use super::middleware::body::Body;
use super::middleware::error::ApiError;
use super::middleware::responses::BodyRefusals;
use super::{App, now};
use crate::directory::model::webhook::Webhook;
use crate::directory::model::{Receipt, webhook};

/// How many refused legs an answer names.
const MAX_PROBLEMS: usize = 20;

/// Bring calls in
///
/// Takes MiiTel's call-history webhook as it is. A delivery may come any number of times and in any
/// order: a leg is known by `details[].id`, a later delivery completes it and never empties it. A
/// leg that cannot be read is named in `problems`, and the others are kept; where none can be read
/// the answer is 400. A time is ISO 8601 with an offset, a number of seconds (10 digits) or
/// milliseconds (13 digits) since 1970, or null. The body may be packed with gzip or deflate. The
/// answer comes after the commit. News of another company than the token's (`tenant_code`) is
/// answered 403.
///
/// When the setting is saved the platform sends `{"challenge": "TOKEN"}`; the answer is the token
/// as plain text.
#[utoipa::path(
    post,
    path = "/v1/webhooks/calls",
    tag = "ingest",
    security(("ingest" = [])),
    request_body(
        content = Object,
        description = "MiiTel's call-history payload, or its challenge",
        example = json!({"call": {"id": "8f7c", "tenant_code": "acme-tokyo", "details": [{
            "id": "51d2", "call_type": "INCOMING_CALL", "from_number": "0312345678", "to_number": null,
            "dial_starts_at": "2026-11-23T01:02:03+00:00", "dial_answered_at": null,
            "dial_ends_at": "2026-11-23T01:02:33+00:00"}]}})
    ),
    responses(
        (status = 200, description = "What can be read is kept; or, to a challenge, its token", content(
            (Receipt = "application/json"),
            (String = "text/plain"),
        )),
        BodyRefusals,
    )
)]
pub(crate) async fn receive(
    State(app): State<App>,
    caller: Caller<Ingest>,
    body: Body,
) -> Result<Response, ApiError> {
    let company = &caller.company;
    let delivery = match webhook::read(body.content()) {
        Ok(Webhook::Challenge(token)) => {
            info!("answered the webhook's challenge");
            return Ok(([(CONTENT_TYPE, "text/plain")], token).into_response());
        }
        Ok(Webhook::Calls(delivery)) => delivery,
        Err(malformed) => {
            warn!(reason = %malformed, "refused a webhook");
            return Err(malformed.into());
        }
    };
    if delivery
        .tenant_code
        .as_deref()
        .is_some_and(|code| code != company.as_str())
    {
        warn!("refused a webhook of another company");
        return Err(ApiError::WrongCompany);
    }
    let mut receipt = app
        .store
        .record_calls(company, caller.region, &delivery.legs, now())
        .await?;
    let refused = &delivery.refused;
    if let Some(first) = refused.first() {
        warn!(legs = refused.len(), first = %first, "refused legs of a webhook");
        receipt.refused = u32::try_from(refused.len()).unwrap_or(u32::MAX);
        receipt.received = receipt.received.saturating_add(receipt.refused);
        receipt.problems = refused
            .iter()
            .take(MAX_PROBLEMS)
            .map(ToString::to_string)
            .collect();
        app.metrics.legs_refused(receipt.refused);
    }
    info!(
        receipt.received,
        receipt.added, receipt.changed, "recorded calls"
    );
    Ok(Json(receipt).into_response())
}
