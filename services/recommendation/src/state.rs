//! How current the copy of the catalogue is, and whether there is one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::gauge;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

/// A copy that has not been known to be current for so long is called stale.
const STALE: Duration = Duration::from_secs(5);

/// Shared by all parts of the service. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CatalogueStatus(Arc<SharedState>);

#[derive(Debug, Default)]
struct SharedState {
    filled: watch::Sender<bool>,
    /// Products read so far by the fill under way.
    read: AtomicU64,
    head: Mutex<Head>,
    /// Events about carts are lost, and what they told has not been read from the cart yet.
    baskets_incomplete: AtomicBool,
}

/// What is known of the newest event of all.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    number: u64,
    position: u64,
    asked: Option<Instant>,
    /// When the copy was last known to have everything.
    current: Option<Instant>,
}

/// How current the copy of the catalogue is that an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogueState {
    /// Every event up to this number is in it.
    pub position: u64,
    /// How many events it is behind, as far as is known.
    pub lag: u64,
    /// Whether it may be more than five seconds behind: the product API does not answer, there is a backlog, or nobody knows
    /// whether events are carried out.
    pub stale: bool,
}

/// How current the baskets are that an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BasketsState {
    /// Whether changes of the cart may be missing: events about carts were lost and the baskets have not been read from the
    /// cart yet, or nobody knows whether events are carried out.
    pub stale: bool,
}

impl CatalogueStatus {
    /// Events about carts are lost, or the baskets have been read from the cart since.
    pub fn baskets_incomplete(&self, are_incomplete: bool) {
        self.0.baskets_incomplete.store(are_incomplete, Relaxed);
        gauge!("recommendation_baskets_incomplete").set(if are_incomplete { 1.0 } else { 0.0 });
    }

    /// Whether events about carts are lost, and the baskets have not been read from the cart since.
    pub fn are_baskets_incomplete(&self) -> bool {
        self.0.baskets_incomplete.load(Relaxed)
    }

    /// So many products have been read.
    pub fn set_copy_progress(&self, products: u64) {
        self.0.read.store(products, Relaxed);
        gauge!("recommendation_fill_products").set(products as f64);
    }

    /// The copy is there.
    pub fn set_copied(&self) {
        self.0.filled.send_replace(true);
    }

    /// Waits until the copy is there.
    pub async fn usable(&self) {
        // The sender is here, so it cannot be gone.
        let _ = self.0.filled.subscribe().wait_for(|filled| *filled).await;
    }

    /// `Err` says why nothing can be recommended yet.
    ///
    /// # Errors
    /// Until the catalogue has been copied for the first time.
    pub fn readiness(&self) -> Result<(), String> {
        match (*self.0.filled.borrow(), self.0.read.load(Relaxed)) {
            (true, _) => Ok(()),
            (false, 0) => Err("the catalogue is about to be copied; waiting for the product API".to_owned()),
            (false, read) => Err(format!("the catalogue is being copied: {read} products so far")),
        }
    }

    /// The copy is at `position`, and the newest event of all was `number` when it was asked for just now.
    pub fn observe_head(&self, number: u64, position: u64, now: Instant) {
        let mut head = self.0.head.lock().unwrap_or_else(PoisonError::into_inner);
        if position >= number {
            head.current = Some(now);
        } else if position >= head.number && head.asked.is_some() {
            // What was the newest when it was asked last is in the copy: it is behind by that much at most.
            head.current = head.current.max(head.asked);
        }
        (head.number, head.position, head.asked) = (number, position, Some(now));
        gauge!("recommendation_catalogue_position").set(position as f64);
        gauge!("recommendation_catalogue_lag").set(number.saturating_sub(position) as f64);
    }

    /// The log says that the copy is of another history: it is not current, whatever its position.
    pub fn mark_not_current(&self) {
        self.0.head.lock().unwrap_or_else(PoisonError::into_inner).current = None;
    }

    /// How current the copy is.
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
    fn it_is_stale_until_it_is_known_to_be_current_and_again_when_nobody_says_so() {
        let (state, t0) = (CatalogueStatus::default(), Instant::now());
        assert!(state.catalogue(t0).stale);
        state.observe_head(7, 7, t0);
        assert_eq!(state.catalogue(t0 + STALE), CatalogueState { position: 7, lag: 0, stale: false });
        assert!(state.catalogue(t0 + STALE + Duration::from_millis(1)).stale);
    }

    #[test]
    fn one_that_keeps_up_is_current_though_it_never_has_the_newest() {
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
