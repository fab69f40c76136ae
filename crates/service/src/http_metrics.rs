//! The middleware that counts and times every request, and logs failed ones.
//!
//! `http_request_duration_seconds` has the labels route pattern (never the path), method and status class, so the
//! number of its series is bounded. A worker registers each series once and keeps the handle: a request costs two clock
//! readings, one map lookup and one histogram entry.

mod failures;
mod series;

use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready as try_ready};
use std::time::{Duration, Instant};

use crate::problem::{Kind, Problem};
use crate::redacted;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, Resource, web};
use failures::Failures;
use pin_project_lite::pin_project;
pub(crate) use series::DURATION;
use series::Series;

/// The route of requests that match no pattern.
const UNMATCHED: &str = "unmatched";

/// The label of a route in the metrics. Without the label, the pattern is looked up, which matches the path once more.
#[derive(Debug, Clone, Copy)]
pub struct Route(&'static str);

/// Returns a resource that carries its pattern as its label.
pub fn resource(pattern: &'static str) -> Resource {
    web::resource(pattern).app_data(Route(pattern))
}

/// Wraps an app; [`crate::server::serve`] applies it.
#[derive(Debug, Clone, Default)]
pub struct HttpMetrics {
    failures: Failures,
}

impl<S> Transform<S, ServiceRequest> for HttpMetrics
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = MetricsService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let seen = WorkerMetrics { series: Series::default(), failures: self.failures.clone() };
        ready(Ok(MetricsService { service, seen: Rc::new(seen) }))
    }
}

/// The middleware of one worker.
#[derive(Debug)]
pub struct MetricsService<S> {
    service: S,
    seen: Rc<WorkerMetrics>,
}

#[derive(Debug)]
struct WorkerMetrics {
    series: Series,
    /// Shared with the other workers.
    failures: Failures,
}

impl<S> Service<ServiceRequest> for MetricsService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = MetricsFuture<S::Future>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (start, method) = (Instant::now(), request.method().clone());
        MetricsFuture { start, method, answer: self.service.call(request), seen: Rc::clone(&self.seen) }
    }
}

pin_project! {
    /// A request in progress.
    #[derive(Debug)]
    pub struct MetricsFuture<F> {
        start: Instant,
        method: Method,
        #[pin]
        answer: F,
        seen: Rc<WorkerMetrics>,
    }
}

impl<F> Future for MetricsFuture<F>
where
    F: Future<Output = Result<ServiceResponse, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = try_ready!(this.answer.poll(cx));
        let took = this.start.elapsed();
        let response = answer.inspect_err(|error| record_error(this.seen, this.method, error, took))?;
        let (request, status) = (response.request(), response.status());
        let labelled = request.app_data::<Route>().map(|route| route.0);
        let pattern = if labelled.is_none() { request.match_pattern() } else { None };
        let route = labelled.or(pattern.as_deref()).unwrap_or(UNMATCHED);
        // The request's own method may have been changed for the router.
        this.seen.series.record(route, this.method, status, took);
        tracing::debug!(http.method = %this.method, http.path = %redacted::path(request.path()), http.status = status.as_u16(), ?took, "answered");

        if status.is_server_error() && route != crate::health::READYZ {
            let failed = Failed { method: this.method, route, path: &redacted::path(request.path()), status };
            failed.log(response.response().error(), &this.seen.failures);
        } else if let Some(over) = this.seen.failures.succeeded(route, *this.start + took) {
            let (failures, lasted) = (over.failures, over.lasted());
            tracing::info!(http.route = route, failures, ?lasted, "requests succeed again");
        }
        Poll::Ready(Ok(response))
    }
}

/// Records a request for which an inner middleware returned an error instead of a response; the request is no longer
/// available.
fn record_error(seen: &WorkerMetrics, method: &Method, error: &Error, took: Duration) {
    let status = error.as_response_error().status_code();
    seen.series.record(UNMATCHED, method, status, took);
    if status.is_server_error() {
        Failed { method, route: UNMATCHED, path: UNMATCHED, status }.log(Some(error), &seen.failures);
    }
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
