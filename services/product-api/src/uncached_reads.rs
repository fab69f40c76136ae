//! The limit of the reads that use no cache.
//!
//! Any client can send any number of them. They must leave connections of the pool to the loads of the caches, to the
//! writes, and to the other services, which read `/events` and the products that an event names.

use std::sync::Arc;
use std::time::Duration;

use service::problem::{Problem, RETRY_AFTER};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The longest wait for a permit. Afterwards, the read is refused.
const QUEUE: Duration = Duration::from_secs(1);

/// The permits of uncached reads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UncachedReads {
    /// For single products, and pages of all products.
    general: Arc<Semaphore>,
    /// For products by their ids and for categories, which the other services read after an event.
    for_services: Arc<Semaphore>,
}

impl UncachedReads {
    /// Divides a pool of this many connections: one half for uncached reads in general, and a quarter for what the other services
    /// read. At least one connection is left. In a pool of two, both kinds of reads share one permit for that. A pool of one has
    /// nothing to divide.
    pub fn of_pool(connections: usize) -> Self {
        let permits = |share: usize| Arc::new(Semaphore::new((connections / share).max(1)));
        let general = permits(2);
        let for_services = if connections > 2 { permits(4) } else { Arc::clone(&general) };
        Self { general, for_services }
    }

    /// Waits for a permit.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        of(&self.general).await
    }

    /// Waits for a permit to read what the other services read after an event.
    pub(crate) async fn permit_for_services(&self) -> Result<OwnedSemaphorePermit, Problem> {
        of(&self.for_services).await
    }
}

async fn of(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match timeout(QUEUE, Arc::clone(permits).acquire_owned()).await {
        Ok(permit) => permit.map_err(Problem::internal),
        Err(_) => Err(Problem::overloaded(RETRY_AFTER, "Too many reads without a cache are under way.".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn uncached_reads_leave_a_connection_of_every_pool_of_two_or_more() {
        for connections in 2..=100 {
            let reads = UncachedReads::of_pool(connections);
            let mut permits = Vec::new();
            for kind in [&reads.general, &reads.for_services] {
                while let Ok(permit) = Arc::clone(kind).try_acquire_owned() {
                    permits.push(permit);
                }
            }
            assert!((1..connections).contains(&permits.len()), "{} permits of {connections}", permits.len());
            drop(permits);
            drop(reads.permit().await.expect("a read in general"));
            drop(reads.permit_for_services().await.expect("a read of another service"));
        }
    }

    #[tokio::test]
    async fn pool_of_one_connection_allows_one_uncached_read() {
        let reads = UncachedReads::of_pool(1);
        let permit = reads.permit_for_services().await.expect("the only permit");
        assert!(Arc::clone(&reads.general).try_acquire_owned().is_err(), "a second one");
        drop(permit);
        drop(reads.permit().await.expect("the only permit"));
    }
}
