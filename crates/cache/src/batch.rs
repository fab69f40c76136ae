//! Batches: entries that are read together, so that one request can load all missing ones.
//!
//! Each entry keeps its own single-flight load and lease. The loads of a batch share a permit of the bulkhead. The batch
//! holds it as long as one of them does: a load that waits for the load of another entry releases only its own part.
//!
//! The batch counts the reads that may still begin a load. A loader registers what it needs and waits until that count is
//! zero ([`Batch::all_started`]). By then, each read of the batch has begun its load, has ended, or waits for a load
//! that another reader has begun.
//!
//! A read that waits for another reader is no longer counted; otherwise two batches could wait for each other forever.
//! It may begin a load later, after the request was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::watch;

use crate::bulkhead::SharedPermit;

/// Reads of one client that belong together. Cheap to clone: every clone is the same batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Number of reads that may still begin a load.
    not_started: Arc<watch::Sender<usize>>,
    permit: SharedPermit,
}

#[derive(Debug)]
pub(crate) struct BatchMember {
    batch: Batch,
    is_counted: AtomicBool,
}

impl Batch {
    /// Creates a batch: reads whose loads become one request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until no read of this batch can begin a load, except those that wait for another reader's load.
    ///
    /// A loader calls it. By then, the loaders have done everything that they do before they return their futures. The
    /// wait takes no longer than a few commands of Redis.
    pub async fn all_started(&self) {
        // The sender is a part of `self`, so this does not fail.
        let _ = self.not_started.subscribe().wait_for(|not_started| *not_started == 0).await;
    }
}

impl BatchMember {
    /// Adds a read to the batch, which counts it from now on.
    pub(crate) fn of(batch: &Batch) -> Arc<Self> {
        batch.not_started.send_modify(|not_started| *not_started += 1);
        Arc::new(Self { batch: batch.clone(), is_counted: AtomicBool::new(true) })
    }

    /// Returns the permit that all loads of the batch share.
    pub(crate) fn permit(&self) -> &SharedPermit {
        &self.batch.permit
    }

    /// Tells the batch not to wait for this read any more.
    pub(crate) fn mark_decided(&self) {
        if self.is_counted.swap(false, SeqCst) {
            self.batch.not_started.send_modify(|not_started| *not_started -= 1);
        }
    }
}

impl Drop for BatchMember {
    fn drop(&mut self) {
        self.mark_decided();
    }
}
