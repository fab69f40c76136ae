//! One load of a key at a time, in this process.
//!
//! A flight that stores nothing leaves the table before its load, so that no reader takes a value that was read before it came.
//! Those who come during the load gather on the next flight, which waits here until the load is over. So a hot key costs one
//! load at a time, however many readers there are, with Redis or without.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

use crate::Key;
use crate::sync::Mutex;

/// Keys, each with those who wait for their turn, first come first served.
type Queues = Mutex<HashMap<Key, Arc<Queue<()>>>>;

/// The keys that are being loaded.
#[derive(Debug, Default)]
pub(crate) struct KeyLocks(Arc<Queues>);

/// The right to load one key; over when dropped.
#[derive(Debug)]
pub(crate) struct KeyLock {
    queues: Arc<Queues>,
    key: Key,
    held: Option<OwnedMutexGuard<()>>,
}

impl KeyLocks {
    /// Waits until no other load of `key` is under way.
    pub(crate) async fn take(&self, key: &Key) -> KeyLock {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(queues.entry(key.clone()).or_default())
        };
        // Made before the wait: when this future is dropped, the key is forgotten as well.
        let mut turn = KeyLock { queues: Arc::clone(&self.0), key: key.clone(), held: None };
        turn.held = Some(queue.lock_owned().await);
        turn
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        // No other load can take a turn while the map is locked.
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
    use crate::Keyspace;
    use crate::sync::in_any_order;

    #[test]
    fn turns_are_taken_one_after_the_other_and_forgotten() {
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
