//! Retries deferred invalidations until Redis has carried them out.

use std::time::Duration;

use tracing::info;

use crate::feed::{CacheEvent, InvalidationRecord};
use crate::invalidate::{Invalidation, Invalidator};
use crate::purge::PurgeProgress;
use crate::redis::StoreError;

const PAUSE: Duration = Duration::from_millis(50);

/// Retries deferred invalidations until the future is dropped. Never returns.
pub(crate) async fn run_retries(invalidator: &Invalidator) {
    let mut purge = PurgeProgress::default();
    loop {
        invalidator.pending.wait_until_pending().await;
        // Only while Redis is in use. Polling is enough, because the probe polls as well.
        if invalidator.store.is_in_use() {
            retry(invalidator, &mut purge).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Retries what is pending, one chunk at a time. Each chunk is completed on its own, so an interrupted retry makes
/// progress.
async fn retry(invalidator: &Invalidator, purge: &mut PurgeProgress) {
    let (pending, events) = (&invalidator.pending, &invalidator.events);
    let retried = pending.snapshot();
    if let Some(request) = retried.everything() {
        purge.begin(request);
        let Ok(entries) = invalidator.run_purge(purge).await else { return };
        info!(entries, "the keyspace is purged by a deferred invalidation");
        events.emit(|| CacheEvent::Invalidate(InvalidationRecord::everything(Some(entries))));
        pending.purged(request);
        return pending.log_recovered();
    }
    for chunk in retried.chunks() {
        let (keys, tags) = chunk.names();
        let invalidation = keys.fold(Invalidation::hard().tags(tags), Invalidation::key);
        match invalidator.run(&invalidation).await {
            Ok(entries) => {
                pending.done(&chunk);
                events.emit(|| CacheEvent::Invalidate(invalidation.record(Some(entries))));
            }
            // Redis is unavailable again.
            Err(StoreError::Unavailable(_)) => return,
            // Redis refuses a part of this chunk; the other chunks should not wait for it.
            Err(StoreError::Server(error)) => pending.log_refused(&error),
        }
    }
    pending.log_recovered();
}
