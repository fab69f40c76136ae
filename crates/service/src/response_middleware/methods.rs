//! HEAD, OPTIONS and `Allow` (RFC 9110, 9.3.2, 9.3.7 and 10.2.1).
//!
//! Every route with GET responds to HEAD with the same headers and no body.
//! The router responds with 405 and the mounted methods. This module handles HEAD and OPTIONS, for every route.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest};

/// Adds HEAD, if the methods include GET, and OPTIONS.
pub(super) fn complete_allow(response: &mut ServiceResponse) {
    let Some(allow) = response.headers().get(ALLOW).and_then(|allow| allow.to_str().ok()) else { return };
    let mut methods = Vec::new();
    for method in allow.split(',').map(str::trim).filter(|method| !matches!(*method, "HEAD" | "OPTIONS")) {
        // Two routes of one address may have the same method.
        if methods.contains(&method) {
            continue;
        }
        methods.push(method);
        if method == "GET" {
            methods.push("HEAD");
        }
    }
    methods.push("OPTIONS");
    if let Ok(allow) = HeaderValue::try_from(methods.join(", ")) {
        response.headers_mut().insert(ALLOW, allow);
    }
}

/// Responds to OPTIONS with the methods of the route that the router has found.
pub(super) fn answer_options(method: &Method, mut response: ServiceResponse) -> ServiceResponse {
    let is_route = response.status() == StatusCode::METHOD_NOT_ALLOWED && response.headers().contains_key(ALLOW);
    if *method != Method::OPTIONS || !is_route {
        return response;
    }
    *response.response_mut().status_mut() = StatusCode::NO_CONTENT;
    response.map_body(|_, _| BoxBody::new(body::None::new()))
}

/// Marks a request that was sent as HEAD and is routed as GET.
struct HeadOnly;

/// Returns whether the client sent HEAD. For handlers whose body is expensive even if it is not sent, such as a stream.
pub fn wants_head_only(request: &HttpRequest) -> bool {
    request.extensions().contains::<HeadOnly>()
}

/// Changes the method to GET, so that the router finds the GET route.
pub(super) fn ask_as_get(request: &mut ServiceRequest) {
    request.head_mut().method = Method::GET;
    request.extensions_mut().insert(HeadOnly);
}

/// Drops the body and keeps its length for `Content-Length`.
pub(super) fn without_body(response: ServiceResponse) -> ServiceResponse {
    response.map_body(|_, body| match body.size() {
        BodySize::Sized(length) => BoxBody::new(Unsent(length)),
        // The final length of a stream is unknown.
        BodySize::None | BodySize::Stream => BoxBody::new(body::None::new()),
    })
}

/// A body that only has a length. The HTTP encoder writes no body in response to HEAD.
struct Unsent(u64);

impl MessageBody for Unsent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
