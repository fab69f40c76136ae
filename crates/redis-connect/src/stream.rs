//! Raw connections, for what a client library cannot do.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::net::{TcpStream, UnixStream};

use crate::RedisAddress;
use crate::address::Target;

/// The side of a connection that receives.
pub type Incoming = Box<dyn AsyncRead + Send + Unpin>;
/// The side of a connection that sends. Over TLS, written bytes may be sent only at the next flush.
pub type Outgoing = Box<dyn AsyncWrite + Send + Unpin>;

impl RedisAddress {
    /// Opens a connection. It is not authenticated, and uses database 0.
    ///
    /// # Errors
    /// Returns an error if the server cannot be reached, or its certificate is not trusted.
    pub async fn connect(&self) -> io::Result<(Incoming, Outgoing)> {
        match &self.target {
            Target::Unix(path) => {
                let (incoming, outgoing) = UnixStream::connect(path).await?.into_split();
                Ok((Box::new(incoming), Box::new(outgoing)))
            }
            Target::Tcp { host, port } => self.connect_to(host, *port).await,
            Target::Cluster(_) => Err(io::Error::other("a cluster has no single server")),
            Target::Sentinels(sentinels) => {
                let (host, port) = sentinels.primary().await?;
                self.connect_to(&host, port).await
            }
        }
    }

    async fn connect_to(&self, host: &str, port: u16) -> io::Result<(Incoming, Outgoing)> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
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
}
