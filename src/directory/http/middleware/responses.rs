//! Error responses that all endpoints share, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::content::Content;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{HeaderBuilder, ObjectBuilder, Ref, RefOr, Response};

/// Error responses of an endpoint that takes a token.
pub(crate) struct Refusals;

/// Error responses of an endpoint that takes a token and a body.
pub(crate) struct BodyRefusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([
            problem(401, "No token, or not a valid one", false),
            problem(403, "A token for something else", false),
            problem(
                429,
                "The company sends more than its share; ask again later",
                true,
            ),
            problem(
                503,
                "Cannot serve now; send it again, repeating it does no harm",
                true,
            ),
        ])
    }
}

impl IntoResponses for BodyRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = Refusals::responses();
        responses.extend([
            problem(
                400,
                "The request is malformed; nothing of it is kept",
                false,
            ),
            problem(413, "The body is too large, packed or unpacked", false),
            problem(
                415,
                "The body is packed in another way than gzip or deflate",
                false,
            ),
        ]);
        responses
    }
}

fn problem(status: u16, description: &str, later: bool) -> (String, RefOr<Response>) {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content);
    if later {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("After how many seconds"))
            .build();
        response = response.header("Retry-After", header);
    }
    (status.to_string(), RefOr::T(response.build()))
}
