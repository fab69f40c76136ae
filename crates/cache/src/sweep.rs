//! The sweep: removes entries that expired, were evicted or were invalidated from the tag sets.
//!
//! A tag set has no TTL, because its loss would lose invalidations. Each fill removes as many registrations of entries
//! that are gone as it adds (`examine.lua`). The sweep removes those that no fill removes. Each process removes the
//! registrations that are due, and examines a random sample of the others to find evicted entries. If many of the
//! sample are gone, the sweep continues; otherwise it pauses ([`CacheSettings::sweep_rest`]). So its cost depends on
//! what there is to remove, and is one short command when there is nothing.
//!
//! The remaining work is stored in Redis, in the order of the registry. A sweep that fails continues where it was.
//!
//! [`CacheSettings::sweep_rest`]: crate::CacheSettings::sweep_rest

use std::time::{Duration, Instant};

use metrics::{Counter, counter};
use tokio::time::sleep;

use crate::redis::StoreError;
use crate::store::Store;

/// The shortest pause, with any settings: without Redis, nothing else would slow the loop down.
const SHORTEST: Duration = Duration::from_millis(1);

/// Sweeps until the future is dropped. Never returns.
pub(crate) async fn run_sweep(store: &Store, rest: Duration) {
    let swept = counter!("cache_tag_members_swept_total", "keyspace" => store.keyspace.name().to_owned());
    let partitions = store.keyspace.partitions();
    loop {
        for partition in 0..partitions {
            sleep((rest / u32::from(partitions)).max(SHORTEST)).await;
            match sweep(store, partition, &swept).await {
                // If Redis is unavailable, or refuses, the next round repeats it.
                Ok(()) | Err(StoreError::Unavailable(_) | StoreError::Server(_)) => {}
            }
        }
    }
}

async fn sweep(store: &Store, partition: u16, swept: &Counter) -> Result<(), StoreError> {
    loop {
        let began = Instant::now();
        let found = store.sweep(partition).await?;
        swept.increment(found.removed);
        if !found.more {
            return Ok(());
        }
        // The sweep takes half of the time at most, however slow Redis is.
        sleep(began.elapsed().max(SHORTEST)).await;
    }
}
