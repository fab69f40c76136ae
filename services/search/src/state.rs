//! State that the parts of the service share: the current index, how current it is, and the pending invalidation.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::Freshness;
use metrics::gauge;
use serde::{Deserialize, Serialize};
use service::consistency::AppliedEvents;
use tokio::sync::watch;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::index::IndexSnapshot;

/// The status of the index, shared by all parts of the service.
pub struct IndexStatus {
    snapshot: watch::Sender<Option<Arc<IndexSnapshot>>>,
    /// The number of products that the running reindex has read.
    reindexed_products: AtomicU64,
    is_reindexing: AtomicBool,
    /// The highest event number up to which an invalidation of all pages is pending; 0 if none is.
    pending_invalidation: AtomicU64,
    freshness: Freshness,
    /// The id of the watermarks and the lineage of the index that are known to belong to one history.
    lineage_checked: Mutex<Option<(i64, u64)>>,
}

/// An event counts as applied when the index that serves requests includes it: this is later than when the consumer has
/// handled it.
impl AppliedEvents for IndexStatus {
    async fn applied(&self, seq: u64, within: Duration) -> bool {
        self.includes(seq, within).await
    }
}

/// How current the index is from which a response was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexState {
    /// The number of the last event in the index; all earlier ones are included.
    pub position: u64,
    /// The number of events that the index is known to lack.
    pub lag: u64,
    /// Whether the index may be behind by more than `EVENTS__STALE_AFTER` (5 s by default): the product API is
    /// unavailable, there is a backlog, or it is unknown whether events are being applied.
    pub stale: bool,
}

impl IndexStatus {
    /// Creates the status before there is an index. An index that is behind for longer than `stale_after` is stale.
    pub fn new(stale_after: Duration) -> Self {
        Self {
            snapshot: watch::Sender::new(None),
            reindexed_products: AtomicU64::new(0),
            is_reindexing: AtomicBool::new(false),
            pending_invalidation: AtomicU64::new(0),
            freshness: Freshness::new(stale_after),
            lineage_checked: Mutex::default(),
        }
    }

    /// Returns the current index; `None` until there is a usable one.
    pub fn snapshot(&self) -> Option<Arc<IndexSnapshot>> {
        self.snapshot.borrow().clone()
    }

    /// Replaces the current index with `snapshot`.
    pub fn publish(&self, snapshot: IndexSnapshot) {
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

    /// Waits until the index includes event `seq`, for at most `within`. Returns whether it does.
    pub async fn includes(&self, seq: u64, within: Duration) -> bool {
        let includes =
            |snapshot: &Option<Arc<IndexSnapshot>>| snapshot.as_ref().is_some_and(|index| index.position >= seq);
        timeout(within, self.snapshot.subscribe().wait_for(includes)).await.is_ok_and(|found| found.is_ok())
    }

    /// Records that a reindex begins or ends.
    pub fn set_reindexing(&self, is_reindexing: bool) {
        self.reindexed_products.store(0, SeqCst);
        self.is_reindexing.store(is_reindexing, SeqCst);
    }

    /// Adds `more` products to the count of the running reindex, and returns the new count.
    pub fn reindexed(&self, more: u64) -> u64 {
        let products = self.reindexed_products.fetch_add(more, SeqCst) + more;
        gauge!("search_build_products").set(products as f64);
        products
    }

    /// Returns whether the index can be used.
    ///
    /// # Errors
    /// Returns the reason when the index cannot be used yet.
    pub fn readiness(&self) -> Result<(), String> {
        if self.snapshot.borrow().is_some() {
            return Ok(());
        }
        match (self.is_reindexing.load(SeqCst), self.reindexed_products.load(SeqCst)) {
            (true, 0) => Err("the index is about to be built; waiting for the product API".to_owned()),
            (true, products) => Err(format!("the index is being built: {products} products so far")),
            (false, _) => Err("the index is being opened".to_owned()),
        }
    }

    /// Records that an invalidation of all pages for events up to `number` is pending.
    pub fn set_pending(&self, number: u64) {
        self.pending_invalidation.fetch_max(number.max(1), SeqCst);
        gauge!("search_invalidations_owed").set(1.0);
    }

    /// Returns the event number up to which an invalidation of all pages is pending, if one is.
    pub fn pending_invalidation(&self) -> Option<u64> {
        Some(self.pending_invalidation.load(SeqCst)).filter(|number| *number > 0)
    }

    /// Clears the pending invalidation up to `number`. One for a higher number that was recorded since then stays
    /// pending.
    pub fn clear_pending(&self, number: u64) {
        if self.pending_invalidation.compare_exchange(number, 0, SeqCst, SeqCst).is_ok() {
            gauge!("search_invalidations_owed").set(0.0);
        }
    }

    /// Records that the newest event of the log had this number at `now`.
    pub fn observe_head(&self, number: u64, now: Instant) {
        let position = self.position();
        self.freshness.observe_head(number, position, now);
        gauge!("search_index_lag").set(number.saturating_sub(position) as f64);
    }

    /// Marks the index as not current, because the log reports that it belongs to another history.
    pub fn mark_not_current(&self) {
        self.freshness.mark_not_current();
    }

    /// Records that the log has confirmed an index of `lineage` as part of its history, after the watermarks with the
    /// id `watermarks` were initialized.
    pub fn set_lineage_checked(&self, watermarks: i64, lineage: u64) {
        *self.lineage_checked.lock().unwrap_or_else(PoisonError::into_inner) = Some((watermarks, lineage));
    }

    /// Returns whether the log has confirmed this lineage for these watermarks.
    pub fn is_lineage_checked(&self, watermarks: i64, lineage: u64) -> bool {
        *self.lineage_checked.lock().unwrap_or_else(PoisonError::into_inner) == Some((watermarks, lineage))
    }

    /// Returns how current the index is.
    pub fn index(&self, now: Instant) -> IndexState {
        let position = self.position();
        IndexState { position, lag: self.freshness.lag(position), stale: self.freshness.is_stale(now) }
    }

    fn position(&self) -> u64 {
        self.snapshot.borrow().as_ref().map_or(0, |snapshot| snapshot.position)
    }
}
