//! The status of the copy of the catalogue: whether it is complete, and how current it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::gauge;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

/// The copy counts as stale when it was last known to be current longer ago than this.
const STALE: Duration = Duration::from_secs(5);

/// The status that all parts of the service share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CatalogueStatus(Arc<SharedState>);

#[derive(Debug, Default)]
struct SharedState {
    filled: watch::Sender<bool>,
    /// The number of products that the running catalogue sync has read.
    read: AtomicU64,
    head: Mutex<Head>,
    /// Whether events about carts were lost, and the baskets have not been read from the cart since.
    baskets_incomplete: AtomicBool,
}

/// The newest event of the log, as far as this process knows.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    number: u64,
    position: u64,
    asked: Option<Instant>,
    /// When the copy last included every event of the log.
    current: Option<Instant>,
}

/// How current the copy of the catalogue is from which a response was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogueState {
    /// The number of the last event in the copy; all earlier ones are included.
    pub position: u64,
    /// The number of events that the copy is known to lack.
    pub lag: u64,
    /// Whether the copy may be more than five seconds behind: the product API is unavailable, there is a backlog, or it
    /// is unknown whether events are being applied.
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
        let mut head = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        if position >= number {
            head.current = Some(now);
        } else if position >= head.number && head.asked.is_some() {
            // The copy includes the head of the previous check, so it is behind by at most the time since then.
            head.current = head.current.max(head.asked);
        }
        (head.number, head.position, head.asked) = (number, position, Some(now));
        gauge!("recommendation_catalogue_position").set(position as f64);
        gauge!("recommendation_catalogue_lag").set(number.saturating_sub(position) as f64);
    }

    /// Marks the copy as not current, because the log reports that it belongs to another history, whatever its
    /// position.
    pub fn mark_not_current(&self) {
        self.0.head.lock().unwrap_or_else(PoisonError::into_inner).current = None;
    }

    /// Returns how current the copy is.
    pub fn catalogue(&self, now: Instant) -> CatalogueState {
        let head = *self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = head.current.is_some_and(|current| now.saturating_duration_since(current) <= STALE);
        CatalogueState { position: head.position, lag: head.number.saturating_sub(head.position), stale: !is_current }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_stale_unless_it_was_recently_known_to_be_current() {
        let (state, t0) = (CatalogueStatus::default(), Instant::now());
        assert!(state.catalogue(t0).stale);
        state.observe_head(7, 7, t0);
        assert_eq!(state.catalogue(t0 + STALE), CatalogueState { position: 7, lag: 0, stale: false });
        assert!(state.catalogue(t0 + STALE + Duration::from_millis(1)).stale);
    }

    #[test]
    fn copy_that_keeps_up_is_current_without_the_newest_event() {
        let (state, t0) = (CatalogueStatus::default(), Instant::now());
        let at = |second: u64| t0 + Duration::from_secs(second);
        for second in 0..20 {
            state.observe_head(100 * (second + 1), 100 * second + 50, at(second));
        }
        assert_eq!(state.catalogue(at(20)), CatalogueState { position: 1950, lag: 50, stale: false });
        for second in 20..30 {
            state.observe_head(100 * (second + 1), 1950, at(second));
        }
        assert!(state.catalogue(at(29)).stale, "what was the newest long ago is not in it");
    }
}
