//! `Allow` and OPTIONS: the methods of a route (RFC 9110, 9.3.7 and 10.2.1).
//!
//! The router responds with 405 and the mounted methods. This module handles HEAD and OPTIONS, for every route.

use actix_web::body::{self, BoxBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};

/// Adds HEAD, if the methods include GET, and OPTIONS.
pub(super) fn complete_allow(response: &mut ServiceResponse) {
    let Some(allow) = response.headers().get(ALLOW).and_then(|allow| allow.to_str().ok()) else { return };
    let mut methods = Vec::new();
    for method in allow.split(',').map(str::trim).filter(|method| !matches!(*method, "HEAD" | "OPTIONS")) {
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
