//! Which connection answers, and whether it is known who is at its other end.
//!
//! A command that is given to a broken connection waits in the client for the next one. Whoever answers it then may be
//! another server than the one that was checked last, and may have forgotten invalidations that were acknowledged
//! (ADR 10). So an answer counts only while no connection has been made since the check.
//!
//! That is exact, not a matter of who is quicker: fred announces a new connection before it sends anything over it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use fred::clients::Client;
use fred::interfaces::EventInterface;
use fred::types::config::Server;
use tokio::sync::broadcast::Receiver;

#[derive(Debug)]
pub(crate) struct ConnectionEpoch {
    /// Never received from: what waits in it is one announcement for each connection so far.
    announced: Receiver<Server>,
    checked: AtomicUsize,
}

impl ConnectionEpoch {
    /// Of a client that has not connected yet.
    pub(crate) fn of(client: &Client) -> Self {
        Self { announced: client.reconnect_rx(), checked: AtomicUsize::new(0) }
    }

    /// The number of the connection that there is, or was last.
    pub(crate) fn number(&self) -> usize {
        self.announced.len()
    }

    /// The server at the other end of this connection is known.
    pub(crate) fn check(&self, number: usize) {
        self.checked.store(number, SeqCst);
    }

    /// Whether it is known who has given the answers that are there by now.
    pub(crate) fn is_verified(&self) -> bool {
        self.checked.load(SeqCst) == self.number()
    }
}
