//! The status of the copy of the catalogue: whether it is complete, and how current it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::Freshness;
use metrics::gauge;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

/// The status that all parts of the service share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatalogueStatus(Arc<SharedState>);

#[derive(Debug)]
struct SharedState {
    filled: watch::Sender<bool>,
    /// The number of products that the running catalogue sync has read.
    read: AtomicU64,
    freshness: Freshness,
    /// The number of the last event in the copy, when it was last read. The lock covers `freshness` too, so that a
    /// response shows the lag of its position.
    position: Mutex<u64>,
    /// Whether events about carts were lost, and the baskets have not been read from the cart since.
    baskets_incomplete: AtomicBool,
}

/// How current the copy of the catalogue is from which a response was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogueState {
    /// The number of the last event in the copy; all earlier ones are included.
    pub position: u64,
    /// The number of events that the copy is known to lack.
    pub lag: u64,
    /// Whether the copy may be behind by more than `EVENTS__STALE_AFTER` (5 s by default): the product API is
    /// unavailable, there is a backlog, or it is unknown whether events are being applied.
    pub stale: bool,
}

/// How current the baskets are from which a response was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BasketsState {
    /// Whether changes of the cart may be missing: events about carts were lost and the baskets have not been read from
    /// the cart yet, or it is unknown whether events are being applied.
    pub stale: bool,
}

impl CatalogueStatus {
    /// Creates the status before there is a copy. A copy that is behind for longer than `stale_after` is stale.
    pub fn new(stale_after: Duration) -> Self {
        Self(Arc::new(SharedState {
            filled: watch::Sender::new(false),
            read: AtomicU64::new(0),
            freshness: Freshness::new(stale_after),
            position: Mutex::default(),
            baskets_incomplete: AtomicBool::new(false),
        }))
    }

    /// Records whether events about carts were lost and the baskets have not been read from the cart since.
    pub fn baskets_incomplete(&self, are_incomplete: bool) {
        self.0.baskets_incomplete.store(are_incomplete, Relaxed);
        gauge!("recommendation_baskets_incomplete").set(if are_incomplete { 1.0 } else { 0.0 });
    }

    /// Returns whether events about carts were lost and the baskets have not been read from the cart since.
    pub fn are_baskets_incomplete(&self) -> bool {
        self.0.baskets_incomplete.load(Relaxed)
    }

    /// Records how many products the catalogue sync has read.
    pub fn set_copy_progress(&self, products: u64) {
        self.0.read.store(products, Relaxed);
        gauge!("recommendation_fill_products").set(products as f64);
    }

    /// Records that the copy is complete.
    pub fn set_copied(&self) {
        self.0.filled.send_replace(true);
    }

    /// Waits until the copy is complete.
    pub async fn usable(&self) {
        // `self` owns the sender, so the channel cannot be closed.
        let _ = self.0.filled.subscribe().wait_for(|filled| *filled).await;
    }

    /// Returns whether the service can recommend anything.
    ///
    /// # Errors
    /// Returns the reason until the catalogue has been copied for the first time.
    pub fn readiness(&self) -> Result<(), String> {
        match (*self.0.filled.borrow(), self.0.read.load(Relaxed)) {
            (true, _) => Ok(()),
            (false, 0) => Err("the catalogue is about to be copied; waiting for the product API".to_owned()),
            (false, read) => Err(format!("the catalogue is being copied: {read} products so far")),
        }
    }

    /// Records that the copy is at `position`, and that the newest event of the log had `number` at `now`.
    pub fn observe_head(&self, number: u64, position: u64, now: Instant) {
        let mut known = self.0.position.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.freshness.observe_head(number, position, now);
        *known = position;
        gauge!("recommendation_catalogue_position").set(position as f64);
        gauge!("recommendation_catalogue_lag").set(number.saturating_sub(position) as f64);
    }

    /// Marks the copy as not current, because the log reports that it belongs to another history.
    pub fn mark_not_current(&self) {
        self.0.freshness.mark_not_current();
    }

    /// Returns how current the copy is.
    pub fn catalogue(&self, now: Instant) -> CatalogueState {
        let known = self.0.position.lock().unwrap_or_else(PoisonError::into_inner);
        let (freshness, position) = (&self.0.freshness, *known);
        CatalogueState { position, lag: freshness.lag(position), stale: freshness.is_stale(now) }
    }
}
