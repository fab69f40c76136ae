//! The span of a request, which continues the trace of the client.
//!
//! | attribute | value |
//! |---|---|
//! | name | method and route: `PUT /products/explicit/{id}` |
//! | `http.request.method`, `http.route`, `http.response.status_code` | as in the metrics |
//! | `url.path` | the path, without the ids that are secrets |
//! | status | `ERROR` for 5xx |
//!
//! Its level is `TRACE`, so that it exists only for a subscriber that records traces. Without one, a request costs one
//! look at the level.

use actix_web::dev::ServiceRequest;
use actix_web::http::{Method, StatusCode};
use trace_context::{TRACEPARENT, TRACESTATE, continue_trace, rename};
use tracing::field::Empty;
use tracing::{Span, trace_span};

use crate::redacted;

/// Paths whose requests have no span: monitoring reads them every few seconds.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Opens the span of a request. It is disabled if nothing records it.
pub(crate) fn open(request: &ServiceRequest) -> Span {
    if PROBES.contains(&request.path()) {
        return Span::none();
    }
    let span = trace_span!(
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.route = Empty,
        http.response.status_code = Empty,
        url.path = &*redacted::path(request.path()),
    );
    if !span.is_disabled() {
        continue_client(request, &span);
    }
    span
}

/// Continues the trace that the client names. A malformed header, or a second one, begins a new trace.
fn continue_client(request: &ServiceRequest, span: &Span) {
    let mut parents = request.headers().get_all(TRACEPARENT);
    let (Some(parent), None) = (parents.next(), parents.next()) else { return };
    let Some(parent) = parent.to_str().ok().and_then(|parent| parent.parse().ok()) else { return };
    let state = request.headers().get(TRACESTATE).and_then(|state| state.to_str().ok());
    continue_trace(span, parent, state);
}

/// Records the response.
pub(crate) fn answered(span: &Span, method: &Method, route: &str, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    rename(span, format!("{method} {route}"));
    span.record("http.route", route);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
