//! A subscriber: a position in the buffer. No other task waits for a subscriber.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::buffer::EventBuffer;
use super::record::{CacheEvent, FeedRecord};

const MAX_SUBSCRIBERS: usize = 64;

/// Records returned at once.
const BATCH: usize = 256;
/// How long records accumulate before they are returned, so that a busy cache does not wake its subscribers for each
/// one.
const BATCH_DELAY: Duration = Duration::from_millis(5);

/// The maximum number of subscribers is reached.
#[derive(Debug, thiserror::Error)]
#[error("the limit of {MAX_SUBSCRIBERS} feed subscribers is reached")]
pub struct TooManySubscribers;

/// A subscription that receives events from one position on. Dropping it releases its slot.
#[derive(Debug)]
pub struct FeedSubscription {
    events: Arc<EventBuffer>,
    stop: CancellationToken,
    name: String,
    next: u64,
    begin: Option<bool>,
}

impl FeedSubscription {
    pub(super) fn new(
        events: &Arc<EventBuffer>, stop: CancellationToken, last_id: Option<&str>,
    ) -> Result<Self, TooManySubscribers> {
        let mut state = events.state();
        if state.subscribers == MAX_SUBSCRIBERS {
            return Err(TooManySubscribers);
        }
        state.subscribers += 1;
        events.has_subscribers.store(true, Relaxed);
        let last = last_id.and_then(|id| id.split_once('-')).filter(|(name, _)| *name == state.name);
        let last = last.and_then(|(_, id)| id.parse::<u64>().ok()).filter(|id| *id < state.next);
        let next = last.map_or(state.next, |id| id + 1);
        let name = state.name.clone();
        drop(state);
        Ok(Self { events: Arc::clone(events), stop, name, next, begin: Some(last.is_some()) })
    }

    /// Waits for events and returns one record or several; `None` when the client shuts down.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Vec<Arc<FeedRecord>>> {
        let events = Arc::clone(&self.events);
        loop {
            let mut added = pin!(events.added.notified());
            // Before `take`, or a record that is added in between would not wake this subscriber.
            added.as_mut().enable();
            let batch = self.take();
            if !batch.is_empty() {
                return Some(batch);
            }
            tokio::select! {
                () = added => {}
                () = self.stop.cancelled() => return None,
            }
            tokio::time::sleep(BATCH_DELAY).await;
        }
    }

    /// Returns the id after which to resume: that of the last record returned.
    pub fn position(&self) -> String {
        self.id_of(self.next - 1)
    }

    /// Returns the id of `record`, after which to resume.
    pub fn id(&self, record: &FeedRecord) -> String {
        self.id_of(record.id)
    }

    fn id_of(&self, id: u64) -> String {
        format!("{}-{id}", self.name)
    }

    fn take(&mut self) -> Vec<Arc<FeedRecord>> {
        let at_ms = self.events.now_ms();
        let mut batch = Vec::new();
        if let Some(resumed) = self.begin.take() {
            batch.push(Arc::new(FeedRecord { id: self.next - 1, at_ms, what: CacheEvent::Begin { resumed } }));
        }
        let state = self.events.state();
        let first = state.first();
        if self.next < first {
            let lost = first - self.next;
            batch.push(Arc::new(FeedRecord { id: first - 1, at_ms, what: CacheEvent::Lagged { lost } }));
            self.next = first;
        }
        let known = (self.next - first) as usize;
        batch.extend(state.records.iter().skip(known).take(BATCH).cloned());
        drop(state);
        if let Some(last) = batch.last() {
            self.next = last.id + 1;
        }
        batch
    }
}

impl Drop for FeedSubscription {
    fn drop(&mut self) {
        let mut state = self.events.state();
        state.subscribers -= 1;
        state.left = Instant::now();
    }
}
