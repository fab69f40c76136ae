//! The sweep: tag sets forget entries that expired, were evicted or invalidated.
//!
//! A tag set has no TTL, because losing one would lose invalidations. Each fill removes as many registrations of entries
//! that are gone as it adds (`examine.lua`). The sweep is for what no fill follows: each process removes what is due, and
//! looks at others by chance to find what was evicted; where many of those are gone it goes on, otherwise it rests
//! ([`CacheSettings::sweep_rest`]). So it costs what there is to remove, and one short command where there is nothing.
//!
//! What is left to do lies in Redis, in the registry's order. A sweep that fails goes on where it was.
//!
//! [`CacheSettings::sweep_rest`]: crate::CacheSettings::sweep_rest

use std::time::{Duration, Instant};

use metrics::{Counter, counter};
use tokio::time::sleep;

use crate::client::Inner;
use crate::redis::StoreError;

/// The shortest rest, whatever the settings say: without Redis nothing else would slow the loop down.
const SHORTEST: Duration = Duration::from_millis(1);

impl Inner {
    /// Sweeps until it is dropped. Never returns.
    pub(crate) async fn run_sweep(&self, rest: Duration) {
        let swept = counter!("cache_tag_members_swept_total", "keyspace" => self.keyspace.name().to_owned());
        let partitions = self.keyspace.partitions();
        loop {
            for partition in 0..partitions {
                sleep((rest / u32::from(partitions)).max(SHORTEST)).await;
                match self.sweep(partition, &swept).await {
                    // When Redis is away, or refuses, the next round will do.
                    Ok(()) | Err(StoreError::Unavailable(_) | StoreError::Server(_)) => {}
                }
            }
        }
    }

    async fn sweep(&self, partition: u16, swept: &Counter) -> Result<(), StoreError> {
        loop {
            let began = Instant::now();
            let found = self.store.sweep(partition).await?;
            swept.increment(found.removed);
            if !found.more {
                return Ok(());
            }
            // Half of the time at most belongs to the sweep, however slow Redis is.
            sleep(began.elapsed().max(SHORTEST)).await;
        }
    }
}
