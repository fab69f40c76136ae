//! Readers and a writer on the same products. They check whether a read was ever older than the last write that was
//! acknowledged before the read began.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::Result;
use client::Source;
use client::times::{Times, millis};
use tokio::task::JoinSet;

use crate::demo_product::DemoProduct;

/// The number of readers, and the pauses between requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub readers: usize,
    /// The pause of a reader between two reads.
    pub read_pause: Duration,
    /// The pause of the single writer between two writes.
    pub write_pause: Duration,
}

/// A load that runs until [`finish`](Self::finish) is called or the load is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    done: Arc<AtomicBool>,
    tasks: JoinSet<Traffic>,
}

/// The requests of a load.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Every read.
    pub reads: Vec<Request>,
    /// Every write.
    pub writes: Vec<Request>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub began: Instant,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// The error, or the source of the response.
    pub result: Result<Source, String>,
    /// How many versions the response was behind the last write acknowledged before the request began.
    pub behind: u64,
}

struct Target {
    subject: DemoProduct,
    acknowledged: AtomicU64,
}

impl Load {
    /// Starts to read and write `subjects` in turn.
    pub(crate) fn start(subjects: &[DemoProduct], pace: Pace) -> Self {
        let target = |subject: &DemoProduct| Target { subject: subject.clone(), acknowledged: AtomicU64::new(0) };
        let targets: Arc<Vec<Target>> = Arc::new(subjects.iter().map(target).collect());
        let done = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for reader in 0..pace.readers {
            tasks.spawn(read(Arc::clone(&targets), Arc::clone(&done), pace.read_pause, reader));
        }
        tasks.spawn(write(targets, Arc::clone(&done), pace.write_pause));
        Self { done, tasks }
    }

    /// Ends the load and returns its requests.
    pub(crate) async fn finish(mut self) -> Traffic {
        self.done.store(true, SeqCst);
        let mut all = Traffic::default();
        while let Some(Ok(part)) = self.tasks.join_next().await {
            all.reads.extend(part.reads);
            all.writes.extend(part.writes);
        }
        all.reads.sort_by_key(|read| read.began);
        all
    }
}

async fn read(targets: Arc<Vec<Target>>, done: Arc<AtomicBool>, pause: Duration, first: usize) -> Traffic {
    let mut reads = Vec::new();
    for target in targets.iter().cycle().skip(first) {
        if done.load(SeqCst) {
            break;
        }
        let (began, floor) = (Instant::now(), target.acknowledged.load(SeqCst));
        let answer = target.subject.read().await;
        let behind = answer.as_ref().map_or(0, |answer| floor.saturating_sub(answer.version.unwrap_or(0)));
        reads.push(Request::of(began, answer.map(|answer| answer.source), behind));
        tokio::time::sleep(pause).await;
    }
    Traffic { reads, writes: Vec::new() }
}

async fn write(targets: Arc<Vec<Target>>, done: Arc<AtomicBool>, pause: Duration) -> Traffic {
    let mut writes = Vec::new();
    for target in targets.iter().cycle() {
        if done.load(SeqCst) {
            break;
        }
        let began = Instant::now();
        let answer = target.subject.write().await;
        if let Ok(answer) = &answer {
            target.acknowledged.fetch_max(answer.version.unwrap_or(0), SeqCst);
        }
        writes.push(Request::of(began, answer.map(|answer| answer.source), 0));
        tokio::time::sleep(pause).await;
    }
    Traffic { reads: Vec::new(), writes }
}

impl Request {
    fn of(began: Instant, result: Result<Source>, behind: u64) -> Self {
        let result = result.map_err(|error| format!("{error:#}"));
        Self { began, ms: millis(began.elapsed()), result, behind }
    }
}

impl Traffic {
    /// Returns the number of reads that were older than the last write acknowledged before they began.
    pub(crate) fn outdated(&self) -> usize {
        self.reads.iter().filter(|read| read.behind > 0).count()
    }

    /// Returns the errors of all reads and writes.
    pub(crate) fn failures(&self) -> Vec<&str> {
        self.reads
            .iter()
            .chain(&self.writes)
            .filter_map(|request| request.result.as_ref().err())
            .map(String::as_str)
            .collect()
    }
}

/// Returns the times of some requests.
pub(crate) fn times(requests: &[&Request]) -> Times {
    requests.iter().map(|request| request.ms).collect()
}

/// Returns how many of the requests have one of these sources.
pub(crate) fn from(requests: &[&Request], sources: &[Source]) -> usize {
    requests.iter().filter(|request| request.result.as_ref().is_ok_and(|source| sources.contains(source))).count()
}
