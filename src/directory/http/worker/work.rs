//! `/v1/worker/...`: workers lease calls, mark them done and write contacts. Every request may be
//! repeated.

use std::collections::HashSet;

use axum::Json as Answer;
use axum::extract::State;
use tracing::info;

use super::MAX_RECORD_ID_CHARS;
use crate::directory::http::middleware::app::{App, now};
use crate::directory::http::middleware::auth::{Caller, Work};
use crate::directory::http::middleware::error::ApiError;
use crate::directory::http::middleware::input::{Json, bulk, text, within};
use crate::directory::http::middleware::responses::BodyRefusals;
use crate::directory::model::follow::Holder;
use crate::directory::model::{
    AgainRequest, Alternatives, ClaimRequest, ClaimedCalls, DoneReceipt, DoneRequest, FoundContact,
    MAX_NUMBERS, NumbersToAsk, Reading, ReleaseReceipt, ReleaseRequest, WriteContactsReceipt,
    WriteContactsRequest,
};
use crate::follow::MAX_HOLDERS;
use crate::resolve::MAX_ALTERNATIVES;

pub(super) const MAX_NAME_CHARS: usize = 1_000;
const MAX_LINK_CHARS: usize = 2_000;
const MAX_REASON_CHARS: usize = 200;
const MAX_HOLDER_CHARS: usize = 100;
const MAX_FINGERPRINT_CHARS: usize = 100;
const MAX_RUN_CHARS: usize = 253;
const MAX_HISTORY_DAYS: u32 = 9_999;
const MAX_ROUND_SECONDS: u32 = 86_400;

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
    Json(request, _): Json<ClaimRequest>,
) -> Result<Answer<ClaimedCalls>, ApiError> {
    check_holder(&request.holder)?;
    within("limit", request.limit, 1, 1_000)?;
    within("claimFor", request.claim_for, 1, 3_600)?;
    let now = app.shared_time().await?;
    let claimed = app.store.claim(&caller.company, &request, now).await?;
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
    Json(mut request, _): Json<DoneRequest>,
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
    Json(request, _): Json<ReleaseRequest>,
) -> Result<Answer<ReleaseReceipt>, ApiError> {
    check_holder(&request.holder)?;
    let released = app.store.release(&caller.company, &request.holder).await?;
    info!(holder = request.holder, released, "took calls back");
    Ok(Answer(ReleaseReceipt { released }))
}

/// Write contacts
///
/// All of them or none. `only-missing` leaves every contact that is there as it is, `overwrite`
/// replaces it, whoever wrote it. A contact that is there exactly as sent counts as written. What a
/// later claim than `claimedAt` wrote is kept.
///
/// Each number of the request counts as asked: what Salesforce did not know is asked again after 1,
/// 2, 4, 8, 16 and 30 days, and at once when `settings` changes.
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
    Json(mut request, _): Json<WriteContactsRequest>,
) -> Result<Answer<WriteContactsReceipt>, ApiError> {
    bulk("contacts", request.contacts.len())?;
    bulk("notFound", request.not_found.len())?;
    check_fingerprint(&request.settings)?;
    if let Some(by) = &mut request.asked_by {
        let run = text(
            "askedBy.run",
            Some(std::mem::take(&mut by.run)),
            MAX_RUN_CHARS,
        )?;
        by.run = run.unwrap_or_default();
    }
    let mut numbers = HashSet::new();
    request.contacts = std::mem::take(&mut request.contacts)
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
    for (index, number) in request.not_found.iter().enumerate() {
        if !numbers.insert(number.clone()) {
            return Err(ApiError::Malformed(format!(
                "notFound[{index}] comes twice; send each number once"
            )));
        }
    }
    let now = app.shared_time().await?;
    let receipt = app
        .store
        .write_contacts(&caller.company, &request, now)
        .await?;
    info!(
        policy = ?request.policy,
        written = receipt.written(),
        kept = receipt.kept(),
        not_found = request.not_found.len(),
        gone = receipt.gone,
        "wrote contacts"
    );
    Ok(Answer(receipt))
}

