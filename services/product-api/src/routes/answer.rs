//! What goes out: bodies, and the headers that say where they came from.

use std::future::Future;
use std::time::Instant;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use bytes::Bytes;
use cache::Fetched;
use runtime::cache_status;
use runtime::problem::Problem;
use serde::Serialize;

use super::conditions;
use crate::shop::Effect;

/// The name of this cache in `Cache-Status`.
const CACHE: &str = "product-api";

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The answer to a read through the cache. The body goes out as it came from Redis.
pub(super) fn fetched(request: &HttpRequest, fetched: Fetched, what: &str, began: Instant) -> HttpResponse {
    let status = cache_status::of(CACHE, &fetched);
    let Some(body) = fetched.body() else {
        let mut missing = Problem::not_found(format!("There is no such {what}.")).error_response();
        missing.headers_mut().insert(CACHE_STATUS, status);
        return missing;
    };
    let tag = tag(&fetched);
    let is_unchanged = tag.as_ref().is_some_and(|tag| conditions::unchanged(request, tag));
    let mut response = if is_unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    if let Some(tag) = tag {
        response.insert_header((header::ETAG, header_value(tag)));
    }
    response.insert_header((header::AGE, HeaderValue::from(fetched.age().as_secs())));
    response.insert_header((CACHE_STATUS, status));
    timed(&mut response, began);
    if is_unchanged {
        return response.finish();
    }
    response.insert_header(json()).body(body.clone())
}

/// The answer to a read of the database.
pub(super) fn uncached<T: Serialize>(value: &T, version: Option<i64>, began: Instant) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(version) = version {
        response.insert_header((header::ETAG, version_tag(version)));
    }
    timed(&mut response, began).json(value)
}

/// The answer to a change.
pub(super) fn written<T: Serialize>(value: &T, version: i64, effect: Effect, began: Instant) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::ETAG, version_tag(version)));
    affected(&mut response, effect, began).json(value)
}

/// The answer to a creation.
pub(super) fn created(product: &crate::catalogue::Product, effect: Effect, began: Instant) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/products/{}", product.id)));
    response.insert_header((header::ETAG, version_tag(product.version)));
    affected(&mut response, effect, began).json(product)
}

/// The answer to a deletion.
pub(super) fn deleted(effect: Effect, began: Instant) -> HttpResponse {
    affected(&mut HttpResponse::NoContent(), effect, began).finish()
}

/// The `ETag` of a row.
pub(super) fn version_tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Carries a write out even when its client hangs up: what is committed must also be invalidated.
pub(super) async fn to_the_end<T: 'static>(write: impl Future<Output = T> + 'static) -> Result<T, Problem> {
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

fn affected(response: &mut HttpResponseBuilder, effect: Effect, began: Instant) -> &mut HttpResponseBuilder {
    let detail = match effect {
        Effect::None => "left",
        Effect::Invalidated => "invalidated",
        Effect::Stored => "stored",
        Effect::Announced => "announced",
        Effect::Deferred => "deferred",
    };
    response.insert_header((CACHE_STATUS, cache_status::of_write(CACHE, detail)));
    timed(response, began)
}

/// `Server-Timing`: the milliseconds between the handler's begin and its answer.
fn timed(response: &mut HttpResponseBuilder, began: Instant) -> &mut HttpResponseBuilder {
    let micros = began.elapsed().as_micros() as u64;
    let mut digits = itoa::Buffer::new();
    let mut timing = String::with_capacity(24);
    timing.push_str("total;dur=");
    timing.push_str(digits.format(micros / 1000));
    timing.push('.');
    timing.push_str(&digits.format(1000 + micros % 1000)[1..]);
    response.insert_header((SERVER_TIMING, header_value(timing)))
}

fn json() -> (HeaderName, HeaderValue) {
    (header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
}
