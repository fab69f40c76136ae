//! Bounds what the cache may ask of the database at once, above all while Redis is down.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

#[derive(Debug)]
pub(crate) struct Bulkhead {
    places: Arc<Semaphore>,
    queue: Duration,
}

/// A place among the loads that run at once. It is free again when all that share it are dropped.
pub(crate) type Place = Arc<OwnedSemaphorePermit>;

/// The place that the loads of one batch share, while there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Weak<OwnedSemaphorePermit>>>);

/// No place became free in time.
#[derive(Debug)]
pub(crate) struct Full;

impl Bulkhead {
    pub(crate) fn new(places: usize, queue: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places.max(1))), queue }
    }

    /// Waits for a place, first come first served.
    pub(crate) async fn enter(&self) -> Result<Place, Full> {
        timeout(self.queue, self.place()).await.unwrap_or(Err(Full))
    }

    /// The place of this batch; the first of its loads waits for one, and the others with it.
    pub(crate) async fn enter_shared(&self, shared: &Shared) -> Result<Place, Full> {
        let entering = async {
            let mut taken = shared.0.lock().await;
            if let Some(place) = taken.upgrade() {
                return Ok(place);
            }
            let place = self.place().await?;
            *taken = Arc::downgrade(&place);
            Ok(place)
        };
        // Each within its own time, so that they do not wait one after the other.
        timeout(self.queue, entering).await.unwrap_or(Err(Full))
    }

    async fn place(&self) -> Result<Place, Full> {
        Arc::clone(&self.places).acquire_owned().await.map(Arc::new).map_err(|_| Full)
    }
}
