//! Batches: entries that are fetched together, so that one request can load all that are missing.
//!
//! Each entry keeps its own flight and lease. The fetches of a batch share a place in the bulkhead, and the batch counts those that
//! may still begin a load. A loader registers what it needs and waits until that count is zero ([`Batch::gathered`]). By then
//! each fetch of the batch has begun its load, has ended, or waits for a load that another reader has begun.
//!
//! A fetch that waits for another reader is not counted any more: two batches that wait for one another would never go on. It
//! may begin a load later, after the request was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::sync::watch;

use crate::Lane;
use crate::bulkhead::{Full, Place, Shared};

/// Fetches that belong together. Cheap to clone: every clone is the same batch.
#[derive(Clone, Debug)]
pub struct Batch {
    lane: Lane,
    counts: Counts,
}

/// What the fetches of a batch share.
#[derive(Clone, Debug, Default)]
struct Counts {
    /// How many fetches may still begin a load.
    undecided: Arc<watch::Sender<usize>>,
    place: Shared,
}

/// One fetch of a batch.
#[derive(Debug)]
pub(crate) struct Member {
    counts: Counts,
    is_counted: AtomicBool,
}

impl Lane {
    /// Begins a batch: fetches whose loads become one request.
    pub fn batch(&self) -> Batch {
        Batch { lane: Self { member: None, ..self.clone() }, counts: Counts::default() }
    }

    /// Waits for a place among the loads that run at once. All loads of a batch share one.
    pub(crate) async fn enter(&self) -> Result<Place, Full> {
        match &self.member {
            Some(member) => self.inner.bulkhead.enter_shared(&member.counts.place).await,
            None => self.inner.bulkhead.enter().await,
        }
    }

    /// The batch need not wait for this fetch: its loader has registered what it needs, or it waits for another reader.
    pub(crate) fn decided(&self) {
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
    pub fn lane(&self) -> Lane {
        self.counts.undecided.send_modify(|undecided| *undecided += 1);
        let member = Member { counts: self.counts.clone(), is_counted: AtomicBool::new(true) };
        Lane { member: Some(Arc::new(member)), ..self.lane.clone() }
    }

    /// Waits until no fetch of this batch can begin a load, except those that wait for another reader's load.
    ///
    /// To be called by a loader. What the loaders did before they returned their futures has been done by then. This takes no
    /// longer than a few commands of Redis.
    pub async fn gathered(&self) {
        // The sender is a part of `self`, so this does not fail.
        let _ = self.counts.undecided.subscribe().wait_for(|undecided| *undecided == 0).await;
    }
}

impl Member {
    fn uncount(&self) {
        if self.is_counted.swap(false, SeqCst) {
            self.counts.undecided.send_modify(|undecided| *undecided -= 1);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.uncount();
    }
}
