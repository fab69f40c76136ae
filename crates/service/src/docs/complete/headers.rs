//! The headers that every route has: those of responses, which depend only on the status, and the preconditions of
//! requests ([`crate::caching`]).

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required, Response};

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

/// A list of entity tags (RFC 9110, 8.8.3 and 5.6.1). A comma between quotes is a part of a tag.
const ENTITY_TAGS: &str = r#"[ ,]*(W/)?"[!#-~]*"( *,[ ,]*(W/)?"[!#-~]*")*[ ,]*"#;

/// Adds both preconditions to operations with 304 or 412.
pub(super) fn add_preconditions(operation: &mut Operation) {
    let responses = &operation.responses.responses;
    if responses.contains_key("304") {
        let if_match = "Reads only where the present ETag is among these, or `*`; otherwise 412";
        add(operation, header("If-Match", Some(format!(r"^(\*|{ENTITY_TAGS})$")), if_match));
        // A read ignores an `If-None-Match` that it cannot parse.
        add(operation, header("If-None-Match", None, "Answers 304 where the present ETag is among these, or `*`"));
    } else if responses.contains_key("412") {
        let (if_match, if_none_match) = (
            "Writes only where the present ETag is among these, or `*` where there is any; otherwise 412",
            "Writes only where the present ETag is not among these, or `*` where there is none; otherwise 412",
        );
        // Tools that generate values prefer the first alternative, and with these two the condition holds.
        add(operation, header("If-Match", Some(format!(r"^(\*|{ENTITY_TAGS})$")), if_match));
        add(operation, header("If-None-Match", Some(format!(r"^({ENTITY_TAGS}|\*)$")), if_none_match));
    }
}

fn header(name: &str, pattern: Option<String>, description: &str) -> Parameter {
    let format = pattern.is_some().then(|| SchemaFormat::Custom("entity-tags".to_owned()));
    let tags = ObjectBuilder::new().schema_type(Type::String).format(format).pattern(pattern);
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(tags))
        .build()
}

/// Adds a parameter. A parameter that is already described keeps its description.
fn add(operation: &mut Operation, mut parameter: Parameter) {
    let parameters = operation.parameters.get_or_insert_default();
    parameters.retain(|known| {
        let RefOr::T(known) = known else { return true };
        if known.name != parameter.name {
            return true;
        }
        if known.description.is_some() {
            parameter.description.clone_from(&known.description);
        }
        false
    });
    parameters.push(RefOr::T(parameter));
}
