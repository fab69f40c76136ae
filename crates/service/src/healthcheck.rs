//! The `healthcheck` subcommand of every binary: queries the readiness of the running service.
//!
//! Containers without a shell or curl need it. It uses only std, blocks, and has a short timeout.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::server::HttpSettings;

const LIMIT: Duration = Duration::from_secs(2);

/// Why a service counts as unhealthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// The service did not respond.
    #[error("nothing answers at {address}: {source}")]
    Silent {
        /// The queried address.
        address: SocketAddr,
        /// The error of the connection.
        source: io::Error,
    },
    /// The service responded, but not with 200.
    #[error("not ready: {0}")]
    NotReady(String),
}

/// Queries `/readyz` of the service that runs with these settings on this machine.
pub fn probe(settings: &HttpSettings) -> Result<(), Unhealthy> {
    let address = SocketAddr::new(reachable(settings.host), settings.port);
    let answer = ask(address).map_err(|source| Unhealthy::Silent { address, source })?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    let report = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Err(Unhealthy::NotReady(format!("{status} {report}").trim().to_owned()))
}

/// Returns the loopback address for a service that listens on all addresses.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", crate::health::READYZ)?;
    let mut answer = String::new();
    stream.take(16 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}
