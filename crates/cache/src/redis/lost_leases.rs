//! Leases that no load has, and that Redis may still have: those that it granted in a reply that did not arrive, and
//! those that could not be released.
//!
//! Readers of such an entry would wait until the lease expires. So it is released as soon as Redis answers again.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::error::Result;
use crate::keyspace::Key;
use crate::sync::Mutex;

/// The pause before each attempt: a command that has timed out may be carried out a moment later.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest lease of a policy: after this time, a lease has expired.
const LONGEST: Duration = Duration::from_secs(60);

/// The maximum number of leases that are remembered. The others expire by themselves.
const MAX_LEASES: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct LostLeases {
    leases: Mutex<Vec<LostLease>>,
    added: Notify,
}

#[derive(Debug)]
struct LostLease {
    key: Key,
    /// `L<id>` for a lease, `V<id>` for the lock of a refresh.
    token: Bytes,
    /// When it has expired.
    end: Instant,
}

impl LostLeases {
    pub(super) fn add(&self, key: &Key, token: Bytes) {
        self.put(vec![LostLease { key: key.clone(), token, end: Instant::now() + LONGEST }]);
        self.added.notify_one();
    }

    fn put(&self, mut added: Vec<LostLease>) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        added.truncate(MAX_LEASES - leases.len());
        leases.append(&mut added);
    }

    /// Takes the leases that may not have expired.
    fn take(&self) -> Vec<LostLease> {
        let mut leases = std::mem::take(&mut *self.leases.lock().unwrap_or_else(PoisonError::into_inner));
        leases.retain(|lease| lease.end > Instant::now());
        leases
    }

    /// Releases the leases by this command until the future is dropped. Never returns.
    pub(super) async fn run<R: Future<Output = Result<()>>>(&self, release: impl Fn(Key, Bytes) -> R) {
        loop {
            self.added.notified().await;
            loop {
                sleep(PAUSE).await;
                let mut leases = self.take();
                if leases.is_empty() {
                    break;
                }
                while let Some(lease) = leases.pop() {
                    if release(lease.key.clone(), lease.token.clone()).await.is_err() {
                        leases.push(lease);
                        break;
                    }
                }
                self.put(leases);
            }
        }
    }
}
