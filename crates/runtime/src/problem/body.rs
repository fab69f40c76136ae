//! A JSON body that was read, or the problem that says why not.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web::BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::Problem;

/// The longest body that is read, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// Extracts a JSON body: 415 unless it is declared as JSON, 413 above [`BODY_LIMIT`], 400 when
/// it isn't JSON, 422 with the field's path when it isn't a `T`.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared = declared_as_json(request);
        let payload = payload.take();
        Box::pin(async move {
            declared?;
            parse(&read(payload).await?).map(Self)
        })
    }
}

fn declared_as_json(request: &HttpRequest) -> Result<(), Problem> {
    match request.mime_type() {
        Ok(Some(mime)) if mime.subtype() == "json" || mime.suffix().is_some_and(|suffix| suffix == "json") => Ok(()),
        _ => Err(Problem::unsupported_media_type("the Content-Type must be application/json")),
    }
}

/// Reads the whole body. When it is refused half way, the server answers, discards what is still
/// under way for a moment, and closes the connection; so the client sees the answer.
async fn read(mut payload: Payload) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => Problem::body_too_large(BODY_LIMIT),
            other => Problem::malformed(format!("the body can't be read: {other}")),
        })?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Problem::body_too_large(BODY_LIMIT));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            Category::Data => invalid(&path, &error),
            _ => Problem::malformed(format!("the body isn't JSON: {error}")),
        }
    })?;
    json.end().map_err(|error| Problem::malformed(format!("the body isn't JSON: {error}")))?;
    Ok(value)
}

/// `path` ends at the field, except for one that is missing: then serde's message names it.
/// The body as a whole is `$`.
fn invalid(path: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (missing, path) {
        (Some(field), ".") => Problem::invalid_field(field, "is missing"),
        (Some(field), parent) => Problem::invalid_field(format!("{parent}.{field}"), "is missing"),
        (None, ".") => Problem::invalid_field("$", message),
        (None, path) => Problem::invalid_field(path, message),
    }
}
