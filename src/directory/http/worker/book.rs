//! `/v1/worker/book`: the address book, for companies that keep every record with a phone number.
//! Every request may be repeated.

use std::collections::HashSet;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use tracing::info;
use url::Url;

use super::check_id;
use super::work::MAX_NAME_CHARS;
use crate::directory::http::middleware::app::{App, now};
use crate::directory::http::middleware::auth::{Caller, Work};
use crate::directory::http::middleware::error::ApiError;
use crate::directory::http::middleware::input::{Json, Params, bulk, text};
use crate::directory::http::middleware::responses::{BodyRefusals, Refusals};
use crate::directory::model::book::{
    BeginFill, Book, BookQuery, BookRecord, DropReceipt, FillPart, FinishFill, FinishReceipt,
    HoldersFound, HoldersRequest, MAX_NUMBERS_OF_A_RECORD, MAX_PARTS, WriteRecords,
    WriteRecordsReceipt,
};

const MAX_JOB_ID_CHARS: usize = 100;
const MAX_LOCATOR_CHARS: usize = 1_000;
const MAX_INSTANCE_CHARS: usize = 300;

/// For how long one request ends a fill, or takes a book away.
const BUDGET: Duration = Duration::from_secs(4);

/// How far the address book is
///
/// Its size, and the fill that is under way, with which a worker goes on that was killed.
#[utoipa::path(
    get,
    path = "/v1/worker/book",
    tag = "worker",
    security(("worker" = [])),
    params(BookQuery),
    responses((status = 200, description = "The address book", body = Book), Refusals)
)]
pub(crate) async fn state(
    State(app): State<App>,
    caller: Caller<Work>,
    Params(query): Params<BookQuery>,
) -> Result<Answer<Book>, ApiError> {
    let mut book = app.store.book(&caller.company).await?;
    if query.by_object {
        book.by_object = Some(app.store.book_by_object(&caller.company).await?);
    }
    Ok(Answer(book))
}

/// Begin a fill of the address book
///
/// The company has an address book from now on. A fill that is under way goes on, unless `anew`.
#[utoipa::path(
    post,
    path = "/v1/worker/book/fill",
    tag = "worker",
    security(("worker" = [])),
    request_body = BeginFill,
    responses(
        (status = 200, description = "The address book with the fill", body = Book),
        BodyRefusals,
    )
)]
pub(crate) async fn begin(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<BeginFill>,
) -> Result<Answer<Book>, ApiError> {
    if let Some(instance) = &request.instance {
        let is_url = Url::parse(instance).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_url || instance.len() > MAX_INSTANCE_CHARS {
            return Err(ApiError::Malformed(
                "instance must be the address of the org, such as https://acme.my.salesforce.com"
                    .to_owned(),
            ));
        }
    }
    let book = app
        .store
        .begin_fill(&caller.company, &request, now())
        .await?;
    info!(
        generation = book.generation,
        anew = request.anew,
        "a fill of the address book is under way"
    );
    Ok(Answer(book))
}

/// Write records
///
/// All of them or none: records with their numbers, records that are gone, names of accounts, and
/// how far the fill is that read them. A number that was erased is left out.
#[utoipa::path(
    post,
    path = "/v1/worker/book/records",
    tag = "worker",
    security(("worker" = [])),
    request_body = WriteRecords,
    responses(
        (status = 200, description = "What became of the records", body = WriteRecordsReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn write(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(mut request, _): Json<WriteRecords>,
) -> Result<Answer<WriteRecordsReceipt>, ApiError> {
    bulk("records", request.records.len())?;
    bulk("gone", request.gone.len())?;
    bulk("accounts", request.accounts.len())?;
    let mut ids = HashSet::new();
    for (index, record) in request.records.iter_mut().enumerate() {
        check(&format!("records[{index}]"), record)?;
        if !ids.insert(record.record_id.as_str()) {
            return Err(twice(&format!("records[{index}].recordId")));
        }
    }
    for (index, id) in request.gone.iter().enumerate() {
        check_id(&format!("gone[{index}]"), id)?;
        if !ids.insert(id) {
            return Err(twice(&format!("gone[{index}]")));
        }
    }
    let mut accounts = HashSet::new();
    for (index, account) in request.accounts.iter_mut().enumerate() {
        let field = format!("accounts[{index}]");
        check_id(&format!("{field}.recordId"), &account.record_id)?;
        name(&format!("{field}.name"), &mut account.name)?;
        if let Some(id) = &account.merged_into {
            check_id(&format!("{field}.mergedInto"), id)?;
        }
        if !accounts.insert(account.record_id.as_str()) {
            return Err(twice(&format!("{field}.recordId")));
        }
    }
    if let Some(step) = &request.fill {
        check_parts(&step.parts)?;
    }
    let receipt = app
        .store
        .write_records(&caller.company, &request, now())
        .await?;
    info!(
        taken = receipt.taken,
        written = receipt.written,
        kept = receipt.kept,
        removed = receipt.removed,
        fill = request.fill.is_some(),
        "wrote records"
    );
    Ok(Answer(receipt))
}

/// End a fill
///
/// The records go that the fill did not see, some thousands at a time. Repeat it until it is done.
#[utoipa::path(
    post,
    path = "/v1/worker/book/finish",
    tag = "worker",
    security(("worker" = [])),
    request_body = FinishFill,
    responses(
        (status = 200, description = "How far the end is", body = FinishReceipt),
        BodyRefusals,
    )
)]
pub(crate) async fn finish(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<FinishFill>,
) -> Result<Answer<FinishReceipt>, ApiError> {
    let receipt = app
        .store
        .finish_fill(&caller.company, request, BUDGET)
        .await?;
    info!(
        done = receipt.done,
        removed = receipt.removed,
        "ended a fill of the address book"
    );
    Ok(Answer(receipt))
}

