//! Batches: entries that are read together, so that one request can load all missing ones.
//!
//! Each entry keeps its own single-flight load and lease. The reads of a batch share a permit of the bulkhead. The
//! batch counts the reads that may still begin a load. A loader registers what it needs and waits until that count is
//! zero ([`Batch::all_started`]). By then, each read of the batch has begun its load, has ended, or waits for a load
//! that another reader has begun.
//!
//! A read that waits for another reader is no longer counted; otherwise two batches could wait for each other forever.
//! It may begin a load later, after the request was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::watch;

use crate::Cache;
use crate::bulkhead::{BulkheadFull, Permit, SharedPermit};

/// Reads that belong together. Cheap to clone: every clone is the same batch.
#[derive(Clone, Debug)]
pub struct Batch {
    cache: Cache,
    counts: BatchState,
}

/// The shared state of the reads of a batch.
#[derive(Clone, Debug, Default)]
struct BatchState {
    /// Number of reads that may still begin a load.
    not_started: Arc<watch::Sender<usize>>,
    permit: SharedPermit,
}

/// One read of a batch.
#[derive(Debug)]
pub(crate) struct BatchMember {
    counts: BatchState,
    is_counted: AtomicBool,
}

impl Cache {
    /// Creates a batch: reads whose loads become one request.
    pub fn batch(&self) -> Batch {
        Batch { cache: Self { member: None, ..self.clone() }, counts: BatchState::default() }
    }

    /// Waits for a permit of the bulkhead. All loads of a batch share one.
    pub(crate) async fn acquire_permit(&self) -> Result<Permit, BulkheadFull> {
        match &self.member {
            Some(member) => self.inner.bulkhead.acquire_shared(&member.counts.permit).await,
            None => self.inner.bulkhead.acquire_permit().await,
        }
    }

    /// Tells the batch not to wait for this read: its loader has registered what it needs, or it waits for another
    /// reader.
    pub(crate) fn mark_decided(&self) {
        if let Some(member) = &self.member {
            member.uncount();
        }
    }
}

impl Batch {
    /// Returns the cache for one read of this batch.
    ///
    /// The read counts from this call on. So call this method for all reads before the first read is polled, and drop a
    /// cache that is not used.
    pub fn cache(&self) -> Cache {
        self.counts.not_started.send_modify(|not_started| *not_started += 1);
        let member = BatchMember { counts: self.counts.clone(), is_counted: AtomicBool::new(true) };
        Cache { member: Some(Arc::new(member)), ..self.cache.clone() }
    }

    /// Waits until no read of this batch can begin a load, except those that wait for another reader's load.
    ///
    /// A loader calls it. By then, the loaders have done everything that they do before they return their futures. The
    /// wait takes no longer than a few commands of Redis.
    pub async fn all_started(&self) {
        // The sender is a part of `self`, so this does not fail.
        let _ = self.counts.not_started.subscribe().wait_for(|not_started| *not_started == 0).await;
    }
}

impl BatchMember {
    fn uncount(&self) {
        if self.is_counted.swap(false, SeqCst) {
            self.counts.not_started.send_modify(|not_started| *not_started -= 1);
        }
    }
}

impl Drop for BatchMember {
    fn drop(&mut self) {
        self.uncount();
    }
}
