//! A feed of cache events for its current subscribers, such as a live page or a demo.
//!
//! Without subscribers, a read costs one relaxed load of a flag. With subscribers, events go to a buffer of bounded
//! size, and each subscriber reads from its own position. So a slow or disconnected subscriber delays no other and not
//! the cache; it receives a [`CacheEvent::Lagged`] where it has lost records. The buffer keeps recording for a minute
//! after the last subscriber has left, so that a broken connection can resume. When it stops, it gets a new name, and
//! an earlier id no longer resumes.

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

/// Records in the buffer.
const BUFFER_CAPACITY: usize = 4096;
/// Concurrent subscribers.
const MAX_SUBSCRIBERS: usize = 64;
/// How long the buffer keeps recording after the last subscriber has left.
const IDLE_RETENTION: Duration = Duration::from_secs(60);

/// The feed of a cache client; see [`CacheClient::feed`].
#[derive(Clone, Debug)]
pub struct Feed(CacheClient);

/// The maximum number of subscribers is reached.
#[derive(Debug, thiserror::Error)]
#[error("the limit of {MAX_SUBSCRIBERS} feed subscribers is reached")]
pub struct TooManySubscribers;

/// The buffer of records for the current subscribers.
#[derive(Debug)]
pub(crate) struct EventBuffer {
    has_subscribers: AtomicBool,
    state: Mutex<BufferState>,
    added: Notify,
}

#[derive(Debug)]
struct BufferState {
    /// Distinguishes the ids of this process and of this period of recording from all others.
    name: String,
    /// The latest records; the last one has the id `next - 1`.
    records: VecDeque<Arc<FeedRecord>>,
    next: u64,
    subscribers: usize,
    left: Instant,
}

impl CacheClient {
    /// Returns the feed of events on entries.
    pub fn feed(&self) -> Feed {
        Feed(self.clone())
    }
}

impl Feed {
    /// Adds an event that this process has received: `event("product.updated", Some(17), "product:1")`.
    ///
    /// It costs nothing without subscribers; `about` is not even formatted.
    pub fn event(&self, name: &str, seq: Option<u64>, about: impl Display) {
        self.0
            .inner
            .emit(|| CacheEvent::Event(ServiceEventRecord { name: name.to_owned(), seq, about: about.to_string() }));
    }

    /// Subscribes from now on, or after `last_id` if this buffer still knows it.
    ///
    /// # Errors
    /// Returns an error when the maximum number of subscribers is reached.
    pub fn subscribe(&self, last_id: Option<&str>) -> Result<FeedSubscription, TooManySubscribers> {
        FeedSubscription::new(&self.0.inner, last_id)
    }
}

impl Inner {
    /// Emits an event if there are subscribers. On the path of every read.
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
            // Records are missing from here on, so no subscriber may resume across this gap.
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
    /// Returns the id of the oldest record in the buffer.
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
    fn buffer_stops_and_changes_its_name_after_its_idle_retention() {
        let events = EventBuffer::new();
        events.has_subscribers.store(true, Relaxed);
        events.add(0, event());
        let name = events.state().name.clone();
        assert_eq!(events.state().records.len(), 1, "a subscriber may resume");

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