/// Take the address book away
///
/// Who is calling is not answered from it any more, from the first request on. Repeat it until it
/// is done.
#[utoipa::path(
    delete,
    path = "/v1/worker/book",
    tag = "worker",
    security(("worker" = [])),
    responses((status = 200, description = "How far it is gone", body = DropReceipt), Refusals)
)]
pub(crate) async fn remove(
    State(app): State<App>,
    caller: Caller<Work>,
) -> Result<Answer<DropReceipt>, ApiError> {
    let company = caller.company.as_str();
    let receipt = app.store.drop_book(company, BUDGET).await?;
    info!(
        done = receipt.done,
        rows = receipt.rows,
        "took the address book away"
    );
    Ok(Answer(receipt))
}

/// The records of numbers
///
/// Those of the address book that hold one of the numbers.
#[utoipa::path(
    post,
    path = "/v1/worker/book/holders",
    tag = "worker",
    security(("worker" = [])),
    request_body = HoldersRequest,
    responses(
        (status = 200, description = "The records", body = HoldersFound),
        BodyRefusals,
    )
)]
pub(crate) async fn holders(
    State(app): State<App>,
    caller: Caller<Work>,
    Json(request, _): Json<HoldersRequest>,
) -> Result<Answer<HoldersFound>, ApiError> {
    bulk("numbers", request.numbers.len())?;
    let found = app.store.holders(&caller.company, &request.numbers).await?;
    info!(
        numbers = request.numbers.len(),
        records = found.records.len(),
        "found the records of numbers"
    );
    Ok(Answer(found))
}

fn check(path: &str, record: &mut BookRecord) -> Result<(), ApiError> {
    check_id(&format!("{path}.recordId"), &record.record_id)?;
    if let Some(account) = &record.account_id {
        check_id(&format!("{path}.accountId"), account)?;
    }
    if record.numbers.len() > MAX_NUMBERS_OF_A_RECORD {
        return Err(ApiError::Malformed(format!(
            "{path}.numbers has {} entries; send at most {MAX_NUMBERS_OF_A_RECORD}",
            record.numbers.len()
        )));
    }
    name(&format!("{path}.companyName"), &mut record.company_name)?;
    name(&format!("{path}.personName"), &mut record.person_name)?;
    name(&format!("{path}.title"), &mut record.title)?;
    name(&format!("{path}.ownerName"), &mut record.owner_name)
}

fn name(field: &str, name: &mut Option<String>) -> Result<(), ApiError> {
    *name = text(field, name.take(), MAX_NAME_CHARS)?;
    Ok(())
}

fn check_parts(parts: &[FillPart]) -> Result<(), ApiError> {
    if parts.len() > MAX_PARTS {
        return Err(ApiError::Malformed(format!(
            "fill.parts has {} entries; send at most {MAX_PARTS}",
            parts.len()
        )));
    }
    for (index, part) in parts.iter().enumerate() {
        let fields = [
            ("jobId", &part.job_id, MAX_JOB_ID_CHARS),
            ("locator", &part.locator, MAX_LOCATOR_CHARS),
        ];
        for (field, value, most) in fields {
            text(&format!("fill.parts[{index}].{field}"), value.clone(), most)?;
        }
    }
    Ok(())
}

fn twice(field: &str) -> ApiError {
    ApiError::Malformed(format!("{field} comes twice; send each record once"))
}
