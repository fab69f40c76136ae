//! The middleware that completes every response: HEAD and OPTIONS requests, error bodies, caching headers and
//! compression.
//!
//! It lies between the metrics and the router, so that the rules for all responses are implemented in one place:
//!
//! | rule | implemented in |
//! |---|---|
//! | a body whose declared length is too large is refused, even if the route reads no body | [`crate::problem`] |
//! | HEAD is handled as GET, without the body | `head.rs` |
//! | the response to OPTIONS lists the methods of the route | `methods.rs` |
//! | an error without a body receives a problem | [`crate::problem`] |
//! | every response has `Cache-Control` | `caching.rs` |
//! | a larger text is compressed for clients that accept it | `compression.rs` |
//! | the connection is notified when a request begins and ends | `ending.rs` |

pub(crate) mod caching;
pub(crate) mod compression;
mod ending;
mod head;
mod methods;

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready as try_ready};

use actix_web::Error;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use futures_util::future::Either;
use pin_project_lite::pin_project;

use crate::problem::{check_declared_length, explain_bare_error};
use crate::server::ConnectionPhase;

pub use head::wants_head_only;

/// Wraps an app; [`crate::server::serve`] applies it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResponseMiddleware;

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
        ready(Ok(ResponseService { service }))
    }
}

/// The middleware of one worker.
#[derive(Debug)]
pub(crate) struct ResponseService<S> {
    service: S,
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
        let method = request.method().clone();
        let exchange = request.conn_data::<ConnectionPhase>().cloned();
        if let Some(exchange) = &exchange {
            exchange.begin(&request);
        }
        if method == Method::HEAD {
            head::ask_as_get(&mut request);
        }
        let answer = match check_declared_length(request.headers()) {
            Ok(()) => Either::Left(self.service.call(request)),
            Err(problem) => Either::Right(ready(Ok(request.error_response(problem)))),
        };
        ResponseFuture { method, exchange, answer }
    }
}

pin_project! {
    /// A request in progress.
    #[derive(Debug)]
    pub(crate) struct ResponseFuture<F> {
        method: Method,
        exchange: Option<ConnectionPhase>,
        #[pin]
        answer: F,
    }
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<ServiceResponse, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = try_ready!(this.answer.poll(cx));
        let exchange = this.exchange.take();
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => {
                exchange.iter().for_each(ConnectionPhase::finish);
                return Poll::Ready(Err(error));
            }
        };
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            methods::complete_allow(&mut response);
            response = methods::answer_options(this.method, response);
            response = explain_bare_error(response, this.method);
        }
        caching::set_default(this.method, &mut response);
        response = compression::compress(response);
        if *this.method == Method::HEAD {
            response = head::without_body(response);
        }
        Poll::Ready(Ok(match exchange {
            Some(exchange) => ending::finish(exchange, response),
            None => response,
        }))
    }
}
