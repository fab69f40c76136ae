//! Responses: bodies, and the headers that state their origin.
//!
//! `Cache-Status` (RFC 9211) names the service and the origin, `ETag` is the [validator](crate::caching) of exactly these bytes,
//! `Cache-Control` states what other caches may do, `Age` is the number of seconds since the fill, and `Server-Timing`
//! the milliseconds in the handler. Every read supports `If-Match` and `If-None-Match`.
//!
//! | header | meaning |
//! |---|---|
//! | `product-api; hit; ttl=23` | from the cache, fresh for 23 s more |
//! | `product-api; hit; ttl=-4` | from the cache, stale for 4 s, a refresh is running |
//! | `product-api; fwd=miss; stored` | loaded, and now in the cache |
//! | `product-api; fwd=miss; collapsed` | loaded once for several requests |
//! | `product-api; fwd=miss; detail=fenced` | loaded, not stored because of an invalidation in the meantime |
//! | `product-api; fwd=miss; detail=not-stored` | loaded, valid for this response only, as the loader requested |
//! | `product-api; fwd=bypass; detail=redis-down` | loaded without the cache |

use std::borrow::Cow;
use std::time::Instant;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{Error, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use bytes::Bytes;
use cache::Cached;
use contract::{ConsistencyToken, InvalidId};
use serde::Serialize;
use tracing::Instrument;

use crate::caching::{Caching, Validator, is_unchanged, require_match};
use crate::problem::Problem;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const TOKEN: HeaderName = HeaderName::from_static(ConsistencyToken::HEADER);
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A response in progress. Create it at the beginning of the handler.
#[derive(Clone, Debug)]
pub struct CacheResponse {
    cache: &'static str,
    began: Instant,
    caching: Caching,
    detail: Option<Cow<'static, str>>,
    beside: Option<Vec<u8>>,
    token: Option<ConsistencyToken>,
}

/// The source of the validator of a written value.
#[derive(Clone, Debug)]
pub enum WrittenValidator {
    /// The row's version and the body.
    Row(i64),
    /// The given validator: the body shows more than the state that the validator identifies.
    As(Validator),
    /// No validator: the value is not what a read of its address returns.
    Nothing,
}

impl CacheResponse {
    /// Starts a response now. `cache` is the service's name in `Cache-Status`.
    pub fn start(cache: &'static str) -> Self {
        Self { cache, began: Instant::now(), caching: Caching::default(), detail: None, beside: None, token: None }
    }

    /// Sets what other caches may do with the response to a read; the default is [`Caching::Validated`].
    #[must_use]
    pub fn caching(mut self, caching: Caching) -> Self {
        self.caching = caching;
        self
    }

    /// Adds `detail=…` to the `Cache-Status` of a read that has none: a token such as `product-api-down`.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the token of a write, which a client sends with its reads to see the write.
    #[must_use]
    pub fn token(mut self, token: ConsistencyToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets the data that the body shows in addition to the cached value, or how the value is truncated: it becomes
    /// part of the validator.
    #[must_use]
    pub fn with_companion(mut self, shown: Vec<u8>) -> Self {
        self.beside = Some(shown);
        self
    }

    /// Returns the response to a cached read: 200, 304, or 404 for an absent value. The body is sent as stored in
    /// Redis.
    pub fn cached<T>(self, request: &HttpRequest, fetched: &Cached<T>, what: &str) -> HttpResponse {
        let status = header_value(cache_status(self.cache, fetched, self.detail.as_deref()));
        let Some(body) = fetched.body() else {
            let mut missing = Problem::not_found(format!("There is no such {what}.")).error_response();
            missing.headers_mut().insert(CACHE_STATUS, status);
            missing.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return missing;
        };
        let validator = Validator::of_fetched(fetched, self.beside.as_deref());
        let (mut response, is_unchanged) = match conditional_response(request, validator.as_ref()) {
            Ok(conditional) => conditional,
            Err(problem) => return failed(problem),
        };
        response.insert_header((header::CACHE_CONTROL, self.caching.of(fetched)));
        response.insert_header((header::AGE, HeaderValue::from(fetched.age().as_secs())));
        response.insert_header((CACHE_STATUS, status));
        self.timed(&mut response);
        if is_unchanged {
            return response.finish();
        }
        response.insert_header(json()).body(body)
    }

    /// Returns the response to an uncached read of one row: 200, or 304 if the client has these bytes.
    pub fn row<T: Serialize>(self, request: &HttpRequest, row: &T, version: i64) -> HttpResponse {
        self.read(request, row, |body| Validator::of_row_body(version, body))
    }

    /// Returns the response to any other uncached read: 200, or 304 if the client has these bytes.
    pub fn uncached<T: Serialize>(self, request: &HttpRequest, value: &T) -> HttpResponse {
        self.read(request, value, Validator::of_body)
    }

    fn read<T: Serialize>(
        self, request: &HttpRequest, value: &T, validator: impl FnOnce(&[u8]) -> Validator,
    ) -> HttpResponse {
        let body = match body(value) {
            Ok(body) => body,
            Err(problem) => return failed(problem),
        };
        let (mut response, is_unchanged) = match conditional_response(request, Some(&validator(&body))) {
            Ok(conditional) => conditional,
            Err(problem) => return failed(problem),
        };
        response.insert_header((header::CACHE_CONTROL, self.caching.without_entry()));
        self.timed(&mut response);
        if is_unchanged { response.finish() } else { response.insert_header(json()).body(body) }
    }

    /// Returns the response to a change: 200. `effect` is the effect on the entry: `invalidated`, `deferred`, …
    pub fn written<T: Serialize>(self, value: &T, written: WrittenValidator, effect: &str) -> HttpResponse {
        self.affected(HttpResponse::Ok(), value, written, effect)
    }

    /// Returns the response to a creation: 201 with the address of the new resource.
    pub fn created<T: Serialize>(
        self, value: &T, location: &str, written: WrittenValidator, effect: &str,
    ) -> HttpResponse {
        let mut response = HttpResponse::Created();
        response.insert_header((header::LOCATION, location));
        self.affected(response, value, written, effect)
    }

    /// Returns the response to a deletion: 204.
    pub fn deleted(self, effect: &str) -> HttpResponse {
        self.after_write(&mut HttpResponse::NoContent(), effect).finish()
    }

    fn affected<T: Serialize>(
        &self, mut response: HttpResponseBuilder, value: &T, written: WrittenValidator, effect: &str,
    ) -> HttpResponse {
        let body = match body(value) {
            Ok(body) => body,
            Err(problem) => return failed(problem),
        };
        let validator = match written {
            WrittenValidator::Row(version) => Some(Validator::of_row_body(version, &body)),
            WrittenValidator::As(validator) => Some(validator),
            WrittenValidator::Nothing => None,
        };
        if let Some(tag) = validator.and_then(|validator| validator.header()) {
            response.insert_header((header::ETAG, tag));
        }
        self.after_write(&mut response, effect).insert_header(json()).body(body)
    }

    fn after_write<'a>(&self, response: &'a mut HttpResponseBuilder, effect: &str) -> &'a mut HttpResponseBuilder {
        response.insert_header((CACHE_STATUS, header_value(format!("{}; fwd=method; detail={effect}", self.cache))));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(token) = self.token {
            response.insert_header((TOKEN, header_value(token.to_string())));
        }
        self.timed(response)
    }

    /// Sets `Server-Timing`: the milliseconds between the start of the handler and its response.
    fn timed<'a>(&self, response: &'a mut HttpResponseBuilder) -> &'a mut HttpResponseBuilder {
        let micros = self.began.elapsed().as_micros() as u64;
        let mut digits = itoa::Buffer::new();
        let mut timing = String::with_capacity(24);
        timing.push_str("total;dur=");
        timing.push_str(digits.format(micros / 1000));
        timing.push('.');
        timing.push_str(&digits.format(1000 + micros % 1000)[1..]);
        response.insert_header((SERVER_TIMING, header_value(timing)))
    }
}

