//! Free loopback ports.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

/// A loopback port on which nothing listens now. Another process may take it before you do: be ready to try again.
///
/// The ports lie below the range from which the kernel gives outgoing connections theirs. A server that is down for a
/// while can therefore return to its port; otherwise a client that tries to reconnect may be given that very port, and
/// connect to itself.
pub fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one("port");
        let port = 12_000 + u16::try_from(random % 20_000).expect("it is below 20,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
