//! Retries deferred invalidations until Redis has carried them out.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tracing::info;

use crate::feed::{CacheEvent, InvalidationRecord};
use crate::invalidate::{Invalidation, Invalidator, MAX_CONCURRENT};
use crate::pending::PendingSet;
use crate::purge::PurgeProgress;
use crate::redis::{Step, StoreError};

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

/// Retries what is pending, in all partitions. Each step is recorded on its own, so an interrupted retry makes progress, and
/// so does one of which Redis refuses a part.
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
    let partitions = invalidator.store.keyspace.partitions();
    let (carried_out, entries) = carry_out(invalidator, &retried, partitions).await;
    if carried_out.is_empty() || invalidator.confirm_removed().await.is_err() {
        return;
    }
    pending.carried_out(&retried, &carried_out, partitions);
    events.emit(|| CacheEvent::Invalidate(invalidation_of(&carried_out).record(Some(entries))));
    pending.log_recovered();
}

/// Removes the entries, and returns the steps that Redis has carried out and how many entries existed.
async fn carry_out(invalidator: &Invalidator, retried: &PendingSet, partitions: u16) -> (Vec<Step>, u64) {
    let run = async |step: Step| (invalidator.store.remove(&step).await, step);
    let mut done = stream::iter(retried.steps(partitions)).map(run).buffer_unordered(MAX_CONCURRENT);
    let (mut carried_out, mut total) = (Vec::new(), 0);
    while let Some((result, step)) = done.next().await {
        match result {
            Ok(entries) => {
                carried_out.push(step);
                total += entries;
            }
            // Redis is unavailable again.
            Err(StoreError::Unavailable(_)) => break,
            // Redis refuses this step; the others should not wait for it.
            Err(StoreError::Server(error)) => invalidator.pending.log_refused(&error),
        }
    }
    (carried_out, total)
}

/// Returns an invalidation with the names of these steps.
fn invalidation_of(steps: &[Step]) -> Invalidation {
    let (mut keys, mut tags) = (Vec::new(), HashSet::new());
    for step in steps {
        match step {
            Step::Keys(some) => keys.extend(some.iter().cloned()),
            Step::Older(some) => keys.extend(some.iter().map(|(key, _)| key.clone())),
            Step::Tags(_, some) => tags.extend(some.iter().cloned()),
        }
    }
    keys.into_iter().fold(Invalidation::hard().tags(tags), Invalidation::key)
}