/// Returns the `Cache-Status` of the result `fetched` of `cache` (its name in the header), with `detail` if the result has
/// none.
fn cache_status<T>(cache: &str, fetched: &Cached<T>, detail: Option<&str>) -> String {
    let outcome = fetched.outcome();
    let mut text = String::with_capacity(64);
    for part in [cache, "; ", outcome.cache_status()] {
        text.push_str(part);
    }
    if outcome.is_cached() {
        text.push_str("; ttl=");
        // Rounded down, so that a stale response never shows `ttl=0`.
        text.push_str(itoa::Buffer::new().format(fetched.ttl_ms().div_euclid(1000)));
    }
    if let Some(detail) = outcome.detail().or(detail) {
        text.push_str("; detail=");
        text.push_str(detail);
    }
    text
}

/// Begins the response to a read: 200, or 304 if the client names the validator. Both carry the validator. Returns whether
/// it is 304, which has no body.
///
/// # Errors
/// Returns a problem if the client requires another representation.
pub fn conditional_response(
    request: &HttpRequest, validator: Option<&Validator>,
) -> Result<(HttpResponseBuilder, bool), Problem> {
    require_match(request, validator)?;
    let is_same = validator.is_some_and(|validator| is_unchanged(request, validator));
    let mut response = if is_same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    if let Some(tag) = validator.and_then(Validator::header) {
        response.insert_header((header::ETAG, tag));
    }
    Ok((response, is_same))
}

/// Returns the token of the write that this read must see; `None` if the client does not require one.
///
/// # Errors
/// Returns a problem if the header is not a token, or is sent more than once: of two writes, the one with the higher number
/// need not be the later one.
pub fn consistency_token(request: &HttpRequest) -> Result<Option<ConsistencyToken>, Problem> {
    let mut values = request.headers().get_all(TOKEN);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::malformed("The request may have one X-Consistency-Token."));
    }
    let token = value.to_str().unwrap_or_default().parse();
    token.map(Some).map_err(|error: InvalidId| Problem::malformed(format!("The header is no token: {error}.")))
}

/// Runs a write to its end even if its client disconnects: a committed change must also be invalidated.
///
/// # Errors
/// Returns a problem if the write panicked.
pub async fn spawn_detached<T: 'static>(write: impl Future<Output = T> + 'static) -> Result<T, Problem> {
    actix_web::rt::spawn(write.in_current_span()).await.map_err(Problem::internal)
}

fn body<T: Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(Problem::internal)
}

/// Keeps the problem in the response, so that its cause is logged.
fn failed(problem: Problem) -> HttpResponse {
    HttpResponse::from_error(Error::from(problem))
}

/// Converts the text without a copy. It consists of digits and letters, so it is always valid.
fn header_value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn json() -> (HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
}
