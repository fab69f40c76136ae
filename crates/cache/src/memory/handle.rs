//! The memory that clients share, and the faults that tests cause in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::clock::Clock;
use super::data::KeyspaceData;

/// The weight of the entries of a keyspace, unless another one is set.
const WEIGHT: u64 = 64 * 1024 * 1024;

/// A place for entries, in the memory of this program. Clones of it are the same memory.
#[derive(Clone, Debug)]
pub struct Memory {
    clock: Clock,
    limit: u64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keyspaces: Mutex<HashMap<String, Arc<Mutex<KeyspaceData>>>>,
    state: watch::Sender<State>,
}

/// The current fault of the memory, and the number of its restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) fault: Option<Fault>,
    /// Grows with each restart: clients then distrust what they find.
    pub(super) restarts: u64,
}

/// What a memory does instead of answering at once, as a Redis in trouble would.
#[cfg_attr(not(feature = "faults"), expect(dead_code, unreachable_pub, reason = "only tests cause faults"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers this much later. A delay above the command timeout has the same effect as `Hanging`.
    Slow(Duration),
    /// It refuses every command at once.
    Failing,
    /// It answers nothing.
    Hanging,
}

/// The entries of a memory at one moment.
#[cfg(feature = "faults")]
#[derive(Clone, Debug)]
pub struct Snapshot(HashMap<String, KeyspaceData>);

impl Memory {
    /// Creates an empty memory with the clock of the system. Each keyspace in it holds at most 64 MiB.
    pub fn new() -> Self {
        let shared = Arc::new(Shared { keyspaces: Mutex::default(), state: watch::Sender::default() });
        Self { clock: Clock::system(), limit: WEIGHT, shared }
    }

    /// Sets the clock by which entries age. Set it before the first client is created.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Sets the weight of the entries of each keyspace, in bytes: names, values, and an estimate for the maps. Beyond it, the
    /// entries that end first are removed. Set it before the first client is created.
    pub fn with_limit(self, bytes: u64) -> Self {
        Self { limit: bytes, ..self }
    }

    /// Returns the clock by which entries age.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn keyspace(&self, name: &str) -> Arc<Mutex<KeyspaceData>> {
        Arc::clone(lock(&self.shared.keyspaces).entry(name.to_owned()).or_default())
    }

    pub(super) fn state(&self) -> State {
        *self.shared.state.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }
}

#[cfg(feature = "faults")]
impl Memory {
    /// Causes a fault, until another one is set; `None` ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.state.send_modify(|state| state.fault = fault);
    }

    /// Removes every entry and everything that is known about loads in flight, as `FLUSHALL` does.
    pub fn empty(&self) {
        for data in lock(&self.shared.keyspaces).values() {
            *lock(data) = KeyspaceData::default();
        }
    }

    /// Returns a copy of the entries.
    pub fn snapshot(&self) -> Snapshot {
        let keyspaces = lock(&self.shared.keyspaces);
        Snapshot(keyspaces.iter().map(|(name, data)| (name.clone(), lock(data).clone())).collect())
    }

    /// Restarts the memory with older data, as a Redis server restarts from a dump.
    pub fn restart_from(&self, snapshot: &Snapshot) {
        for (name, data) in &*lock(&self.shared.keyspaces) {
            let mut data = lock(data);
            // Under the lock: no command sees the older data without the restart.
            self.shared.state.send_modify(|state| state.restarts += 1);
            *data = snapshot.0.get(name).cloned().unwrap_or_default();
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
