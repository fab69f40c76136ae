//! The bulkhead: it limits the loads that a client runs at the same time, in total and to one load per key. It matters
//! most while Redis is down.
//!
//! A load that stores nothing leaves the table of loads in flight before it begins, so that no reader takes a value that
//! was read before the reader joined. Readers that arrive during the load join the next one, which waits here for the
//! lock of the key until the load is over. So a hot key costs one load at a time, however many readers there are, with
//! or without Redis.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as Queue, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::task_local;
use tokio::time::timeout;

use crate::keyspace::Key;
use crate::sync::Mutex;

#[derive(Debug)]
pub(crate) struct Bulkhead {
    pub(crate) key_locks: KeyLocks,
    permits: Arc<Semaphore>,
    queue: Duration,
}

/// A permit for a load. It is released when all clones are dropped.
pub(crate) type Permit = Arc<OwnedSemaphorePermit>;

/// The permit that the loads of one batch share, as long as one of them holds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedPermit(Arc<Queue<Weak<OwnedSemaphorePermit>>>);

impl Bulkhead {
    pub(crate) fn new(permits: usize, queue: Duration) -> Self {
        Self { key_locks: KeyLocks::default(), permits: Arc::new(Semaphore::new(permits)), queue }
    }

    /// Waits for a permit, first come, first served; `None` when none became free in time.
    ///
    /// With `shared`, returns the permit of that batch: its first load waits for a permit, and its other loads wait for
    /// the first.
    pub(crate) async fn acquire_permit(&self, shared: Option<&SharedPermit>) -> Option<Permit> {
        let entering = async {
            let Some(shared) = shared else { return self.permit().await };
            let mut taken = shared.0.lock().await;
            if let Some(permit) = taken.upgrade() {
                return Some(permit);
            }
            let permit = self.permit().await?;
            *taken = Arc::downgrade(&permit);
            Some(permit)
        };
        // Each load has its own timeout, so that the loads of a batch do not wait one after the other.
        timeout(self.queue, entering).await.ok().flatten()
    }

    async fn permit(&self) -> Option<Permit> {
        Arc::clone(&self.permits).acquire_owned().await.ok().map(Arc::new)
    }
}

/// The permit of a load that may wait for another load.
///
/// While the load waits, it holds no permit. Otherwise loads that wait could hold all permits, and the loads that they
/// wait for would never begin.
#[derive(Debug)]
pub(crate) struct LoadPermit {
    bulkhead: Arc<Bulkhead>,
    shared: Option<SharedPermit>,
    state: StdMutex<WaitState>,
    /// Locked while the load waits for a permit again, so that it requests only one.
    again: Queue<()>,
}

#[derive(Debug)]
struct WaitState {
    /// `None` while the load waits for other loads.
    permit: Option<Permit>,
    /// Other loads that it waits for.
    waits: usize,
}

struct Wait<'p>(&'p LoadPermit);

task_local! {
    static LOAD: Arc<LoadPermit>;
}

impl LoadPermit {
    pub(crate) fn new(bulkhead: Arc<Bulkhead>, permit: Permit, shared: Option<SharedPermit>) -> Arc<Self> {
        let state = StdMutex::new(WaitState { permit: Some(permit), waits: 0 });
        Arc::new(Self { bulkhead, shared, state, again: Queue::default() })
    }

    /// Runs a load under this permit.
    pub(crate) fn held_by<F: Future>(self: &Arc<Self>, load: F) -> impl Future<Output = F::Output> + use<F> {
        LOAD.scope(Arc::clone(self), load)
    }

    /// Runs a part of the current load under its permit, in another task.
    pub(crate) fn held_by_current<F: Future>(part: F) -> impl Future<Output = F::Output> {
        let current = LOAD.try_with(Arc::clone).ok();
        async move {
            match current {
                Some(current) => LOAD.scope(current, part).await,
                None => part.await,
            }
        }
    }

    /// Releases the permit of the current load, because another load does its work.
    pub(crate) fn release_current() {
        let _ = LOAD.try_with(|load| load.release());
    }

    /// Releases the permit, because the load is over or its caller no longer waits for it.
    pub(crate) fn release(&self) {
        self.state().permit = None;
    }

    fn begin_wait(&self) -> Wait<'_> {
        let mut state = self.state();
        state.waits += 1;
        state.permit = None;
        Wait(self)
    }

    /// Waits for a permit again, unless the load still waits for another load; `None` when none became free in time.
    async fn resume(&self) -> Option<()> {
        let _turn = self.again.lock().await;
        if self.is_settled() {
            return Some(());
        }
        let permit = self.bulkhead.acquire_permit(self.shared.as_ref()).await?;
        let mut state = self.state();
        // Another wait may have begun in the meantime.
        state.permit = Some(permit).filter(|_| state.waits == 0);
        Some(())
    }

    fn is_settled(&self) -> bool {
        let state = self.state();
        state.waits > 0 || state.permit.is_some()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, WaitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.state().waits -= 1;
    }
}

/// Runs a read that may wait for a load. If it runs within another load, that load holds no permit in the meantime.
/// Returns `None` when it got no permit again in time.
pub(crate) async fn without_permit<F: Future>(read: F) -> Option<F::Output> {
    let Ok(load) = LOAD.try_with(Arc::clone) else { return Some(read.await) };
    let wait = load.begin_wait();
    let result = read.await;
    drop(wait);
    load.resume().await?;
    Some(result)
}

/// Keys, each with the queue of loads that wait for its lock; first come, first served.
type Queues = Mutex<HashMap<Key, Arc<Queue<()>>>>;

#[derive(Debug, Default)]
pub(crate) struct KeyLocks(Arc<Queues>);

/// The right to load one key; released when dropped.
#[derive(Debug)]
pub(crate) struct KeyLock {
    queues: Arc<Queues>,
    key: Key,
    held: Option<OwnedMutexGuard<()>>,
}

impl KeyLocks {
    /// Waits until no other load of `key` is in flight, then locks the key.
    pub(crate) async fn take(&self, key: &Key) -> KeyLock {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(queues.entry(key.clone()).or_default())
        };
        // Created before the wait, so that dropping this future also removes the key from the map.
        let mut lock = KeyLock { queues: Arc::clone(&self.0), key: key.clone(), held: None };
        lock.held = Some(queue.lock_owned().await);
        lock
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // No other load can enter the queue while the map is locked.
        if queues.get(&self.key).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use shuttle::future::block_on;

    use super::*;
    use crate::keyspace::Keyspace;
    use crate::sync::in_any_order;

    #[test]
    fn key_locks_are_exclusive_and_removed_after_use() {
        in_any_order(|| {
            let key_locks = KeyLocks::default();
            let keyspace = Keyspace::new("test").unwrap();
            let (key, other) = (keyspace.key("a", 1), keyspace.key("a", 2));
            block_on(async {
                let first = key_locks.take(&key).await;
                let _other = key_locks.take(&other).await;
                let mut second = Box::pin(key_locks.take(&key));
                assert!(poll!(&mut second).is_pending());
                let mut dropped = Box::pin(key_locks.take(&key));
                assert!(poll!(&mut dropped).is_pending());
                drop(dropped);
                drop(first);
                drop(second.await);
            });
            assert!(key_locks.0.lock().unwrap().is_empty());
        });
    }
}
