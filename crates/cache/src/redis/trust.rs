//! The lease during which a process may use the servers that the source of truth trusts (ADR 37).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::node::ProbeError;
use super::server::Identity;
use crate::health::Reason;
use crate::incarnation::{Decision, IncarnationRecord, Record};
use crate::near::{clock_ns, with_margin};
use crate::purge_queue::PurgeQueue;

/// How long a process may use a server after it has begun to read a record that names it. All versions of the program that
/// share a keyspace must have the same value.
const LEASE: Duration = Duration::from_secs(2);
/// The longest time for one access to the record. A lease outlasts several of them.
const ACCESS_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a process does not use a server that others have replaced.
pub(super) const REPLACED: &str = "this Redis was replaced by another one, which the source of truth trusts";
/// Why a process does not use a server at first.
const NOT_YET: &str = "the source of truth does not trust this Redis yet; it does after its entries are removed";

/// Whether the source of truth trusts the servers in use.
#[derive(Debug)]
pub(super) struct Trust {
    /// The end of the lease by [`clock_ns`]; `u64::MAX` without a record.
    until: AtomicU64,
    record: Option<Arc<dyn IncarnationRecord>>,
    /// Only the probe locks it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The servers of the last probe.
    servers: Vec<String>,
    recovery: Option<Recovery>,
}

/// A recovery that this process takes part in.
#[derive(Debug)]
struct Recovery {
    /// The record that demands it.
    text: String,
    /// When this process read that record first.
    since: Instant,
    is_purge_requested: bool,
}

impl Trust {
    pub(super) fn new(record: Option<Arc<dyn IncarnationRecord>>) -> Self {
        let until = if record.is_some() { 0 } else { u64::MAX };
        Self { until: AtomicU64::new(until), record, state: Mutex::default() }
    }

    /// Returns whether replies count now.
    pub(super) fn holds(&self) -> bool {
        match self.until.load(SeqCst) {
            u64::MAX => true,
            until => clock_ns() < until,
        }
    }

    /// Returns the end of the lease by [`clock_ns`]; `u64::MAX` without a record.
    pub(super) fn until(&self) -> u64 {
        self.until.load(SeqCst)
    }

    /// Compares the servers with the record, and renews the lease if they may be used.
    ///
    /// # Errors
    /// Returns an error if the servers must not be used now.
    pub(super) async fn check(&self, identity: &Identity, purges: &impl PurgeQueue) -> Result<(), ProbeError> {
        let Some(record) = &self.record else { return Ok(()) };
        let mut state = self.state.lock().await;
        let servers = identity.servers().unwrap_or_default();
        if state.servers != servers {
            // The lease was granted for other servers.
            self.end();
            *state = State { servers, recovery: None };
        }
        if state.servers.is_empty() {
            return not_trusted("INFO shows no run_id, which the trusted incarnation needs");
        }
        let began = clock_ns();
        let text = match timeout(ACCESS_TIMEOUT, record.load()).await {
            Ok(Ok(text)) => text,
            _ if self.holds() => return Ok(()),
            _ => return not_trusted("the source of truth does not say which Redis is trusted"),
        };
        match Record::decide(text.as_deref(), &state.servers) {
            Decision::Use => {
                state.recovery = None;
                self.renew(began);
                Ok(())
            }
            Decision::Refuse => {
                self.end();
                not_trusted(REPLACED)
            }
            Decision::Replace(new) => {
                self.end();
                warn!("Redis is not the one that the source of truth trusts; the processes recover to it");
                replace(record.as_ref(), text.as_deref(), &new).await;
                not_trusted(NOT_YET)
            }
            Decision::Recover(recovered) => {
                let text = text.unwrap_or_default();
                let recovery = match &mut state.recovery {
                    Some(recovery) if recovery.text == text => recovery,
                    other => other.insert(Recovery { text, since: Instant::now(), is_purge_requested: false }),
                };
                if recovery.since.elapsed() < with_margin(LEASE) {
                    self.end();
                    return not_trusted(NOT_YET);
                }
                if !recovery.is_purge_requested {
                    recovery.is_purge_requested = true;
                    purges.request_purge();
                } else if purges.is_purged() && replace(record.as_ref(), Some(&recovery.text), &recovered).await {
                    info!("the entries from before the failover are removed; the source of truth trusts this Redis");
                }
                self.renew(began);
                Ok(())
            }
        }
    }

    /// Begins a lease at the time at which the record was asked for.
    fn renew(&self, began: u64) {
        self.until.store(began + LEASE.as_nanos() as u64, SeqCst);
    }

    fn end(&self) {
        self.until.store(0, SeqCst);
    }
}

/// Replaces the record, and returns whether it did. If not, the next probe sees the reason.
async fn replace(record: &dyn IncarnationRecord, expected: Option<&str>, new: &Record) -> bool {
    match timeout(ACCESS_TIMEOUT, record.replace(expected, &new.text())).await {
        Ok(Ok(is_replaced)) => is_replaced,
        Ok(Err(error)) => {
            debug!(error, "the record of the trusted incarnation cannot be replaced");
            false
        }
        Err(_) => false,
    }
}

fn not_trusted(reason: &'static str) -> Result<(), ProbeError> {
    Err(ProbeError::State(Reason::Incarnation(reason)))
}
