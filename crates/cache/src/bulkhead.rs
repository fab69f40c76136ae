//! The bulkhead: bounds the concurrent loads of a client, above all while Redis is down.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

#[derive(Debug)]
pub(crate) struct Bulkhead {
    permits: Arc<Semaphore>,
    queue: Duration,
}

/// A permit for a load. It is released when all clones are dropped.
pub(crate) type Permit = Arc<OwnedSemaphorePermit>;

/// The permit that the loads of one batch share, while there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedPermit(Arc<Mutex<Weak<OwnedSemaphorePermit>>>);

/// No permit became free in time.
#[derive(Debug)]
pub(crate) struct BulkheadFull;

impl Bulkhead {
    pub(crate) fn new(permits: usize, queue: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits.max(1))), queue }
    }

    /// Waits for a permit; first come, first served.
    pub(crate) async fn acquire_permit(&self) -> Result<Permit, BulkheadFull> {
        timeout(self.queue, self.permit()).await.unwrap_or(Err(BulkheadFull))
    }

    /// Returns the permit of this batch; its first load waits for one, and the other loads wait with it.
    pub(crate) async fn acquire_shared(&self, shared: &SharedPermit) -> Result<Permit, BulkheadFull> {
        let entering = async {
            let mut taken = shared.0.lock().await;
            if let Some(permit) = taken.upgrade() {
                return Ok(permit);
            }
            let permit = self.permit().await?;
            *taken = Arc::downgrade(&permit);
            Ok(permit)
        };
        // Each load has its own timeout, so that the loads do not wait one after the other.
        timeout(self.queue, entering).await.unwrap_or(Err(BulkheadFull))
    }

    async fn permit(&self) -> Result<Permit, BulkheadFull> {
        Arc::clone(&self.permits).acquire_owned().await.map(Arc::new).map_err(|_| BulkheadFull)
    }
}
