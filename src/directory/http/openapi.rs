//! The OpenAPI document, generated from the handlers and the wire types.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::worker::{book, follow, rings as worker_rings, work};
use super::{calls, company, contacts, contacts_csv, privacy, rings, tokens, waiting, webhook};
use crate::directory::model::Problem;
use crate::directory::model::tokens::Purpose;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Switchboard directory",
        version = "v1",
        description = "Call history and contacts of a phone platform's tenants. A token is good for one company and \
                       one purpose; every answer is about that company only. The controller's stream of who waits alone names no company."
    ),
    paths(
        webhook::receive,
        rings::push,
        contacts::find,
        contacts::put,
        contacts::remove,
        contacts_csv::export,
        calls::list,
        calls::why,
        calls::why_of_number,
        work::claim,
        work::done,
        work::release,
        work::write_contacts,
        work::numbers_to_ask,
        privacy::erase,
        privacy::export,
        privacy::restore,
        privacy::audit,
        company::claim,
        company::book,
        company::health,
        company::erase,
        follow::known_numbers,
        follow::records,
        follow::state,
        follow::put_state,
        book::state,
        book::begin,
        book::write,
        book::finish,
        book::remove,
        book::holders,
        tokens::revoke,
        worker_rings::claim,
        worker_rings::settle,
        waiting::follow,
    ),
    components(schemas(Problem)),
    tags(
        (name = "ingest", description = "For the phone platform"),
        (name = "lookup", description = "For screens that read"),
        (name = "admin", description = "For edits by hand"),
        (name = "privacy", description = "For who answers for the protection of data"),
        (name = "worker", description = "For the workers; every request may be repeated without harm"),
        (name = "controller", description = "For the controller alone"),
    ),
    modifiers(&Tokens),
)]
struct Api;

/// Adds one bearer scheme per purpose, so that the document shows which token an endpoint takes.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        for purpose in [
            Purpose::Ingest,
            Purpose::Lookup,
            Purpose::Admin,
            Purpose::Worker,
            Purpose::Privacy,
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some(format!(
                    "A token for the purpose `{purpose}`, from the tenant's Secret"
                )))
                .build();
            components.add_security_scheme(purpose.to_string(), SecurityScheme::Http(scheme));
        }
        for purpose in [Purpose::Controller, Purpose::Erase, Purpose::Operator] {
            let own = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some("A token that the controller mints for itself"))
                .build();
            components.add_security_scheme(purpose.to_string(), SecurityScheme::Http(own));
        }
    }
}

/// The document as text, made from the handlers: what `docs/directory-openapi.json` has to be.
pub(crate) fn document() -> Result<String, serde_json::Error> {
    Api::openapi().to_pretty_json().map(|text| text + "\n")
}

/// The document that is served. A test compares it with [`document`]: to make it anew would bring
/// the schemas of all types into the program.
const TEXT: &str = include_str!("../../../docs/directory-openapi.json");

/// `GET /v1/openapi.json`. It needs no token, because the document contains nothing about a tenant.
pub(crate) async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], TEXT).into_response()
}
