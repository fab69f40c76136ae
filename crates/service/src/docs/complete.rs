//! Adds to a description the parts that hold for every route, because one module implements them for all routes.
//!
//! | part | implemented in |
//! |---|---|
//! | every error is a problem, `application/problem+json` | [`crate::problem`] |
//! | requests refused before a handler: 400, 408, 413, 415, 431; and 500, 503 | [`crate::problem`], [`crate::server`] |
//! | HEAD for every GET | [`crate::response_middleware`] |
//! | `If-Match` and `If-None-Match` with every 304 or 412; 412 for every read with 304 | [`crate::caching`] |
//! | `Cache-Control` always; `WWW-Authenticate` with 401 | [`crate::response_middleware`], [`crate::problem`] |
//! | `Retry-After` with 503; `ETag` with 304, `Location` with 201 | [`crate::problem`], [`crate::response`] |

mod headers;

use utoipa::Number;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::schema::{KnownFormat, Schema, SchemaFormat};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{Kind, Problem};

const MEDIA_TYPE: &str = "application/problem+json";

/// The problems that are possible for any request.
const ALWAYS: [Kind; 5] =
    [Kind::Malformed, Kind::RequestTimeout, Kind::HeadersTooLarge, Kind::Internal, Kind::Unavailable];
/// The additional problems of a request with a body.
const WITH_BODY: [Kind; 3] = [Kind::BodyTooLarge, Kind::UnsupportedMediaType, Kind::InvalidFields];

/// Returns the complete description of a service whose own routes `openapi` describes.
pub fn complete(mut openapi: OpenApi) -> OpenApi {
    for (path, item) in &mut openapi.paths.paths {
        complete_path(path, item);
    }
    let components = openapi.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let mut referenced = Vec::new();
    Problem::schemas(&mut referenced);
    components.schemas.extend(referenced);
    components.schemas.values_mut().for_each(state_range);
    openapi
}

/// States the range of integers, which their format implies: tools that generate numbers only use a stated range.
fn state_range(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    let (least, most) = match object.format {
        Some(SchemaFormat::KnownFormat(KnownFormat::Int32)) => (i32::MIN as isize, i32::MAX as isize),
        Some(SchemaFormat::KnownFormat(KnownFormat::Int64)) => (isize::MIN, isize::MAX),
        _ => {
            object.properties.values_mut().for_each(state_range);
            return;
        }
    };
    object.minimum.get_or_insert(Number::Int(least));
    object.maximum.get_or_insert(Number::Int(most));
}

fn complete_path(path: &str, item: &mut PathItem) {
    let methods = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ];
    for (method, operation) in methods {
        if let Some(operation) = operation {
            operation.operation_id = Some(operation_id(method, path));
            complete_operation(operation);
        }
    }
    item.head = item.get.as_ref().map(|get| head_of(get, path));
}

/// Returns a unique id; the names of handlers are not unique.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| id + "_" + word)
}

fn complete_operation(operation: &mut Operation) {
    let with_body: &[Kind] = if operation.request_body.is_some() { &WITH_BODY } else { &[] };
    let responses = &mut operation.responses.responses;
    for kind in ALWAYS.iter().chain(with_body) {
        let status = kind.status().as_u16().to_string();
        responses.entry(status).or_insert_with(|| Response::new(kind.title()).into());
    }
    if responses.contains_key("304") {
        responses.entry("412".to_owned()).or_insert_with(|| Response::new(Kind::PreconditionFailed.title()).into());
    }
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) {
            response.content.clear();
            response.content.insert(MEDIA_TYPE.to_owned(), RefOr::T(problem()));
        }
        if response.description.is_empty() {
            response.description = phrase(status);
        }
        headers::describe(status, response);
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter { schema: Some(schema), .. }) = parameter {
            state_range(schema);
        }
    }
    headers::add_preconditions(operation);
}

fn problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build()
}

fn phrase(status: &str) -> String {
    let code = status.parse().ok().and_then(|code| actix_web::http::StatusCode::from_u16(code).ok());
    code.and_then(|code| code.canonical_reason()).unwrap_or(status).to_owned()
}

/// Returns the description of HEAD: that of GET without bodies.
fn head_of(get: &Operation, path: &str) -> Operation {
    let mut head = get.clone();
    head.operation_id = Some(operation_id("head", path));
    head.summary = Some("The status and headers of GET, without the body.".to_owned());
    head.description = None;
    for response in head.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
    head
}
