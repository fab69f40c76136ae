//! Free loopback ports.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

/// The reservations of the ports that this process was given; they last until the process ends.
static RESERVED_PORTS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// Returns a loopback port on which no process listens now. No other call returns it, in any process, until this
/// process ends. Otherwise two servers that are started at the same time would sometimes get the same port, and a
/// client of one would connect to the other. A program that does not call this function may still take the port first.
///
/// The ports are below the range from which the kernel chooses the ports of outgoing connections. So a server that is
/// down for a while can return to its port; otherwise a client that tries to reconnect may be given that very port and
/// connect to itself.
pub fn free_port() -> u16 {
    loop {
        let random = RandomState::new().hash_one("port");
        let port = 12_000 + u16::try_from(random % 20_000).expect("it is below 20,000");
        if let Some(reservation) = reserve(port)
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            RESERVED_PORTS.lock().unwrap_or_else(PoisonError::into_inner).push(reservation);
            return port;
        }
    }
}

/// Binds a name that is unique in the network namespace, like the port, and that is released when its owner ends.
fn reserve(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("testkit-port-{port}")).expect("it is a short name");
    UnixListener::bind_addr(&name).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn free_port_returns_no_port_twice() {
        let ports: HashSet<u16> = (0..500).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 500);
    }

    #[test]
    fn returned_port_is_reserved() {
        let port = free_port();
        assert!(reserve(port).is_none(), "a name is bound once");
    }
}
