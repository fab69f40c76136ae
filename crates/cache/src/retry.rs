//! Retries deferred invalidations until Redis has carried them out.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tracing::info;

use crate::feed::{CacheEvent, InvalidationRecord};
use crate::invalidate::{Invalidation, Invalidator, MAX_CONCURRENT};
use crate::purge::PurgeProgress;
use crate::redis::{Step, StoreError};

const PAUSE: Duration = Duration::from_millis(50);
/// The maximum number of steps that are recorded together.
const CHUNK: usize = 128;

/// Retries deferred invalidations until the future is dropped. Never returns.
pub(crate) async fn run_retries(invalidator: &Invalidator) {
    let mut progress = RetryProgress::default();
    loop {
        invalidator.pending.wait_until_pending().await;
        // Only while Redis is in use. Polling is enough, because the probe polls as well.
        if invalidator.store.is_in_use() {
            retry(invalidator, &mut progress).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[derive(Default)]
struct RetryProgress {
    purge: PurgeProgress,
    /// How many entries were removed since the feed was last told.
    removed: u64,
}

/// Retries what is pending, one chunk of steps at a time. Each chunk is recorded on its own, so an interrupted retry makes
/// progress, and so does one of which Redis refuses a part.
async fn retry(invalidator: &Invalidator, progress: &mut RetryProgress) {
    let (pending, events) = (&invalidator.pending, &invalidator.events);
    let retried = pending.snapshot();
    if let Some(request) = retried.everything() {
        progress.purge.begin(request);
        let Ok(entries) = invalidator.run_purge(&mut progress.purge).await else { return };
        info!(entries, "the keyspace is purged by a deferred invalidation");
        events.emit(|| CacheEvent::Invalidate(InvalidationRecord::everything(Some(entries))));
        pending.purged(request);
        return pending.log_recovered();
    }
    let mut steps = retried.steps(invalidator.store.keyspace.partitions()).into_iter().peekable();
    while steps.peek().is_some() && invalidator.store.is_in_use() {
        let (carried_out, removed) = carry_out(invalidator, steps.by_ref().take(CHUNK)).await;
        progress.removed += removed;
        if carried_out.is_empty() {
            continue;
        }
        match invalidator.confirm_removed().await {
            Ok(()) => {}
            Err(StoreError::Unavailable(_)) => return,
            Err(StoreError::Server(error)) => return pending.log_refused(&error),
        }
        let (keys, tags) = pending.carried_out(&retried, &carried_out);
        if !keys.is_empty() || !tags.is_empty() {
            let completed = keys.into_iter().fold(Invalidation::hard().tags(tags), Invalidation::key);
            let removed = std::mem::take(&mut progress.removed);
            events.emit(|| CacheEvent::Invalidate(completed.record(Some(removed))));
        }
    }
    pending.log_recovered();
}

/// Removes the entries of some steps. Returns the steps that Redis has carried out, and how many entries existed.
async fn carry_out(invalidator: &Invalidator, steps: impl Iterator<Item = Step>) -> (Vec<Step>, u64) {
    let run = async |step: Step| (invalidator.store.remove(&step).await, step);
    let mut done = stream::iter(steps).map(run).buffer_unordered(MAX_CONCURRENT);
    let (mut carried_out, mut total) = (Vec::new(), 0);
    while let Some((result, step)) = done.next().await {
        match result {
            Ok(entries) => {
                carried_out.push(step);
                total += entries;
            }
            // One server of a cluster may be unavailable. If Redis is, the circuit breaker ends the retry.
            Err(StoreError::Unavailable(_)) => {}
            // Redis refuses this step; the others should not wait for it.
            Err(StoreError::Server(error)) => invalidator.pending.log_refused(&error),
        }
    }
    (carried_out, total)
}
