//! Raw connections, for what a client library cannot do.

use std::io;

use tokio::net::UnixStream;

use crate::RedisAddress;
use crate::address::Target;
use crate::socket::{Incoming, Outgoing, open};

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
            Target::Tcp { host, port } => open(host, *port, self.tls.as_ref()).await,
            Target::Cluster(_) => Err(io::Error::other("a cluster has no single server")),
            Target::Sentinels(sentinels) => {
                let (host, port) = sentinels.primary(self.tls.as_ref()).await?;
                open(&host, port, self.tls.as_ref()).await
            }
        }
    }
}
