//! Bounds what the cache may ask of the database at once, above all while Redis is down.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

#[derive(Debug)]
pub(crate) struct Bulkhead {
    places: Arc<Semaphore>,
    queue: Duration,
}

/// No place became free in time.
#[derive(Debug)]
pub(crate) struct Full;

impl Bulkhead {
    pub(crate) fn new(places: usize, queue: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places.max(1))), queue }
    }

    /// Waits for a place, first come first served. It is free again when the permit is dropped.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Full> {
        match timeout(self.queue, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }
}