/// Which numbers to ask again
///
/// Those of a re-retrieval that was requested, the newest call first, and then the misses that are
/// due. `begin` begins a re-retrieval, once for each `request`. Nothing is handed out for a time: a
/// number comes again until a write of contacts says what Salesforce knows about it.
#[utoipa::path(
    post,
    path = "/v1/worker/numbers/again",
    tag = "worker",
    security(("worker" = [])),
    request_body = AgainRequest,
    responses(
        (status = 200, description = "The numbers; none when nothing is left", body = NumbersToAsk),
        BodyRefusals,
    )
)]
pub(crate) async fn numbers_to_ask(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<AgainRequest>,
) -> Result<Answer<NumbersToAsk>, ApiError> {
    check_fingerprint(&request.settings)?;
    within("limit", request.limit, 0, MAX_NUMBERS as u32)?;
    within("roundEvery", request.round_every, 0, MAX_ROUND_SECONDS)?;
    if let Some(begin) = &request.begin {
        check_word("begin.request", &begin.request)?;
        within("begin.historyDays", begin.history_days, 1, MAX_HISTORY_DAYS)?;
    }
    let numbers = app
        .store
        .numbers_to_ask(&caller.company, &request, app.shared_time().await?)
        .await?;
    info!(
        request = request.begin.as_ref().map(|begin| begin.request.as_str()),
        retrieval = numbers.retrieval.len(),
        misses = numbers.misses.len(),
        remaining = numbers.remaining,
        "found the numbers to ask again"
    );
    Ok(Answer(numbers))
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
        title: text(&format!("{path}.title"), contact.title, MAX_NAME_CHARS)?,
        owner_name: text(
            &format!("{path}.ownerName"),
            contact.owner_name,
            MAX_NAME_CHARS,
        )?,
        alternatives: contact
            .alternatives
            .map(|alternatives| checked_alternatives(path, alternatives))
            .transpose()?,
        holders: contact
            .holders
            .map(|holders| checked_holders(path, holders))
            .transpose()?,
        all_holders: contact.all_holders,
    })
}

fn checked_holders(path: &str, holders: Vec<Holder>) -> Result<Vec<Holder>, ApiError> {
    let path = format!("{path}.holders");
    if holders.len() > MAX_HOLDERS {
        return Err(ApiError::Malformed(format!(
            "{path} has {} entries; send at most {MAX_HOLDERS}",
            holders.len()
        )));
    }
    let holders = holders.into_iter().enumerate().map(|(index, holder)| {
        let field = |name: &str| format!("{path}[{index}].{name}");
        let id = Some(holder.record_id);
        let name = |name: &str, value| text(&field(name), value, MAX_NAME_CHARS);
        Ok(Holder {
            object: holder.object,
            record_id: text(&field("recordId"), id, MAX_RECORD_ID_CHARS)?
                .ok_or_else(|| ApiError::Malformed(format!("{} is empty", field("recordId"))))?,
            account_id: text(&field("accountId"), holder.account_id, MAX_RECORD_ID_CHARS)?,
            company_name: name("companyName", holder.company_name)?,
            person_name: name("personName", holder.person_name)?,
            title: name("title", holder.title)?,
            owner_name: name("ownerName", holder.owner_name)?,
            modified_at: holder.modified_at,
        })
    });
    holders.collect()
}

fn checked_alternatives(
    path: &str,
    mut alternatives: Alternatives,
) -> Result<Alternatives, ApiError> {
    let path = format!("{path}.alternatives.records");
    if alternatives.records.len() > MAX_ALTERNATIVES {
        return Err(ApiError::Malformed(format!(
            "{path} has {} entries; send at most {MAX_ALTERNATIVES}",
            alternatives.records.len()
        )));
    }
    for (index, record) in alternatives.records.iter_mut().enumerate() {
        let field = |name: &str| format!("{path}[{index}].{name}");
        let id = std::mem::take(&mut record.record_id);
        record.record_id = text(&field("recordId"), Some(id), MAX_RECORD_ID_CHARS)?
            .ok_or_else(|| ApiError::Malformed(format!("{} is empty", field("recordId"))))?;
        record.person_name = text(
            &field("personName"),
            record.person_name.take(),
            MAX_NAME_CHARS,
        )?;
        record.company_name = text(
            &field("companyName"),
            record.company_name.take(),
            MAX_NAME_CHARS,
        )?;
    }
    Ok(alternatives)
}

pub(super) fn check_holder(holder: &str) -> Result<(), ApiError> {
    check_word("holder", holder)
}

fn check_word(field: &str, word: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if (1..=MAX_HOLDER_CHARS).contains(&word.len()) && word.bytes().all(allowed) {
        Ok(())
    } else {
        Err(ApiError::Malformed(format!(
            "{field} must be 1 to 100 letters, digits, `-`, `_`, `.` or `/`"
        )))
    }
}

fn check_fingerprint(settings: &str) -> Result<(), ApiError> {
    let fits = settings.len() <= MAX_FINGERPRINT_CHARS
        && settings.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(())
    } else {
        Err(ApiError::Malformed(format!(
            "settings must be at most {MAX_FINGERPRINT_CHARS} printable characters without spaces"
        )))
    }
}
