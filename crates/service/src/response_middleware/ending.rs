//! Notifies the connection when a response is complete.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;

use crate::server::{ConnectionPhase, FinishOnDrop};

/// Finishes the exchange. The HTTP encoder takes a body of known size at once; a stream is complete when it has ended,
/// or was dropped.
pub(super) fn finish(exchange: ConnectionPhase, response: ServiceResponse) -> ServiceResponse {
    if response.response().body().size() == BodySize::Stream {
        return response.map_body(|_, body| BoxBody::new(Streaming { body, _finish: FinishOnDrop(exchange) }));
    }
    exchange.finish();
    response
}

struct Streaming {
    body: BoxBody,
    _finish: FinishOnDrop,
}

impl MessageBody for Streaming {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
