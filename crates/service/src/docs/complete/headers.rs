//! The response headers that depend only on the status.

use utoipa::openapi::Response;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// Describes the headers that a response of `status` always has.
pub(super) fn describe(status: &str, response: &mut Response) {
    let mut add = |name: &str, header: Header| {
        response.headers.entry(name.to_owned()).or_insert_with(|| header.into());
    };
    add("Cache-Control", text("What a cache may do with the response (RFC 9111, 5.2)"));
    match status {
        "201" => add("Location", text("The address of what was created")),
        "304" => add("ETag", text("The validator that the client has")),
        "401" => add("WWW-Authenticate", text("How to authenticate (RFC 9110, 11.6.1)")),
        "503" => add(
            "Retry-After",
            required(ObjectBuilder::new().schema_type(Type::Integer), "Seconds until a retry makes sense"),
        ),
        _ => {}
    }
}

fn text(description: &str) -> Header {
    required(ObjectBuilder::new().schema_type(Type::String), description)
}

fn required(schema: ObjectBuilder, description: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        // OpenAPI has this field (4.8.21), but utoipa does not.
        .extensions(Some(Extensions::from_iter([("required", true)])))
        .build()
}
