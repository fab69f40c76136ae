//! The board: what every cache holds of the seven products, and for how long it has been stale.
//!
//! ```text
//! truth.rs ── the rows of the database ──┐
//! inspect.rs ── entries in Redis, and ───┤
//!               in the processes' memory ├──▶ Board ──▶ cells
//! others.rs ── responses of cart, …  ────┤
//! feeds.rs ── "filled", "invalidated" ───┘
//! ```
//!
//! A copy is *stale* if a later version of the row is committed. Feeds report a removal or a fill at once, so the end of
//! staleness is known to a millisecond or so; the periodic looks find what no feed reports, such as the end of a TTL.

mod cells;
mod feeds;
mod inspect;
mod others;
mod truth;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contract::STRATEGY_NAMES;
use tokio::sync::Notify;

use crate::hub::Hub;
use crate::record::{Cell, Column, Record, TruthRow, now_ms};
use crate::upstream::Upstreams;

use cells::Cells;
pub(crate) use cells::Observation;
pub(crate) use feeds::follow_feed;
pub(crate) use inspect::inspect_entries;
pub(crate) use others::read_other_services;
pub(crate) use truth::follow_truth;

/// The board of the seven products. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Board(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hub: Hub,
    upstreams: Upstreams,
    state: Mutex<State>,
    /// How long the latest look at the database took, in ms.
    look_ms: AtomicU64,
    /// Whether the cart asks the product API at each request, because it does not receive changes.
    cart_is_unverified: AtomicBool,
    /// Something has changed: look at the database, or at the entries.
    truth_due: Notify,
    entries_due: Notify,
}

#[derive(Debug, Default)]
struct State {
    rows: Vec<TruthRow>,
    /// The rows as this process has first seen them, for `reset`.
    originals: Vec<TruthRow>,
    cells: Cells,
}

impl Board {
    /// Creates a board without products.
    pub(crate) fn new(hub: Hub, upstreams: Upstreams) -> Self {
        let (truth_due, entries_due) = (Notify::new(), Notify::new());
        let (look_ms, cart_is_unverified, state) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Shared { hub, upstreams, state, look_ms, cart_is_unverified, truth_due, entries_due }))
    }

    /// Returns the rows of the seven products, in the order of the strategies; none before the product API has answered.
    pub(crate) fn rows(&self) -> Vec<TruthRow> {
        self.state().rows.clone()
    }

    /// Returns the rows as they were when the console first saw them.
    pub(crate) fn originals(&self) -> Vec<TruthRow> {
        self.state().originals.clone()
    }

    /// Returns the row of a strategy's product.
    pub(crate) fn row(&self, strategy: &str) -> Option<TruthRow> {
        self.state().rows.iter().find(|row| row.strategy == strategy).cloned()
    }

    /// Returns for how long `version` of a row had been replaced at `at_ms`; 0 if it is the latest.
    pub(crate) fn stale_for(&self, id: i64, version: i64, at_ms: u64) -> u64 {
        self.state().cells.replaced_at(id, version).map_or(0, |since| at_ms.saturating_sub(since).max(1))
    }

    /// Returns how long the latest look at the database took, in ms.
    pub(crate) fn look_ms(&self) -> u64 {
        self.0.look_ms.load(Relaxed)
    }

    /// Returns whether another service has shown an outdated copy for at least `ms`.
    pub(crate) fn has_old_copies(&self, ms: u64) -> bool {
        let before = now_ms().saturating_sub(ms);
        let of_services = [Column::Cart, Column::Search, Column::Recommendation];
        self.state().cells.stale_since(&of_services).any(|since| since <= before)
    }

    /// Returns whether the cart trusted none of its entries when it was read last.
    pub(crate) fn cart_is_unverified(&self) -> bool {
        self.0.cart_is_unverified.load(Relaxed)
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn upstreams(&self) -> &Upstreams {
        &self.0.upstreams
    }

    /// Lets the watchers read the database and the entries again, now.
    pub(crate) fn look(&self) {
        self.0.truth_due.notify_one();
        self.0.entries_due.notify_one();
    }

    /// Records the rows that the database has now.
    fn set_rows(&self, rows: Vec<TruthRow>) {
        let mut state = self.state();
        if state.rows == rows {
            return;
        }
        if state.originals.is_empty() {
            state.originals = rows.clone();
        }
        let changed: Vec<Cell> = rows.iter().flat_map(|row| state.cells.committed(row)).collect();
        state.rows.clone_from(&rows);
        // In one go, so that no page sees cells that belong to other rows.
        self.0.hub.emit(&Record::Truth { at_ms: now_ms(), rows });
        self.publish(changed);
        drop(state);
        self.0.entries_due.notify_one();
    }

    /// Records an observation of a copy at `at_ms`.
    fn observe(&self, strategy: &'static str, column: Column, seen: &Observation, at_ms: u64) {
        let mut state = self.state();
        let Some(row) = state.rows.iter().find(|row| row.strategy == strategy).cloned() else { return };
        let changed = state.cells.observe(&row, column, seen, at_ms);
        self.publish(changed.into_iter().collect());
    }

    /// Takes the time at which a tag of a strategy's row was invalidated.
    fn tag_invalidated(&self, strategy: &'static str, at_ms: u64) {
        for column in [Column::Redis, Column::Near1, Column::Near2] {
            self.state().cells.tag_invalidated(strategy, column, at_ms);
        }
    }

    fn publish(&self, cells: Vec<Cell>) {
        if !cells.is_empty() {
            self.0.hub.emit(&Record::Board { at_ms: now_ms(), cells });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the strategy and the product of a key such as `product:ttl:13`.
fn parse_key(key: &str) -> Option<(&'static str, i64)> {
    let (strategy, id) = key.strip_prefix("product:")?.split_once(':')?;
    let strategy = STRATEGY_NAMES.into_iter().find(|name| *name == strategy)?;
    Some((strategy, id.parse().ok()?))
}
