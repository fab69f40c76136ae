//! Sets `Cache-Control` in every response that has none (RFC 9111, 5.2).
//!
//! Without the header, a shared cache may assume a lifetime. A response to GET with a validator may be stored and must
//! be validated before each use. All other responses must not be stored: errors, health, metrics, responses to writes.

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderValue};

/// The response must not be stored.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// The response may be stored, and must be validated before each use.
pub(crate) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

pub(super) fn set_default(method: &Method, response: &mut ServiceResponse) {
    if response.headers().contains_key(CACHE_CONTROL) {
        return;
    }
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let validates = is_read && !is_error && response.headers().contains_key(ETAG);
    response.headers_mut().insert(CACHE_CONTROL, if validates { NO_CACHE } else { NO_STORE });
}
