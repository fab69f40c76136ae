//! A connection to one server, over TCP or TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::net::TcpStream;

use crate::tls::Tls;

/// The side of a connection that receives.
pub type Incoming = Box<dyn AsyncRead + Send + Unpin>;
/// The side of a connection that sends. Over TLS, written bytes may be sent only at the next flush.
pub type Outgoing = Box<dyn AsyncWrite + Send + Unpin>;

/// Opens a connection to one server, over TLS if `tls` is given.
pub(crate) async fn open(host: &str, port: u16, tls: Option<&Tls>) -> io::Result<(Incoming, Outgoing)> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => {
            let (incoming, outgoing) = split(tls.connect(host, stream).await?);
            Ok((Box::new(incoming), Box::new(outgoing)))
        }
        None => {
            let (incoming, outgoing) = stream.into_split();
            Ok((Box::new(incoming), Box::new(outgoing)))
        }
    }
}
