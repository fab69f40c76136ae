//! The `[http]` section: where the server listens, and the limits of its connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpSocket;

/// The number of connections that may wait to be accepted; the 128 of std overflow when a thousand clients connect at
/// once.
const BACKLOG: u32 = 1024;

/// The server panics above this number of workers.
pub(crate) const MAX_WORKERS: usize = 512;

/// The `[http]` section of every service. [`crate::limits::http`] checks it with the other settings, before the stores are
/// used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 selects a free one.
    pub port: u16,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// The maximum number of connected clients; further clients receive 503.
    pub max_connections: usize,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long a client may take to send a request line and headers, from their first byte.
    #[serde(with = "humantime_serde")]
    pub headers_timeout: Duration,
    /// How long a client may take to send a body.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long a client may accept no byte of a response.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// How long `/readyz` returns "draining" before the listener closes.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// How long requests in progress may take to end, in whole seconds.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            workers: 0,
            max_connections: 4096,
            keep_alive: Duration::from_secs(75),
            headers_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            grace: Duration::from_secs(10),
        }
    }
}

impl HttpSettings {
    /// Opens the listener. Requires a tokio runtime.
    pub fn bind(&self) -> io::Result<TcpListener> {
        let address = SocketAddr::new(self.host, self.port);
        listen(address).map_err(|error| {
            let reason = format!("HTTP__HOST and HTTP__PORT: cannot listen on {address}: {error}");
            io::Error::new(error.kind(), reason)
        })
    }

    pub(super) fn threads(&self) -> io::Result<usize> {
        match self.workers {
            0 => std::thread::available_parallelism().map(usize::from),
            some => Ok(some.min(MAX_WORKERS)),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Without this, a restart would wait until the system forgets the connections of the previous run.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
