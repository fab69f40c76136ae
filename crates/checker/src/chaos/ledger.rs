//! The ledger of acknowledged writes.

use std::collections::HashMap;
use std::sync::Mutex;

/// The highest acknowledged version of each product, and the last acknowledged quantity of each line.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    versions: Mutex<HashMap<i64, i64>>,
    created: Mutex<HashMap<i64, bool>>,
    lines: Mutex<HashMap<(String, i64), i64>>,
}

impl Ledger {
    /// Records that a write of a product was acknowledged with this version.
    pub(super) fn product(&self, id: i64, version: i64) {
        let mut versions = lock(&self.versions);
        let highest = versions.entry(id).or_insert(0);
        *highest = version.max(*highest);
    }

    /// Records that the creation (true) or deletion (false) of a product was acknowledged.
    pub(super) fn exists(&self, id: i64, exists: bool) {
        lock(&self.created).insert(id, exists);
    }

    /// Records that a write of a cart's line was acknowledged with this quantity; 0 means that the line was removed.
    pub(super) fn line(&self, cart: &str, product: i64, quantity: i64) {
        lock(&self.lines).insert((cart.to_owned(), product), quantity);
    }

    pub(super) fn versions(&self) -> HashMap<i64, i64> {
        lock(&self.versions).clone()
    }

    pub(super) fn created(&self) -> HashMap<i64, bool> {
        lock(&self.created).clone()
    }

    pub(super) fn lines(&self) -> HashMap<(String, i64), i64> {
        lock(&self.lines).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("whoever panics here ends the run")
}
