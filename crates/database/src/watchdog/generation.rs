//! Connections that were opened in the same period, and what was observed on one of them that concerns all.

use std::sync::atomic::{AtomicBool, Ordering};

/// A period in which connections were opened.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    is_over: AtomicBool,
    has_lost_server: AtomicBool,
    has_standby: AtomicBool,
}

impl Generation {
    /// Lets the pool close the connections as soon as they are idle.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Records that Postgres has not responded on one of the connections.
    pub(super) fn lose_server(&self) {
        self.has_lost_server.store(true, Ordering::Release);
    }

    pub(super) fn has_lost_server(&self) -> bool {
        self.has_lost_server.load(Ordering::Acquire)
    }

    /// Records that one of the connections leads to a standby.
    pub(super) fn find_standby(&self) {
        self.has_standby.store(true, Ordering::Release);
    }

    pub(crate) fn has_standby(&self) -> bool {
        self.has_standby.load(Ordering::Acquire)
    }

    /// Returns whether idle connections can be used again.
    pub(crate) fn is_current(&self) -> bool {
        !self.is_over.load(Ordering::Acquire) && !self.has_lost_server()
    }
}
