//! `/v1/contacts/{number}`: reads the contact of a caller, and edits contacts by hand.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tracing::info;
use utoipa::IntoParams;

use super::middleware::auth::{Caller, Edit, Read};
use super::middleware::error::ApiError;
use super::middleware::input::{Json, NumberInPath, Params, text};
use super::middleware::responses::{BodyRefusals, Refusals};
use super::{App, now, rings};
use crate::directory::model::{Contact, ContactEdit, ContactSource, Problem};
use crate::phone;
use crate::phone::Region;

const MAX_NAME_CHARS: usize = 255;

/// How the number in the path is read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NumberParams {
    /// The region that a national number is read with; the token's region when absent.
    #[param(value_type = Option<String>, pattern = "^[A-Z]{2}$", example = "JP")]
    region: Option<Region>,
}

/// How the number in the path is read, and for how long an answer is awaited.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindParams {
    /// The region that a national number is read with; the token's region when absent.
    #[param(value_type = Option<String>, pattern = "^[A-Z]{2}$", example = "JP")]
    region: Option<Region>,
    /// How long to wait for Salesforce where it was not asked about the number lately: seconds or
    /// milliseconds, at most 10s. Salesforce is not asked when absent.
    #[param(pattern = "^[0-9]{1,5}(s|ms)$", example = "3s")]
    wait: Option<String>,
}

/// Who is calling
///
/// The number in any spelling: `0312345678`, `03-1234-5678`, `+81 3 1234 5678` (percent-encoded).
/// Where it has no contact, the records of the address book answer that hold it.
///
/// With `wait`, Salesforce is asked about a number at once that it was not asked about within ten
/// minutes (`--ring-again-after`), ahead of everything else, and the answer comes as soon as its
/// contact is written. Where none is within the time, the code says why, and a name that Salesforce
/// has arrives later: `salesforce-slow`, `salesforce-unreachable`, `budget-exhausted`, `withheld`
/// (the integration does not ask now), `ring-failed`, `nobody-asks` (no controller is connected),
/// `ring-rate` (more numbers ring than `--ring-rate` says) or `too-many-waiting`.
#[utoipa::path(
    get,
    path = "/v1/contacts/{number}",
    tag = "lookup",
    security(("lookup" = []), ("admin" = [])),
    params(("number" = String, Path, description = "The number, in any spelling", example = "0312345678"), FindParams),
    responses(
        (status = 200, description = "Who it is", body = Contact),
        (status = 400, description = "The region does not exist, or `wait` is too long", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "Nobody is known under this number. The code says why: `not-asked-yet`, \
            `not-found-in-salesforce`, `gone-from-salesforce`, `removed` (by hand), `erased`, `not-a-phone-number`, \
            or with `wait` one of those above", body = Problem,
            content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(crate) async fn find(
    State(app): State<App>,
    caller: Caller<Read>,
    NumberInPath(number): NumberInPath,
    Params(params): Params<FindParams>,
) -> Result<Answer<Contact>, ApiError> {
    let wait = params.wait.as_deref().map(rings::wait).transpose()?;
    let region = params.region.unwrap_or(caller.region);
    let number = phone::parse(&number, &region).map_err(ApiError::NotANumber)?;
    match (rings::known(&app, &caller.company, &number).await, wait) {
        (Err(ApiError::UnknownNumber(_)), Some(wait)) => {
            rings::known_within(&app, caller, &number, wait).await
        }
        (known, _) => known,
    }
    .map(Answer)
}

/// Edit a contact by hand
///
/// Puts the names in the place of whatever is there. The daily run leaves such a contact alone, the
/// after-call run overwrites it.
#[utoipa::path(
    put,
    path = "/v1/contacts/{number}",
    tag = "admin",
    security(("admin" = [])),
    params(("number" = String, Path, description = "The number, in any spelling", example = "0312345678"), NumberParams),
    request_body = ContactEdit,
    responses(
        (status = 200, description = "The contact as it is now", body = Contact),
        (status = 409, description = "The number was erased", body = Problem,
            content_type = "application/problem+json"),
        BodyRefusals,
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller<Edit>,
    NumberInPath(number): NumberInPath,
    Params(params): Params<NumberParams>,
    Json(edit, _): Json<ContactEdit>,
) -> Result<Answer<Contact>, ApiError> {
    let region = params.region.unwrap_or(caller.region);
    let contact = Contact {
        number: phone::parse(&number, &region).map_err(ApiError::NumberRefused)?,
        company_name: text("companyName", edit.company_name, MAX_NAME_CHARS)?,
        person_name: text("personName", edit.person_name, MAX_NAME_CHARS)?,
        object: None,
        record_id: None,
        link: None,
        title: None,
        owner_name: None,
        alternatives: None,
        source: ContactSource::Manual,
        updated_at: now(),
        asked_at: None,
        not_found: false,
    };
    if contact.company_name.is_none() && contact.person_name.is_none() {
        return Err(ApiError::Malformed(
            "companyName and personName are both empty; write at least one".to_owned(),
        ));
    }
    let actor = caller.actor();
    if !app
        .store
        .put_contact(&caller.company, &contact, &actor)
        .await?
    {
        return Err(ApiError::ErasedNumber);
    }
    info!("a contact was edited by hand");
    let asked = app.store.asked(&caller.company, &contact.number).await?;
    Ok(Answer(Contact {
        asked_at: asked.asked_at,
        not_found: asked.not_found,
        ..contact
    }))
}

/// Remove a contact
///
/// Its calls stay, without the name, and are not looked up again for it by themselves; the next
/// call of the number is, and a re-retrieval asks for it.
#[utoipa::path(
    delete,
    path = "/v1/contacts/{number}",
    tag = "admin",
    security(("admin" = [])),
    params(("number" = String, Path, description = "The number, in any spelling", example = "0312345678"), NumberParams),
    responses(
        (status = 204, description = "Nobody is known under the number any more, or nobody was"),
        (status = 400, description = "Not a phone number", body = Problem,
            content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller<Edit>,
    NumberInPath(number): NumberInPath,
    Params(params): Params<NumberParams>,
) -> Result<StatusCode, ApiError> {
    let region = params.region.unwrap_or(caller.region);
    let number = phone::parse(&number, &region).map_err(ApiError::NumberRefused)?;
    let actor = caller.actor();
    let removed = app
        .store
        .remove_contact(&caller.company, &number, &actor, now())
        .await?;
    info!(removed, "a contact was removed by hand");
    Ok(StatusCode::NO_CONTENT)
}
