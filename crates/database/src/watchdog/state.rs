//! The observed state of one connection: whether it is open, how long Postgres may be silent on it, and which errors
//! Postgres has reported.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::generation::Generation;
use crate::sqlstate::{ErrorClass, classify};

/// The maximum number of remembered errors: those of one transaction.
const REMEMBERED: usize = 8;

/// The state that the stream updates and the user of the connection reads.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// The limit of ordinary statements.
    ordinary: Option<Duration>,
    /// The limit of the current statement, in milliseconds; 0 means no limit.
    silence: AtomicU64,
    generation: Arc<Generation>,
    is_closed: AtomicBool,
    refusals: Mutex<VecDeque<ServerError>>,
}

/// An `ErrorResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    /// The function in Postgres' source that reported the error.
    pub(crate) routine: Option<String>,
}

/// Restores the previous limit when it is dropped.
pub(crate) struct LimitGuard<'w> {
    connection_state: &'w ConnectionState,
    previous: u64,
}

impl ConnectionState {
    pub(crate) fn new(silence: Option<Duration>, generation: Arc<Generation>) -> Self {
        Self {
            ordinary: silence,
            silence: AtomicU64::new(milliseconds(silence)),
            generation,
            is_closed: AtomicBool::new(false),
            refusals: Mutex::default(),
        }
    }

    /// Returns how long Postgres may be silent while a response is outstanding; `None` means no limit. After another
    /// connection was found dead, a long statement has the limit of ordinary ones: its server is probably lost too.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let ordinary = self.ordinary.filter(|_| self.generation.has_lost_server());
        ordinary.into_iter().chain(self.allowed()).min()
    }

    /// Returns the limit of the current statement.
    fn allowed(&self) -> Option<Duration> {
        match self.silence.load(Ordering::Relaxed) {
            0 => None,
            silence => Some(Duration::from_millis(silence)),
        }
    }

    /// Sets another limit until the guard is dropped. Call it before the statement is sent.
    pub(crate) fn allow(&self, silence: Option<Duration>) -> LimitGuard<'_> {
        LimitGuard { connection_state: self, previous: self.silence.swap(milliseconds(silence), Ordering::Relaxed) }
    }

    /// Returns whether the limit can become shorter while a response is outstanding.
    pub(super) fn may_shorten(&self) -> bool {
        self.allowed() != self.ordinary
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.is_closed() && self.generation.is_current()
    }

    /// Lets the pool replace the connections that were opened in the same period as this one.
    pub(crate) fn end_generation(&self) {
        self.generation.end();
    }

    /// Returns whether Postgres has not responded on this connection, or on one that was opened in the same period.
    pub(crate) fn has_lost_server(&self) -> bool {
        self.generation.has_lost_server()
    }

    /// Records that Postgres has not responded on this connection.
    pub(crate) fn lose_server(&self) {
        self.generation.lose_server();
    }

    /// Records that this connection leads to a standby.
    pub(crate) fn find_standby(&self) {
        self.generation.find_standby();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Returns the errors since the last call of [`clear_errors`](Self::clear_errors), the oldest first.
    pub(crate) fn server_errors(&self) -> Vec<ServerError> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn clear_errors(&self) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn remember(&self, refusal: ServerError) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() == REMEMBERED {
            refusals.pop_front();
        }
        refusals.push_back(refusal);
    }
}

impl ServerError {
    pub(crate) fn class(&self) -> ErrorClass {
        classify(&self.sqlstate, self.routine.as_deref())
    }
}

impl Drop for LimitGuard<'_> {
    fn drop(&mut self) {
        self.connection_state.silence.store(self.previous, Ordering::Relaxed);
    }
}

fn milliseconds(silence: Option<Duration>) -> u64 {
    silence.map_or(0, |silence| u64::try_from(silence.as_millis()).unwrap_or(u64::MAX).max(1))
}
