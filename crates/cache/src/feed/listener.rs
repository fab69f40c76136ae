//! One who listens: a position on the reel, and nothing that anybody waits for.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{FeedCrowded, Happening, LISTENERS, Record};
use crate::cache::Inner;

/// Records that are handed out at once.
const BATCH: usize = 256;
/// How long records gather before they are handed out: a busy cache should not wake its listeners for each.
const GATHER: Duration = Duration::from_millis(5);

/// Hears what happens from one point on. Its place is free again when it is dropped.
#[derive(Debug)]
pub struct Listener {
    inner: Arc<Inner>,
    stop: CancellationToken,
    name: String,
    next: u64,
    begin: Option<bool>,
}

impl Listener {
    pub(super) fn new(inner: &Arc<Inner>, last_id: Option<&str>) -> Result<Self, FeedCrowded> {
        let mut reel = inner.tape.reel();
        if reel.listeners == LISTENERS {
            return Err(FeedCrowded);
        }
        reel.listeners += 1;
        inner.tape.watched.store(true, std::sync::atomic::Ordering::Relaxed);
        let last = last_id.and_then(|id| id.split_once('-')).filter(|(name, _)| *name == reel.name);
        let last = last.and_then(|(_, id)| id.parse::<u64>().ok()).filter(|id| *id < reel.next);
        let next = last.map_or(reel.next, |id| id + 1);
        let (name, stop) = (reel.name.clone(), inner.stop.clone());
        drop(reel);
        Ok(Self { inner: Arc::clone(inner), stop, name, next, begin: Some(last.is_some()) })
    }

    /// Waits for what happens next, one record or several; `None` when the cache shuts down.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Vec<Arc<Record>>> {
        let inner = Arc::clone(&self.inner);
        loop {
            let mut added = pin!(inner.tape.added.notified());
            // Before looking, or what is added in between would not wake it.
            added.as_mut().enable();
            let batch = self.take();
            if !batch.is_empty() {
                return Some(batch);
            }
            tokio::select! {
                () = added => {}
                () = self.stop.cancelled() => return None,
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// The id to resume after everything that was handed out.
    pub fn position(&self) -> String {
        self.id_of(self.next - 1)
    }

    /// The id to resume after `record`.
    pub fn id(&self, record: &Record) -> String {
        self.id_of(record.id)
    }

    fn id_of(&self, id: u64) -> String {
        format!("{}-{id}", self.name)
    }

    fn take(&mut self) -> Vec<Arc<Record>> {
        let at_ms = self.inner.store.connection.clock.now_ms();
        let mut batch = Vec::new();
        if let Some(resumed) = self.begin.take() {
            batch.push(Arc::new(Record { id: self.next - 1, at_ms, what: Happening::Begin { resumed } }));
        }
        let reel = self.inner.tape.reel();
        let first = reel.first();
        if self.next < first {
            let lost = first - self.next;
            batch.push(Arc::new(Record { id: first - 1, at_ms, what: Happening::Lagged { lost } }));
            self.next = first;
        }
        let known = (self.next - first) as usize;
        batch.extend(reel.records.iter().skip(known).take(BATCH).cloned());
        drop(reel);
        if let Some(last) = batch.last() {
            self.next = last.id + 1;
        }
        batch
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut reel = self.inner.tape.reel();
        reel.listeners -= 1;
        reel.left = Instant::now();
    }
}
