//! What happens to entries, told to whoever watches just now: for a live page, or for an eye on a demo.
//!
//! Nobody watches: a read pays one relaxed load of a flag. Somebody does: what happens is kept on a reel of bounded
//! length, and each listener reads on from where it stands, so one that is slow, or gone, slows nobody. It finds a
//! [`CacheEvent::Lagged`] where it has lost some. The reel runs on for a minute after the last listener has left, so that a
//! connection that broke is resumed; when it stops it gets another name, and an id from before means nothing to it.

mod listener;
mod record;

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::CacheClient;
use crate::client::Inner;

pub use listener::FeedSubscription;
pub use record::{CacheEvent, CacheEventKind, EntryRecord, FeedRecord, InvalidationRecord, ServiceEventRecord};

/// Records on the reel.
const BUFFER_CAPACITY: usize = 4096;
/// Listeners at once.
const MAX_SUBSCRIBERS: usize = 64;
/// How long the reel runs on after the last listener has left.
const IDLE_RETENTION: Duration = Duration::from_secs(60);

/// The feed of a cache; see [`CacheClient::feed`].
#[derive(Clone, Debug)]
pub struct Feed(CacheClient);

/// As many listen as may.
#[derive(Debug, thiserror::Error)]
#[error("the limit of {MAX_SUBSCRIBERS} feed subscribers is reached")]
pub struct TooManySubscribers;

/// Where records are kept while somebody watches.
#[derive(Debug)]
pub(crate) struct EventBuffer {
    has_subscribers: AtomicBool,
    state: Mutex<BufferState>,
    added: Notify,
}

#[derive(Debug)]
struct BufferState {
    /// Tells ids of this process, and of this stretch of watching, from all others.
    name: String,
    /// The latest ones; the last has the id `next - 1`.
    records: VecDeque<Arc<FeedRecord>>,
    next: u64,
    subscribers: usize,
    left: Instant,
}

impl CacheClient {
    /// What happens to entries, as it happens.
    pub fn feed(&self) -> Feed {
        Feed(self.clone())
    }
}

impl Feed {
    /// Reports an event that this process has heard: `event("product.updated", Some(17), "product:1")`.
    ///
    /// Costs nothing while nobody watches; `about` is not even formatted.
    pub fn event(&self, name: &str, seq: Option<u64>, about: impl Display) {
        self.0
            .inner
            .emit(|| CacheEvent::Event(ServiceEventRecord { name: name.to_owned(), seq, about: about.to_string() }));
    }

    /// Listens from now on, or from `last_id` on where this reel still knows it.
    ///
    /// # Errors
    /// When too many do.
    pub fn subscribe(&self, last_id: Option<&str>) -> Result<FeedSubscription, TooManySubscribers> {
        FeedSubscription::new(&self.0.inner, last_id)
    }
}

impl Inner {
    /// Tells what happens, if anybody watches. On the path of every read.
    #[inline]
    pub(crate) fn emit(&self, what: impl FnOnce() -> CacheEvent) {
        if self.events.has_subscribers.load(Relaxed) {
            self.events.add(self.store.connection.clock.now_ms(), what());
        }
    }
}

impl EventBuffer {
    pub(crate) fn new() -> Self {
        let state =
            BufferState { name: fresh(), records: VecDeque::new(), next: 1, subscribers: 0, left: Instant::now() };
        Self { has_subscribers: AtomicBool::new(false), state: Mutex::new(state), added: Notify::new() }
    }

    #[cold]
    fn add(&self, at_ms: u64, what: CacheEvent) {
        let mut state = self.state();
        if state.subscribers == 0 && state.left.elapsed() > IDLE_RETENTION {
            // From here on, records are missing: nobody may resume across that.
            (state.name, state.next, state.records) = (fresh(), 1, VecDeque::new());
            self.has_subscribers.store(false, Relaxed);
            return;
        }
        if state.records.len() == BUFFER_CAPACITY {
            state.records.pop_front();
        }
        let id = state.next;
        state.records.push_back(Arc::new(FeedRecord { id, at_ms, what }));
        state.next += 1;
        drop(state);
        self.added.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BufferState {
    /// The id of the oldest record that is left.
    fn first(&self) -> u64 {
        self.next - self.records.len() as u64
    }
}

fn fresh() -> String {
    format!("{:012x}", rand::random::<u64>() >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> CacheEvent {
        CacheEvent::Event(ServiceEventRecord { name: "changed".to_owned(), seq: None, about: String::new() })
    }

    #[test]
    fn the_reel_runs_on_after_the_last_listener_for_a_while_and_then_stops_under_another_name() {
        let events = EventBuffer::new();
        events.has_subscribers.store(true, Relaxed);
        events.add(0, event());
        let name = events.state().name.clone();
        assert_eq!(events.state().records.len(), 1, "somebody may come back");

        let long_ago = Instant::now().checked_sub(2 * IDLE_RETENTION).expect("the machine has been up for longer");
        events.state().left = long_ago;
        events.add(0, event());
        assert!(!events.has_subscribers.load(Relaxed));
        let state = events.state();
        assert!(
            state.records.is_empty() && state.name != name,
            "an id from before must not be taken for one that nothing followed"
        );
    }
}
