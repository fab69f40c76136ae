//! What the parts of the service know of one another: the index as it is now, how current it is, and what Redis has not
//! been told yet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::gauge;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::index::Snapshot;

/// An index that has not been known to be current for so long is called stale.
const STALE: Duration = Duration::from_secs(5);

/// Shared by all parts of the service.
pub struct IndexStatus {
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    /// Products read so far by the walk under way.
    walked: AtomicU64,
    is_walking: AtomicBool,
    /// The greatest event number of which Redis has not been told what it outdates; 0 for none.
    owed: AtomicU64,
    head: Mutex<Head>,
    /// The horizon with which an index is known to be of one history, and the lineage of that index.
    compared: Mutex<Option<(i64, u64)>>,
}

/// What is known of the newest event of all.
#[derive(Default)]
struct Head {
    number: u64,
    /// When the index was last known to have everything.
    current: Option<Instant>,
    asked: Option<Instant>,
}

/// How current the index is that an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexState {
    /// Every event up to this number is in it.
    pub position: u64,
    /// How many events it is behind, as far as is known.
    pub lag: u64,
    /// Whether it may be more than five seconds behind: the product API does not answer, there is a backlog, or nobody knows
    /// whether events are carried out.
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
    /// The index as it is now; `None` until it can be used.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// From now on this is the index.
    pub fn publish(&self, snapshot: Snapshot) {
        gauge!("search_index_documents").set(snapshot.len() as f64);
        gauge!("search_index_position").set(snapshot.position as f64);
        self.snapshot.send_replace(Some(Arc::new(snapshot)));
    }

    /// From now on there is none: what there was is of another database.
    pub fn withdraw(&self) {
        self.snapshot.send_replace(None);
    }

    /// Waits until the index can be used.
    pub async fn usable(&self) {
        // The sender is here, so it cannot be gone.
        let _ = self.snapshot.subscribe().wait_for(Option::is_some).await;
    }

    /// A walk through the catalogue begins, or ends.
    pub fn set_reindexing(&self, is_walking: bool) {
        self.walked.store(0, SeqCst);
        self.is_walking.store(is_walking, SeqCst);
    }

    /// The walk has read so many products more; returns how many by now.
    pub fn reindexed(&self, more: u64) -> u64 {
        let walked = self.walked.fetch_add(more, SeqCst) + more;
        gauge!("search_build_products").set(walked as f64);
        walked
    }

    /// `Err` says why the index cannot be used yet.
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

    /// Redis has not been told what events up to `number` outdate.
    pub fn set_pending(&self, number: u64) {
        self.owed.fetch_max(number.max(1), SeqCst);
        gauge!("search_invalidations_owed").set(1.0);
    }

    /// Up to which event Redis has to be told that everything is outdated, if it has.
    pub fn owed(&self) -> Option<u64> {
        Some(self.owed.load(SeqCst)).filter(|owed| *owed > 0)
    }

    /// Redis has been told up to `number`. More may be owed by now.
    pub fn clear_pending(&self, number: u64) {
        if self.owed.compare_exchange(number, 0, SeqCst, SeqCst).is_ok() {
            gauge!("search_invalidations_owed").set(0.0);
        }
    }

    /// The newest event of all had this number just now.
    pub fn observe_head(&self, number: u64, now: Instant) {
        let position = self.position();
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if position >= number {
            head.current = Some(now);
        } else if position >= head.number && head.asked.is_some() {
            // What was the newest when it was asked last is in the index: it is behind by that much at most.
            head.current = head.current.max(head.asked);
        }
        (head.number, head.asked) = (number, Some(now));
        gauge!("search_index_lag").set(number.saturating_sub(position) as f64);
    }

    /// The log says that the index is of another history: it is not current, whatever its position.
    pub fn mark_not_current(&self) {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).current = None;
    }

    /// The log has said that an index of `lineage` is part of the history that it had after `horizon` was begun.
    pub fn set_lineage_checked(&self, horizon: i64, lineage: u64) {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some((horizon, lineage));
    }

    /// Whether it has.
    pub fn is_compared(&self, horizon: i64, lineage: u64) -> bool {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) == Some((horizon, lineage))
    }

    /// How current the index is.
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
