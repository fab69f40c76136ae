//! The slow sweep: tag sets forget entries that expired or were evicted.
//!
//! A fill drops a few dead members of the sets that it joins, and an invalidation empties a set. A tag that neither
//! happens to again would keep its dead for ever. So each process walks through the tag sets of its keyspace, with a
//! bounded number of short commands a second, and rests between two passes ([`CacheSettings::sweep_rest`]).
//!
//! [`CacheSettings::sweep_rest`]: crate::CacheSettings::sweep_rest

use std::time::Duration;

use metrics::counter;
use tokio::time::sleep;

use crate::cache::Inner;
use crate::redis::StoreError;

/// Script calls between two pauses; each looks at some 128 members.
const CALLS: u32 = 32;
const PAUSE: Duration = Duration::from_secs(1);

/// How much of the present second's work is left.
struct Budget(u32);

impl Inner {
    /// Sweeps until it is dropped. Never returns.
    pub(crate) async fn keep_sweeping(&self, rest: Duration) {
        let swept = counter!("cache_tag_members_swept_total", "keyspace" => self.keyspace.name().to_owned());
        loop {
            sleep(rest).await;
            let mut budget = Budget(CALLS);
            for partition in 0..self.keyspace.partitions() {
                match self.sweep(partition, &mut budget).await {
                    Ok(members) => swept.increment(members),
                    // Redis is away, or refuses: the next pass will do.
                    Err(StoreError::Unavailable(_) | StoreError::Server(_)) => break,
                }
            }
        }
    }

    async fn sweep(&self, partition: u16, budget: &mut Budget) -> Result<u64, StoreError> {
        let (mut page, mut total) = ("0".to_owned(), 0);
        loop {
            budget.spend().await;
            let (next, sets) = self.store.scan_tag_sets(partition, &page).await?;
            for set in sets {
                let mut cursor = "0".to_owned();
                loop {
                    budget.spend().await;
                    let removed: u64;
                    (cursor, removed) = self.store.sweep(partition, &set, &cursor).await?;
                    total += removed;
                    if cursor == "0" {
                        break;
                    }
                }
            }
            if next == "0" {
                return Ok(total);
            }
            page = next;
        }
    }
}

impl Budget {
    async fn spend(&mut self) {
        if self.0 == 0 {
            sleep(PAUSE).await;
            self.0 = CALLS;
        }
        self.0 -= 1;
    }
}
