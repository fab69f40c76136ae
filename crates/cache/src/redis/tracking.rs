//! The tracked connection of a near cache: it reads entries, applies pushes, renews the lease by barriers, and answers
//! the processes that wait for this one.
//!
//! One task owns the connection, so pushes and replies are applied in the order in which Redis sent them. When anything
//! goes wrong, the task ends the lease, forgets everything and connects again; meanwhile, reads use the ordinary
//! connection.

mod barrier;
mod session;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::warn;

use self::session::{Link, Request};
use super::scripts::Scripts;
use super::store::RedisStore;
use crate::lease::RandomId;
use crate::near::NearMemory;
use crate::recurring_failure::RecurringFailure;

/// The pause after a failure.
const RECONNECT: Duration = Duration::from_millis(100);

/// The process's side of the tracked connection.
#[derive(Debug)]
pub(crate) struct Tracking {
    /// The name of this process in the register of holders.
    pub(crate) id: Bytes,
    requests: mpsc::UnboundedSender<Request>,
    is_up: Arc<AtomicBool>,
}

/// The task that owns the connection.
pub(crate) struct TrackingTask {
    requests: mpsc::UnboundedReceiver<Request>,
    link: Link,
}

impl Tracking {
    /// Creates the connection's two sides. The task connects when it runs.
    pub(crate) fn new(store: &RedisStore, memory: &Arc<NearMemory>) -> (Self, TrackingTask) {
        let (sender, requests) = mpsc::unbounded_channel();
        let is_up = Arc::new(AtomicBool::new(false));
        let id = Bytes::from(RandomId::random().to_string());
        let link = Link {
            id: id.clone(),
            is_up: Arc::clone(&is_up),
            memory: Arc::clone(memory),
            login: store.login.clone(),
            register: Scripts::new().register_holder,
            channel: store.keyspace.near_channel(),
            keyspace: store.keyspace.clone(),
        };
        (Self { id, requests: sender, is_up }, TrackingTask { requests, link })
    }

    /// Reads an entry, so that Redis tracks it. `None` if the connection cannot be used, and the reply otherwise.
    pub(crate) async fn get(&self, key: Bytes) -> Option<Option<Bytes>> {
        if !self.is_up.load(SeqCst) {
            return None;
        }
        let (sender, reply) = oneshot::channel();
        self.requests.send(Request::Get(key, sender)).ok()?;
        reply.await.ok()
    }

    /// Waits until these processes have applied everything that Redis had executed when this method was called. Never
    /// returns if one of them does not answer.
    pub(crate) async fn confirm(&self, processes: HashSet<Bytes>) {
        loop {
            let (sender, done) = oneshot::channel();
            if self.requests.send(Request::Confirm(processes.clone(), sender)).is_ok() && done.await.is_ok() {
                return;
            }
            // The connection broke; the next one may be in time.
            sleep(RECONNECT / 10).await;
        }
    }
}

impl TrackingTask {
    /// Keeps the connection until the future is dropped. Never returns.
    pub(crate) async fn run(mut self) {
        let (link, failure) = (self.link, RecurringFailure::default());
        loop {
            let ended = link.session(&mut self.requests, &failure).await;
            link.is_up.store(false, SeqCst);
            link.memory.validity.end_lease();
            link.memory.validity.record_change_of_everything();
            if let Err(error) = ended
                && failure.failed()
            {
                warn!(%error, "the near cache has no connection; its entries are read from Redis");
            }
            // Dropping a request wakes its caller.
            while self.requests.try_recv().is_ok() {}
            sleep(RECONNECT).await;
        }
    }
}
