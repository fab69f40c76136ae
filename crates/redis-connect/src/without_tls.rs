//! Built without the feature `tls`: `rediss://` is refused.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use fred::types::config::Config;
use tokio::net::TcpStream;

use crate::error::AddressError;

/// A type without values: `new` always returns an error.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Infallible);

impl Tls {
    pub(crate) fn new(_: Option<&Path>, _: Option<&Path>, _: Option<&Path>) -> Result<Self, AddressError> {
        Err(AddressError::Url("TLS needs the feature `tls` of the program".to_owned()))
    }

    pub(crate) fn configure(&self, _: &mut Config) {
        match self.0 {}
    }

    pub(crate) async fn connect(&self, _: &str, _: TcpStream) -> io::Result<TcpStream> {
        match self.0 {}
    }
}
