//! The buffer of records for the current subscribers.
//!
//! Without subscribers, an event costs one relaxed load of a flag. The buffer keeps recording for a minute after the
//! last subscriber has left, so that a broken connection can resume. When the buffer stops, it gets a new name, and a
//! subscriber can no longer resume from an earlier id.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::record::{CacheEvent, FeedRecord};

const BUFFER_CAPACITY: usize = 4096;
/// How long the buffer keeps recording after the last subscriber has left.
const IDLE_RETENTION: Duration = Duration::from_secs(60);

/// The buffer of records for the current subscribers.
pub(crate) struct EventBuffer {
    pub(crate) has_subscribers: AtomicBool,
    state: Mutex<BufferState>,
    pub(super) added: Notify,
    /// Returns the milliseconds since 1970 by Redis' clock.
    now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
}

#[derive(Debug)]
pub(super) struct BufferState {
    /// Distinguishes the ids of this process and of this period of recording from all others.
    pub(super) name: String,
    /// The latest records; the last one has the id `next - 1`.
    pub(super) records: VecDeque<Arc<FeedRecord>>,
    pub(super) next: u64,
    pub(super) subscribers: usize,
    pub(super) left: Instant,
}

impl EventBuffer {
    pub(crate) fn new(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let state =
            BufferState { name: fresh(), records: VecDeque::new(), next: 1, subscribers: 0, left: Instant::now() };
        Self {
            has_subscribers: AtomicBool::new(false),
            state: Mutex::new(state),
            added: Notify::new(),
            now_ms: Box::new(now_ms),
        }
    }

    /// Emits an event if there are subscribers.
    pub(crate) fn emit(&self, what: impl FnOnce() -> CacheEvent) {
        if self.has_subscribers.load(Relaxed) {
            self.add(what());
        }
    }

    /// Adds an event, for which there are subscribers.
    #[cold]
    pub(crate) fn add(&self, what: CacheEvent) {
        let at_ms = self.now_ms();
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

    pub(super) fn now_ms(&self) -> u64 {
        (self.now_ms)()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuffer").field("state", &self.state).finish_non_exhaustive()
    }
}

impl BufferState {
    pub(super) fn first(&self) -> u64 {
        self.next - self.records.len() as u64
    }
}

fn fresh() -> String {
    format!("{:012x}", rand::random::<u64>() >> 16)
}

#[cfg(test)]
mod tests {
    use super::super::record::ServiceEventRecord;
    use super::*;

    fn event() -> CacheEvent {
        CacheEvent::Event(ServiceEventRecord { name: "changed".to_owned(), seq: None, about: String::new() })
    }

    #[test]
    fn buffer_stops_and_changes_its_name_after_its_idle_retention() {
        let events = EventBuffer::new(|| 0);
        events.has_subscribers.store(true, Relaxed);
        events.add(event());
        let name = events.state().name.clone();
        assert_eq!(events.state().records.len(), 1, "a subscriber may resume");

        let long_ago = Instant::now().checked_sub(2 * IDLE_RETENTION).expect("the machine has been up for longer");
        events.state().left = long_ago;
        events.add(event());
        assert!(!events.has_subscribers.load(Relaxed));
        let state = events.state();
        assert!(
            state.records.is_empty() && state.name != name,
            "an id from before must not be taken for one that nothing followed"
        );
    }
}
