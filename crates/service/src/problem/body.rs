//! The extractor of a JSON body, which returns a problem if the body cannot be used.

use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web::BytesMut};
use futures_util::StreamExt;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::Track;
use tokio::time::timeout;

use super::strict::StrictJson;
use super::{FieldError, Problem};

/// The maximum length of a body, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// How long a client may take to send a body, from the end of its headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTimeout(pub(crate) Duration);

impl Default for BodyTimeout {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

/// Extracts a JSON body. It refuses, in this order:
///
/// | status | when |
/// |---|---|
/// | 413 | the body declares more than [`BODY_LIMIT`] bytes (for every route: [`crate::response_middleware`]), or has more |
/// | 415 | it is not declared as JSON in UTF-8, or it is compressed |
/// | 408 | it does not arrive within `HTTP__BODY_TIMEOUT` |
/// | 400 | it is not JSON |
/// | 422 | it is not a `T`: each struct is a JSON object, and no field is `null` |
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared = declared_type(request);
        let BodyTimeout(limit) = request.app_data().copied().unwrap_or_default();
        let payload = payload.take();
        Box::pin(async move {
            declared?;
            let body = timeout(limit, read(payload)).await.map_err(|_| Problem::request_timeout(limit))??;
            parse(&body).map(Self)
        })
    }
}

impl<T: Validate<Context = ()>> Body<T> {
    /// Returns the value, if its fields are within their bounds.
    ///
    /// # Errors
    /// Returns a problem that names each field that is not.
    pub fn valid(self) -> Result<T, Problem> {
        match self.0.validate() {
            Ok(()) => Ok(self.0),
            Err(report) => Err(Problem::invalid_fields(
                report.iter().map(|(path, error)| FieldError::new(path.to_string(), error.to_string())).collect(),
            )),
        }
    }
}

/// Refuses a body before a byte of it is read, and before the client is told to send it (`Expect: 100-continue`).
pub(crate) fn check_declared_length(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_LENGTH).map(exceeds_limit) {
        Some(true) => Err(Problem::body_too_large(BODY_LIMIT)),
        _ => Ok(()),
    }
}

/// Returns whether a `Content-Length` is above [`BODY_LIMIT`].
fn exceeds_limit(length: &HeaderValue) -> bool {
    // The HTTP parser has refused a length that is not a number.
    length
        .to_str()
        .ok()
        .and_then(|length| length.trim().parse::<u64>().ok())
        .is_some_and(|length| length > BODY_LIMIT as u64)
}

fn declared_type(request: &HttpRequest) -> Result<(), Problem> {
    let mime = request.mime_type().ok().flatten();
    let is_json = mime
        .as_ref()
        .is_some_and(|mime| mime.subtype() == "json" || mime.suffix().is_some_and(|suffix| suffix == "json"));
    if !is_json {
        return Err(Problem::unsupported_media_type("the Content-Type must be application/json"));
    }
    // RFC 8259, 8.1: JSON is UTF-8, of which ASCII is a subset.
    let charset = mime.as_ref().and_then(|mime| mime.get_param("charset"));
    if charset.is_some_and(|charset| charset != "utf-8" && charset != "us-ascii") {
        return Err(Problem::unsupported_media_type("the charset must be utf-8"));
    }
    let mut encodings = request.headers().get_all(CONTENT_ENCODING);
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::unsupported_media_type(
            "the Content-Encoding must be identity: compressed bodies are not read",
        ));
    }
    Ok(())
}

/// Reads the whole body. If the body is refused halfway, the server responds, discards the incoming rest for a moment,
/// and closes the connection; so the client receives the response.
async fn read(mut payload: Payload) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => Problem::body_too_large(BODY_LIMIT),
            other => Problem::malformed(format!("the body cannot be read: {other}")),
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
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let value = T::deserialize(StrictJson(tracked)).map_err(|error| match error.classify() {
        Category::Data => invalid(&track.path().to_string(), &error),
        _ => Problem::malformed(format!("the body is not valid JSON: {error}")),
    })?;
    json.end().map_err(|error| Problem::malformed(format!("the body is not valid JSON: {error}")))?;
    Ok(value)
}

/// Creates the problem of an invalid field. `path` ends at the field, except for a missing one: then serde's message
/// names it. The body as a whole is `$`.
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
