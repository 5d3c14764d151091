//! `/v1/worker/...`: workers lease calls, mark them done and write contacts. Every request may be
//! repeated.

use std::collections::HashSet;

use axum::Json as Answer;
use axum::extract::State;
use tracing::info;

use super::middleware::auth::{Caller, Work};
use super::middleware::error::ApiError;
use super::middleware::input::{Json, bulk, text, within};
use super::middleware::responses::BodyRefusals;
use super::{App, now};
use crate::directory::model::{
    ClaimRequest, ClaimedCalls, DoneReceipt, DoneRequest, FoundContact, Reading, ReleaseReceipt,
    ReleaseRequest, WriteContactsReceipt, WriteContactsRequest,
};

const MAX_NAME_CHARS: usize = 1_000;
const MAX_LINK_CHARS: usize = 2_000;
const MAX_RECORD_ID_CHARS: usize = 32;
const MAX_REASON_CHARS: usize = 200;
const MAX_HOLDER_CHARS: usize = 100;

/// Take calls to resolve
///
/// Hands out calls that have ended and are not done, the oldest number first, all calls of a number
/// together. Nobody else gets them for `claimFor` seconds. A holder that asks again first gets back
/// what it has and did not finish.
#[utoipa::path(
    post,
    path = "/v1/worker/calls/claim",
    tag = "worker",
    security(("worker" = [])),
    request_body = ClaimRequest,
    responses(
        (status = 200, description = "The calls; none when nothing is left", body = ClaimedCalls),
        BodyRefusals,
    )
)]
pub(crate) async fn claim(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request): Json<ClaimRequest>,
) -> Result<Answer<ClaimedCalls>, ApiError> {
    check_holder(&request.holder)?;
    within("limit", request.limit, 1, 1_000)?;
    within("claimFor", request.claim_for, 1, 3_600)?;
    let claimed = app.store.claim(&caller.company, &request, now()).await?;
    info!(
        holder = request.holder,
        calls = claimed.calls.len(),
        settled = claimed.settled,
        "handed out calls"
    );
    Ok(Answer(claimed))
}

/// Mark calls done
///
/// With the number as the worker read it, or the reason why it is none. Whether a call is matched
/// does not stand here: it is, as soon as its number has a contact.
#[utoipa::path(
    post,
    path = "/v1/worker/calls/done",
    tag = "worker",
    security(("worker" = [])),
    request_body = DoneRequest,
    responses(
        (status = 200, description = "They are done", body = DoneReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn done(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(mut request): Json<DoneRequest>,
) -> Result<Answer<DoneReceipt>, ApiError> {
    bulk("calls", request.calls.len())?;
    for (index, call) in request.calls.iter_mut().enumerate() {
        if let Reading::NotLookedUp(reason) = &mut call.reading {
            let field = format!("calls[{index}].reading.notLookedUp");
            *reason =
                text(&field, Some(std::mem::take(reason)), MAX_REASON_CHARS)?.ok_or_else(|| {
                    ApiError::Malformed(format!("{field} is empty; write the reason"))
                })?;
        }
    }
    let receipt = app
        .store
        .done(&caller.company, &request.calls, now())
        .await?;
    info!(
        done = receipt.done,
        unknown = receipt.unknown,
        "marked calls done"
    );
    Ok(Answer(receipt))
}

/// Hand calls back
///
/// Everything that the holder has taken and not marked done is free for the next worker at once.
#[utoipa::path(
    post,
    path = "/v1/worker/calls/release",
    tag = "worker",
    security(("worker" = [])),
    request_body = ReleaseRequest,
    responses(
        (status = 200, description = "They are free", body = ReleaseReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn release(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request): Json<ReleaseRequest>,
) -> Result<Answer<ReleaseReceipt>, ApiError> {
    check_holder(&request.holder)?;
    let released = app.store.release(&caller.company, &request.holder).await?;
    info!(holder = request.holder, released, "took calls back");
    Ok(Answer(ReleaseReceipt { released }))
}

/// Write contacts
///
/// All of them or none. `only-missing` leaves every contact that is there as it is, `overwrite`
/// replaces it, whoever wrote it. A contact that is there exactly as sent counts as written.
#[utoipa::path(
    post,
    path = "/v1/worker/contacts",
    tag = "worker",
    security(("worker" = [])),
    request_body = WriteContactsRequest,
    responses(
        (status = 200, description = "What became of each number", body = WriteContactsReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn write_contacts(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(WriteContactsRequest { policy, contacts }): Json<WriteContactsRequest>,
) -> Result<Answer<WriteContactsReceipt>, ApiError> {
    bulk("contacts", contacts.len())?;
    let mut numbers = HashSet::new();
    let contacts = contacts
        .into_iter()
        .enumerate()
        .map(|(index, contact)| {
            let contact = checked(&format!("contacts[{index}]"), contact)?;
            if numbers.insert(contact.number.clone()) {
                Ok(contact)
            } else {
                Err(ApiError::Malformed(format!(
                    "contacts[{index}].number comes twice; send each number once"
                )))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let receipt = app
        .store
        .write_contacts(&caller.company, policy, &contacts, now())
        .await?;
    info!(
        ?policy,
        written = receipt.written(),
        kept = receipt.kept(),
        "wrote contacts"
    );
    Ok(Answer(receipt))
}

fn checked(path: &str, contact: FoundContact) -> Result<FoundContact, ApiError> {
    let record_id = text(
        &format!("{path}.recordId"),
        Some(contact.record_id),
        MAX_RECORD_ID_CHARS,
    )?
    .ok_or_else(|| {
        ApiError::Malformed(format!("{path}.recordId is empty; send the record's ID"))
    })?;
    Ok(FoundContact {
        number: contact.number,
        company_name: text(
            &format!("{path}.companyName"),
            contact.company_name,
            MAX_NAME_CHARS,
        )?,
        person_name: text(
            &format!("{path}.personName"),
            contact.person_name,
            MAX_NAME_CHARS,
        )?,
        object: contact.object,
        record_id,
        link: text(&format!("{path}.link"), contact.link, MAX_LINK_CHARS)?,
    })
}

fn check_holder(holder: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if (1..=MAX_HOLDER_CHARS).contains(&holder.len()) && holder.bytes().all(allowed) {
        Ok(())
    } else {
        Err(ApiError::Malformed(
            "holder must be 1 to 100 letters, digits, `-`, `_`, `.` or `/`".to_owned(),
        ))
    }
}
