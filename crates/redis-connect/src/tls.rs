//! `rediss://`.

use std::io;
use std::path::Path;

use fred::types::config::{Config, TlsConnector};
use tls_client::{TlsClient, TlsError, TlsStream};
use tokio::net::TcpStream;

use crate::error::AddressError;

/// Which servers are trusted, and the certificate of this client.
#[derive(Clone, Debug)]
pub(crate) struct Tls(TlsClient);

impl Tls {
    pub(crate) fn new(ca: Option<&Path>, certificate: Option<&Path>, key: Option<&Path>) -> Result<Self, AddressError> {
        Ok(Self(TlsClient::new(ca, certificate, key)?))
    }

    /// Lets clients of fred use these certificates.
    pub(crate) fn configure(&self, config: &mut Config) {
        config.tls = Some(TlsConnector::Rustls(self.0.connector()).into());
    }

    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.connect(host, stream).await
    }
}

impl From<TlsError> for AddressError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::File { path, reason } => Self::File { path, reason },
            TlsError::Certificates(reason) => Self::Tls(reason),
        }
    }
}
