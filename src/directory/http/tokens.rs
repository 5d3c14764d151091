//! `/v1/tokens/...`: the controller says which tokens of a company are revoked.

use axum::Json as Answer;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use tracing::info;

use super::App;
use super::middleware::auth::{Caller, Control};
use super::middleware::error::ApiError;
use super::middleware::input::Json;
use super::middleware::responses::BodyRefusals;
use crate::directory::model::TokensNotBefore;

/// How far ahead of this clock a time may be. A later one would refuse the tokens that are minted
/// now.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// Revoke tokens
///
/// From now on every token of the company that was issued before this time is refused, whatever its
/// purpose. The time only goes forward; the answer holds the one that counts.
#[utoipa::path(
    put,
    path = "/v1/tokens/not-before",
    tag = "controller",
    security(("controller" = [])),
    request_body = TokensNotBefore,
    responses(
        (status = 200, description = "They are refused", body = TokensNotBefore),
        BodyRefusals,
    )
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller<Control>,
    Json(request, _): Json<TokensNotBefore>,
) -> Result<Answer<TokensNotBefore>, ApiError> {
    if request.not_before.duration_since(Timestamp::now()) > AHEAD {
        return Err(ApiError::Malformed(
            "notBefore lies more than ten minutes ahead; send a time that has passed, and compare the clocks"
                .to_owned(),
        ));
    }
    let company = &caller.company;
    let stored = app.store.refuse_tokens_before(company, request.not_before);
    let not_before = stored.await?;
    app.revoked.learn([(company.clone(), not_before)]);
    info!(%not_before, "tokens that were issued before are revoked");
    Ok(Answer(TokensNotBefore { not_before }))
}
