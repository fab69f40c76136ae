//! The middleware that completes and measures every response: HEAD and OPTIONS requests, error bodies, caching headers,
//! compression, framing, metrics and logs.
//!
//! It wraps the router, so that the rules for all responses are implemented in one place:
//!
//! | rule | implemented in |
//! |---|---|
//! | a body whose declared length is too large is refused, even if the route reads no body | [`crate::problem`] |
//! | HEAD is handled as GET, without the body; the response to OPTIONS lists the methods of the route | `methods.rs` |
//! | an error without a body receives a problem | [`crate::problem`] |
//! | every response has `Cache-Control` | `caching.rs` |
//! | a text body that is not small is compressed for clients that accept it | `compression.rs` |
//! | a body of unknown length ends with the connection, if the client cannot read chunks | `framing.rs` |
//! | the connection is notified when a request begins and ends | `ending.rs` |
//! | the request has a span | `request_span.rs` |
//! | every request is counted and timed, and failed ones are logged | [`crate::http_metrics`] |

pub(crate) mod caching;
pub(crate) mod compression;
mod ending;
mod framing;
mod methods;

use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready as try_ready};
use std::time::Instant;

use actix_web::Error;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use futures_util::future::Either;
use pin_project_lite::pin_project;
use tracing::Span;

use crate::http_metrics::{Failures, WorkerMetrics};
use crate::problem::{check_declared_length, explain_bare_error};
use crate::request_span;
use crate::server::ConnectionPhase;

pub use compression::accepts_gzip;
pub use methods::wants_head_only;

/// Wraps an app; [`crate::server::serve`] applies it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseMiddleware {
    failures: Failures,
}

impl<S> Transform<S, ServiceRequest> for ResponseMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = ResponseService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ResponseService { service, metrics: Rc::new(WorkerMetrics::new(self.failures.clone())) }))
    }
}

/// The middleware of one worker.
#[derive(Debug)]
pub(crate) struct ResponseService<S> {
    service: S,
    metrics: Rc<WorkerMetrics>,
}

impl<S> Service<ServiceRequest> for ResponseService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = ResponseFuture<Either<S::Future, Ready<Result<ServiceResponse, Error>>>>;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let (start, method) = (Instant::now(), request.method().clone());
        let span = request_span::open(&request);
        let in_span = span.enter();
        let phase = request.conn_data::<ConnectionPhase>().cloned();
        if let Some(phase) = &phase {
            phase.begin(request.method(), request.headers());
        }
        if method == Method::HEAD {
            methods::ask_as_get(&mut request);
        }
        let answer = match check_declared_length(request.headers()) {
            Ok(()) => Either::Left(self.service.call(request)),
            Err(problem) => Either::Right(ready(Ok(request.error_response(problem)))),
        };
        drop(in_span);
        ResponseFuture { start, method, span, phase, answer, metrics: Rc::clone(&self.metrics) }
    }
}

pin_project! {
    /// A request in progress.
    #[derive(Debug)]
    pub(crate) struct ResponseFuture<F> {
        start: Instant,
        method: Method,
        span: Span,
        phase: Option<ConnectionPhase>,
        #[pin]
        answer: F,
        metrics: Rc<WorkerMetrics>,
    }
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<ServiceResponse, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _in_span = this.span.enter();
        let answer = try_ready!(this.answer.poll(cx));
        let phase = this.phase.take();
        let response = match answer {
            Ok(response) => complete(this.method, response),
            Err(error) => {
                phase.iter().for_each(ConnectionPhase::finish);
                this.metrics.record_error(this.method, &error, this.start.elapsed(), this.span);
                return Poll::Ready(Err(error));
            }
        };
        let response = match phase {
            Some(phase) => ending::finish(phase, response),
            None => response,
        };
        this.metrics.record(this.method, *this.start, &response, this.span);
        Poll::Ready(Ok(response))
    }
}

fn complete(method: &Method, mut response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        methods::complete_allow(&mut response);
        response = methods::answer_options(method, response);
        response = explain_bare_error(response, method);
    }
    caching::set_default(method, &mut response);
    response = compression::compress(response);
    if *method == Method::HEAD {
        return methods::without_body(response);
    }
    framing::end_with_connection(&mut response);
    response
}
