//! Batches: entries that are fetched together, so that one request can load all that are missing.
//!
//! Each entry keeps its own flight and lease. The fetches of a batch share a place in the bulkhead, and the batch counts those that
//! may still begin a load. A loader registers what it needs and waits until that count is zero ([`Batch::all_started`]). By then
//! each fetch of the batch has begun its load, has ended, or waits for a load that another reader has begun.
//!
//! A fetch that waits for another reader is not counted any more: two batches that wait for one another would never go on. It
//! may begin a load later, after the request was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::watch;

use crate::Cache;
use crate::bulkhead::{BulkheadFull, Permit, SharedPermit};

/// Fetches that belong together. Cheap to clone: every clone is the same batch.
#[derive(Clone, Debug)]
pub struct Batch {
    cache: Cache,
    counts: BatchState,
}

/// What the fetches of a batch share.
#[derive(Clone, Debug, Default)]
struct BatchState {
    /// How many fetches may still begin a load.
    not_started: Arc<watch::Sender<usize>>,
    permit: SharedPermit,
}

/// One fetch of a batch.
#[derive(Debug)]
pub(crate) struct BatchMember {
    counts: BatchState,
    is_counted: AtomicBool,
}

impl Cache {
    /// Begins a batch: fetches whose loads become one request.
    pub fn batch(&self) -> Batch {
        Batch { cache: Self { member: None, ..self.clone() }, counts: BatchState::default() }
    }

    /// Waits for a place among the loads that run at once. All loads of a batch share one.
    pub(crate) async fn acquire_permit(&self) -> Result<Permit, BulkheadFull> {
        match &self.member {
            Some(member) => self.inner.bulkhead.acquire_shared(&member.counts.permit).await,
            None => self.inner.bulkhead.acquire_permit().await,
        }
    }

    /// The batch need not wait for this fetch: its loader has registered what it needs, or it waits for another reader.
    pub(crate) fn mark_decided(&self) {
        if let Some(member) = &self.member {
            member.uncount();
        }
    }
}

impl Batch {
    /// The lane, for one fetch of this batch.
    ///
    /// The fetch counts from this call on, so get the lanes of all fetches before the first fetch is polled, and drop a lane
    /// that is not used.
    pub fn cache(&self) -> Cache {
        self.counts.not_started.send_modify(|not_started| *not_started += 1);
        let member = BatchMember { counts: self.counts.clone(), is_counted: AtomicBool::new(true) };
        Cache { member: Some(Arc::new(member)), ..self.cache.clone() }
    }

    /// Waits until no fetch of this batch can begin a load, except those that wait for another reader's load.
    ///
    /// To be called by a loader. What the loaders did before they returned their futures has been done by then. This takes no
    /// longer than a few commands of Redis.
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
