//! The bytes of a body, within the limits of length and time that hold for every body.

use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::Problem;

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

/// Extracts a body of any type as it was sent: 413 if it has more than [`BODY_LIMIT`] bytes, 408 if it does not arrive
/// within `HTTP__BODY_TIMEOUT`, and 400 if it breaks off.
#[derive(Debug, Clone)]
pub struct BodyBytes(pub Bytes);

impl FromRequest for BodyBytes {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let BodyTimeout(limit) = request.app_data().copied().unwrap_or_default();
        let payload = payload.take();
        Box::pin(async move {
            let body = timeout(limit, read(payload)).await.map_err(|_| Problem::request_timeout(limit))??;
            Ok(Self(body.freeze()))
        })
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

/// Reads the whole body. If the body is refused halfway, the server responds, discards the incoming rest for a moment,
/// and closes the connection; so the client receives the response.
async fn read(mut payload: Payload) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => Problem::body_too_large(BODY_LIMIT),
            other => Problem::malformed(format!("The body cannot be read: {other}.")),
        })?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Problem::body_too_large(BODY_LIMIT));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
