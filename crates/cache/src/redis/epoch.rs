//! The epoch of the connection: whether the server that answers has been verified.
//!
//! A command on a broken connection waits in the client library for the next connection. The server that then answers
//! may be another one than the one that was verified last, and may have lost acknowledged invalidations (ADR 10). So a
//! reply counts only if no connection has been made since the verification.
//!
//! This is exact and does not depend on timing: fred announces a new connection before it sends anything over it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use fred::clients::Client;
use fred::interfaces::EventInterface;
use fred::types::config::Server;
use tokio::sync::broadcast::Receiver;

#[derive(Debug)]
pub(crate) struct ConnectionEpoch {
    /// Never received from, so it holds one announcement for each connection so far.
    announced: Receiver<Server>,
    checked: AtomicUsize,
}

impl ConnectionEpoch {
    /// Creates the epoch of a client that has not connected yet.
    pub(crate) fn of(client: &Client) -> Self {
        Self { announced: client.reconnect_rx(), checked: AtomicUsize::new(0) }
    }

    /// Returns the number of the current connection, or of the last one.
    pub(crate) fn number(&self) -> usize {
        self.announced.len()
    }

    /// Marks the server of this connection as verified.
    pub(crate) fn check(&self, number: usize) {
        self.checked.store(number, SeqCst);
    }

    /// Returns whether the server that gave the replies received so far is verified.
    pub(crate) fn is_verified(&self) -> bool {
        self.checked.load(SeqCst) == self.number()
    }
}
