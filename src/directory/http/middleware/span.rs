//! The span of a request, `request{company,route,status}`: every line that is logged on the way
//! belongs to one.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span, debug, error_span};

use crate::company_id::CompanyId;

/// Opens the span. By the route, not the path: a path may hold a phone number, a query anything.
pub(crate) async fn open(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str);
    let span = error_span!("request", company = Empty, route, status = Empty);
    answer(request, next).instrument(span).await
}

async fn answer(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let began = Instant::now();
    let response = next.run(request).await;
    Span::current().record("status", response.status().as_u16());
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    debug!(%method, took_ms, "answered");
    response
}

/// Says whose request it is, once its token tells.
pub(crate) fn is_of(company: &CompanyId) {
    Span::current().record("company", display(company));
}
