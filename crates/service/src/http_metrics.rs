//! Counts and times every request, and logs failed ones, for [`crate::response_middleware`].
//!
//! `http_request_duration_seconds` has the labels route pattern (never the path), method and status class, so the
//! number of its series is bounded. A worker registers each series once and keeps the handle: a request costs two clock
//! readings, one map lookup and one histogram entry.

mod failures;
mod series;

use std::time::{Duration, Instant};

use actix_http::Request;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, Resource, web};
use tracing::Span;

use crate::problem::{Kind, Problem};
use crate::{redacted, request_span};
pub(crate) use failures::Failures;
pub(crate) use series::DURATION;
use series::Series;

/// The route of requests that match no pattern.
const UNMATCHED: &str = "unmatched";

/// The label of a route in the metrics. Without the label, the pattern is looked up, which matches the path once more.
#[derive(Debug, Clone, Copy)]
pub struct Route(&'static str);

/// Returns a resource that carries its pattern as its label.
pub fn resource(pattern: &'static str) -> Resource {
    resource_as(pattern, pattern)
}

/// Returns a resource with another label than its pattern.
pub fn resource_as(pattern: &str, label: &'static str) -> Resource {
    web::resource(pattern).app_data(Route(label))
}

/// The metrics and failures that a worker records.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    series: Series,
    /// Shared with the other workers.
    failures: Failures,
}

impl WorkerMetrics {
    pub(crate) fn new(failures: Failures) -> Self {
        Self { series: Series::default(), failures }
    }

    /// Records a request that began at `start`, also in its `span`. `method` is the client's: that of the request may have
    /// been changed for the router.
    pub(crate) fn record(&self, method: &Method, start: Instant, response: &ServiceResponse, span: &Span) {
        let took = start.elapsed();
        let (request, status) = (response.request(), response.status());
        let labelled = request.app_data::<Route>().map(|route| route.0);
        let pattern = if labelled.is_none() { request.match_pattern() } else { None };
        let route = labelled.or(pattern.as_deref()).unwrap_or(UNMATCHED);
        self.series.record(route, method, status, took);
        request_span::answered(span, method, route, status);
        tracing::debug!(http.method = %method, http.path = %redacted::path(request.path()), http.status = status.as_u16(), ?took, "answered");

        if status.is_server_error() && route != crate::health::READYZ {
            let failed = Failed { method, route, path: &redacted::path(request.path()), status };
            failed.log(response.response().error(), &self.failures);
        } else if let Some(over) = self.failures.succeeded(route, start + took) {
            let (failures, lasted) = (over.failures, over.lasted());
            tracing::info!(http.route = route, failures, ?lasted, "requests succeed again");
        }
    }

    /// Records a request for which an inner middleware returned an error instead of a response; the request is no longer
    /// available.
    pub(crate) fn record_error(&self, method: &Method, error: &Error, took: Duration, span: &Span) {
        let status = error.as_response_error().status_code();
        self.series.record(UNMATCHED, method, status, took);
        request_span::answered(span, method, UNMATCHED, status);
        if status.is_server_error() {
            Failed { method, route: UNMATCHED, path: UNMATCHED, status }.log(Some(error), &self.failures);
        }
    }
}

/// Records a request that was refused before the middleware received it, such as one whose body is too large.
pub(crate) fn record_refused(request: &Request, problem: &Problem) {
    let (method, status) = (request.method(), problem.kind().status());
    series::record_once(UNMATCHED, method, status, Duration::ZERO);
    tracing::debug!(http.method = %method, http.path = %redacted::path(request.path()), http.status = status.as_u16(), "refused");
}

struct Failed<'a> {
    method: &'a Method,
    route: &'a str,
    path: &'a str,
    status: StatusCode,
}

impl Failed<'_> {
    /// Logs the failure in one line. `/readyz` is left out: its 503 is a report.
    ///
    /// A bug in this service is an error. A dependency that does not respond is a warning, once per route and outage. A
    /// request that is refused because of a limit is neither: the service works as intended.
    fn log(&self, error: Option<&Error>, failures: &Failures) {
        let problem = error.and_then(|error| error.as_error::<Problem>());
        let cause = match (problem.and_then(Problem::cause), error) {
            (Some(cause), _) => cause.to_owned(),
            (None, Some(error)) => error.to_string(),
            (None, None) => "unknown".to_owned(),
        };
        let (method, path, status) = (self.method, self.path, self.status.as_u16());
        match problem.map(|problem| (problem.kind(), problem.cause())) {
            Some((Kind::Unavailable, None)) => {
                tracing::debug!(http.method = %method, http.path = path, http.status = status, "request refused: {cause}");
            }
            Some((Kind::Unavailable, Some(_))) if failures.failed(self.route, Instant::now()) => {
                tracing::warn!(
                    http.method = %method, http.path = path, http.status = status, cause,
                    "a request failed: {cause} (further ones of this route are counted, not logged)"
                );
            }
            Some((Kind::Unavailable, Some(_))) => {
                tracing::debug!(http.method = %method, http.path = path, http.status = status, cause, "a request failed: {cause}");
            }
            _ => {
                tracing::error!(http.method = %method, http.path = path, http.status = status, cause, "a request failed: {cause}");
            }
        }
    }
}
