//! What goes out: bodies, and the headers that say where they came from.
//!
//! `Cache-Status` names the service, `ETag` the version (or the load), `Age` the seconds since the fill, and
//! `Server-Timing` the milliseconds in the handler. `If-None-Match` is honoured on every read.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use bytes::Bytes;
use cache::Fetched;
use serde::Serialize;

use crate::problem::Problem;
use crate::{cache_status, conditions};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// An answer that is being worked on. Begin it first thing in the handler.
#[derive(Clone, Debug)]
pub struct Answer {
    cache: &'static str,
    began: Instant,
    detail: Option<Cow<'static, str>>,
}

impl Answer {
    /// Begins now. `cache` is the service's name in `Cache-Status`.
    pub fn begin(cache: &'static str) -> Self {
        Self { cache, began: Instant::now(), detail: None }
    }

    /// Adds `detail=…` to the `Cache-Status` of a read that has none: a token such as `product-api-down`.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A read through the cache: 200, 304, or 404 for what is absent. The body goes out as it came from Redis.
    pub fn fetched(self, request: &HttpRequest, fetched: &Fetched, what: &str) -> HttpResponse {
        let status = cache_status::with_detail(self.cache, fetched, self.detail.as_deref());
        let Some(body) = fetched.body() else {
            let mut missing = Problem::not_found(format!("There is no such {what}.")).error_response();
            missing.headers_mut().insert(CACHE_STATUS, status);
            return missing;
        };
        let tag = tag(fetched);
        let is_unchanged = tag.as_ref().is_some_and(|tag| conditions::unchanged(request, tag));
        let mut response = if is_unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        if let Some(tag) = tag {
            response.insert_header((header::ETAG, header_value(tag)));
        }
        response.insert_header((header::AGE, HeaderValue::from(fetched.age().as_secs())));
        response.insert_header((CACHE_STATUS, status));
        self.timed(&mut response);
        if is_unchanged {
            return response.finish();
        }
        response.insert_header(json()).body(body.clone())
    }

    /// A read of one row without a cache: 200, or 304 where the client has that version.
    pub fn row<T: Serialize>(self, request: &HttpRequest, row: &T, version: i64) -> HttpResponse {
        let tag = version_tag(version);
        let is_unchanged = conditions::unchanged(request, &tag);
        let mut response = if is_unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header((header::ETAG, tag));
        self.timed(&mut response);
        if is_unchanged { response.finish() } else { response.json(row) }
    }

    /// A read of anything else without a cache: 200.
    pub fn uncached<T: Serialize>(self, value: &T) -> HttpResponse {
        self.timed(&mut HttpResponse::Ok()).json(value)
    }

    /// A change: 200. `effect` says what became of the entry: `invalidated`, `deferred`, …
    pub fn written<T: Serialize>(self, value: &T, version: i64, effect: &str) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::ETAG, version_tag(version)));
        self.affected(&mut response, effect).json(value)
    }

    /// A creation: 201 with the new thing's address.
    pub fn created<T: Serialize>(self, value: &T, location: &str, version: i64, effect: &str) -> HttpResponse {
        let mut response = HttpResponse::Created();
        response.insert_header((header::LOCATION, location));
        response.insert_header((header::ETAG, version_tag(version)));
        self.affected(&mut response, effect).json(value)
    }

    /// A deletion: 204.
    pub fn deleted(self, effect: &str) -> HttpResponse {
        self.affected(&mut HttpResponse::NoContent(), effect).finish()
    }

    fn affected<'a>(&self, response: &'a mut HttpResponseBuilder, effect: &str) -> &'a mut HttpResponseBuilder {
        response.insert_header((CACHE_STATUS, cache_status::of_write(self.cache, effect)));
        self.timed(response)
    }

    /// `Server-Timing`: the milliseconds between the handler's begin and its answer.
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

/// The `ETag` of a row.
fn version_tag(version: i64) -> String {
    quoted(itoa::Buffer::new().format(version))
}

/// Carries a write out even when its client hangs up: what is committed must also be invalidated.
///
/// # Errors
/// When the write panicked.
pub async fn to_the_end<T: 'static>(write: impl Future<Output = T> + 'static) -> Result<T, Problem> {
    actix_web::rt::spawn(write).await.map_err(Problem::internal)
}

/// A row is told apart by its version, another value by the load that stored it.
fn tag(fetched: &Fetched) -> Option<String> {
    match (fetched.version(), fetched.id()) {
        (Some(version), _) => Some(quoted(itoa::Buffer::new().format(version))),
        (None, Some(id)) => Some(quoted(id)),
        (None, None) => None,
    }
}

fn quoted(text: &str) -> String {
    let mut tag = String::with_capacity(text.len() + 2);
    tag.push('"');
    tag.push_str(text);
    tag.push('"');
    tag
}

/// Takes the text over without a copy. It is made of digits and letters, so it cannot be refused.
fn header_value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn json() -> (HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
}
