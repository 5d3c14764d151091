//! `GET /v1/contacts.csv`: every contact, in the format that MiiTel imports.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tracing::{Span, info, warn};

use super::middleware::auth::{Caller, Read};
use super::middleware::error::ApiError;
use super::middleware::responses::Refusals;
use super::{App, now};
use crate::directory::model::Contact;
use crate::directory::store::audit::Record;
use crate::directory::store::{StoreError, audit};
use crate::error::Chain;
use crate::phone::E164;
use crate::plain_text::csv;

/// MiiTel's header: company, person, phone number, categories.
const HEADER: &str = "取引先会社名,取引先担当者名,電話番号,カテゴリー\r\n";

/// Contacts per read; it bounds the memory of an export.
const CHUNK: u32 = 1_000;

/// All contacts as CSV
///
/// UTF-8, in the order of the numbers. National numbers of Japan are written in domestic digits as
/// MiiTel writes them, all others in E.164. A name that a spreadsheet would take for a formula has
/// an apostrophe before it.
#[utoipa::path(
    get,
    path = "/v1/contacts.csv",
    tag = "lookup",
    security(("lookup" = []), ("admin" = [])),
    responses(
        (status = 200, description = "The contacts, streamed; an answer that breaks off is incomplete",
            body = String, content_type = "text/csv"),
        Refusals,
    )
)]
pub(crate) async fn export(
    State(app): State<App>,
    caller: Caller<Read>,
) -> Result<Response, ApiError> {
    let record = Record::new(audit::CONTACTS_EXPORTED);
    app.store
        .record(&caller.company, &caller.actor(), &record, now())
        .await?;
    let company = caller.company;
    // Read before the status is sent, so that an unavailable database gives a 503 instead of a
    // broken file.
    let first = app.store.contacts_after(&company, "", CHUNK).await?;
    info!("exports the contacts");
    let head = stream::iter([Ok::<_, StoreError>(Bytes::from_static(HEADER.as_bytes()))]);
    let rest = stream::try_unfold(Some(first), move |contacts| {
        let (store, company) = (app.store.clone(), company.clone());
        async move {
            let Some(contacts) = contacts else {
                return Ok(None);
            };
            let next = match contacts.last() {
                Some(last) if contacts.len() == CHUNK as usize => {
                    let after = last.number.as_str();
                    Some(store.contacts_after(&company, after, CHUNK).await?)
                }
                _ => None,
            };
            let lines: String = contacts.iter().map(line).collect();
            Ok(Some((Bytes::from(lines), next)))
        }
    });
    // The lines are read after the handler has ended, and belong to its request all the same.
    let span = Span::current();
    let lines = head.chain(rest).inspect_err(move |error: &StoreError| {
        span.in_scope(|| warn!(error = %Chain(error), "an export of contacts broke off"));
    });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (CONTENT_DISPOSITION, "attachment; filename=\"contacts.csv\""),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn line(contact: &Contact) -> String {
    format!(
        "{},{},{},\r\n",
        csv::field(contact.company_name.as_deref().unwrap_or_default()),
        csv::field(contact.person_name.as_deref().unwrap_or_default()),
        number(&contact.number)
    )
}

/// Domestic digits without hyphens for Japan, E.164 for all other countries. Neither form is a
/// harmful formula.
fn number(number: &E164) -> String {
    match number.as_str().strip_prefix("+81") {
        Some(national) => format!("0{national}"),
        None => number.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_platform_writes_it() {
        assert_eq!(number(&"+81312345678".parse().unwrap()), "0312345678");
        assert_eq!(number(&"+13125550100".parse().unwrap()), "+13125550100");
    }
}
