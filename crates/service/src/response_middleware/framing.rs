//! The framing of a body whose length is not known in advance (RFC 9112, 6.3): a stream, or a compressed body.
//!
//! The HTTP encoder frames it in chunks. Two kinds of request exclude that, and the encoder distinguishes neither: a client
//! of HTTP/1.0 knows no `Transfer-Encoding` (RFC 9112, 6.1), and after a request whose body lasts until the connection
//! closes, the encoder announces chunks and writes none. There, the end of the connection is the end of the body.

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::{ConnectionType, Version};

use crate::server::has_body_until_close;

/// Ends the body with the connection, if the client cannot read chunks.
pub(super) fn end_with_connection(response: &mut ServiceResponse) {
    if response.response().body().size() != BodySize::Stream {
        return;
    }
    let request = response.request();
    if request.version() >= Version::HTTP_11 && !has_body_until_close(request.method(), request.headers()) {
        return;
    }
    let head = response.response_mut().head_mut();
    head.no_chunking(true);
    head.set_connection_type(ConnectionType::Close);
}
