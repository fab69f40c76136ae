//! State that the parts of the service share: the current index, how current it is, and the pending invalidation.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::gauge;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::index::Snapshot;

/// An index counts as stale when it was last known to be current longer ago than this.
const STALE: Duration = Duration::from_secs(5);

/// The status of the index, shared by all parts of the service.
pub struct IndexStatus {
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    /// The number of products that the running reindex has read.
    walked: AtomicU64,
    is_walking: AtomicBool,
    /// The highest event number up to which an invalidation of all pages is pending; 0 if none is.
    owed: AtomicU64,
    head: Mutex<Head>,
    /// The id of the watermarks and the lineage of the index that are known to belong to one history.
    compared: Mutex<Option<(i64, u64)>>,
}

/// The newest event of the log, as far as this process knows.
#[derive(Default)]
struct Head {
    number: u64,
    /// When the index last included every event of the log.
    current: Option<Instant>,
    asked: Option<Instant>,
}

/// How current the index is from which a response was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexState {
    /// The number of the last event in the index; all earlier ones are included.
    pub position: u64,
    /// The number of events that the index is known to lack.
    pub lag: u64,
    /// Whether the index may be more than five seconds behind: the product API is unavailable, there is a backlog, or
    /// it is unknown whether events are being applied.
    pub stale: bool,
}

impl Default for IndexStatus {
    fn default() -> Self {
        Self {
            snapshot: watch::Sender::new(None),
            walked: AtomicU64::new(0),
            is_walking: AtomicBool::new(false),
            owed: AtomicU64::new(0),
            head: Mutex::default(),
            compared: Mutex::default(),
        }
    }
}

impl IndexStatus {
    /// Returns the current index; `None` until there is a usable one.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// Replaces the current index with `snapshot`.
    pub fn publish(&self, snapshot: Snapshot) {
        gauge!("search_index_documents").set(snapshot.len() as f64);
        gauge!("search_index_position").set(snapshot.position as f64);
        self.snapshot.send_replace(Some(Arc::new(snapshot)));
    }

    /// Removes the current index, because it was built from another database.
    pub fn withdraw(&self) {
        self.snapshot.send_replace(None);
    }

    /// Waits until the index can be used.
    pub async fn usable(&self) {
        // `self` owns the sender, so the channel cannot be closed.
        let _ = self.snapshot.subscribe().wait_for(Option::is_some).await;
    }

    /// Records that a reindex begins or ends.
    pub fn set_reindexing(&self, is_walking: bool) {
        self.walked.store(0, SeqCst);
        self.is_walking.store(is_walking, SeqCst);
    }

    /// Adds `more` products to the count of the running reindex, and returns the new count.
    pub fn reindexed(&self, more: u64) -> u64 {
        let walked = self.walked.fetch_add(more, SeqCst) + more;
        gauge!("search_build_products").set(walked as f64);
        walked
    }

    /// Returns whether the index can be used.
    ///
    /// # Errors
    /// Returns the reason when the index cannot be used yet.
    pub fn readiness(&self) -> Result<(), String> {
        if self.snapshot.borrow().is_some() {
            return Ok(());
        }
        match (self.is_walking.load(SeqCst), self.walked.load(SeqCst)) {
            (true, 0) => Err("the index is about to be built; waiting for the product API".to_owned()),
            (true, walked) => Err(format!("the index is being built: {walked} products so far")),
            (false, _) => Err("the index is being opened".to_owned()),
        }
    }

    /// Records that an invalidation of all pages for events up to `number` is pending.
    pub fn set_pending(&self, number: u64) {
        self.owed.fetch_max(number.max(1), SeqCst);
        gauge!("search_invalidations_owed").set(1.0);
    }

    /// Returns the event number up to which an invalidation of all pages is pending, if one is.
    pub fn owed(&self) -> Option<u64> {
        Some(self.owed.load(SeqCst)).filter(|owed| *owed > 0)
    }

    /// Clears the pending invalidation up to `number`. One for a higher number that was recorded since then stays
    /// pending.
    pub fn clear_pending(&self, number: u64) {
        if self.owed.compare_exchange(number, 0, SeqCst, SeqCst).is_ok() {
            gauge!("search_invalidations_owed").set(0.0);
        }
    }

    /// Records that the newest event of the log had this number at `now`.
    pub fn observe_head(&self, number: u64, now: Instant) {
        let position = self.position();
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if position >= number {
            head.current = Some(now);
        } else if position >= head.number && head.asked.is_some() {
            // The index includes the head of the previous check, so it is behind by at most the time since then.
            head.current = head.current.max(head.asked);
        }
        (head.number, head.asked) = (number, Some(now));
        gauge!("search_index_lag").set(number.saturating_sub(position) as f64);
    }

    /// Marks the index as not current, because the log reports that it belongs to another history, whatever its
    /// position.
    pub fn mark_not_current(&self) {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).current = None;
    }

    /// Records that the log has confirmed an index of `lineage` as part of its history, after the watermarks `horizon`
    /// were initialized.
    pub fn set_lineage_checked(&self, horizon: i64, lineage: u64) {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some((horizon, lineage));
    }

    /// Returns whether the log has confirmed this lineage for these watermarks.
    pub fn is_compared(&self, horizon: i64, lineage: u64) -> bool {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) == Some((horizon, lineage))
    }

    /// Returns how current the index is.
    pub fn index(&self, now: Instant) -> IndexState {
        let position = self.position();
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = head.current.is_some_and(|current| now.saturating_duration_since(current) <= STALE);
        IndexState { position, lag: head.number.saturating_sub(position), stale: !is_current }
    }

    fn position(&self) -> u64 {
        self.snapshot.borrow().as_ref().map_or(0, |snapshot| snapshot.position)
    }
}
