//! One run of the checker: rounds of reads and writes, each judged after it is over.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::files::Files;
use super::fixture::Fixture;
use super::judge::{CREATION, Judge};
use super::map::{Map, Promise};
use super::prepared::Prepared;
use super::record::{Anomaly, Clock, Nanos};
use super::sessions::{Log, Session, Shared};
use super::stats::SubjectStats;

/// The pause without writes before the final reads: all pending events are applied in this time.
const SETTLE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Run {
    prepared: Vec<Arc<Prepared>>,
    sessions: Vec<Session>,
    judge: Judge,
    shared: Arc<Shared>,
    files: Files,
    /// The figures so far, by subject.
    pub(crate) stats: Vec<SubjectStats>,
    /// When the last operation ended without a usable response.
    pub(crate) failed: Nanos,
    /// When the last read ended that failed or bypassed the cache.
    pub(crate) trouble: Nanos,
    /// When the last write ended that failed or deferred its invalidation.
    pub(crate) trouble_writes: Nanos,
    fixture: Option<Fixture>,
}

impl Run {
    /// Creates the fixture. `progress` is called with the number of products created so far.
    pub(crate) async fn prepare(
        map: &Map, products: usize, mut files: Files, progress: impl FnMut(u64),
    ) -> Result<Self> {
        let mut judge = Judge::new(map.services.values().any(|replicas| replicas.len() > 1));
        let mut fixture = Fixture::create(map, products, &mut judge, progress).await?;
        let prepared: Vec<_> = fixture.subjects.drain(..).map(Arc::new).collect();
        let (mut sessions, seed) = (Vec::new(), rand::random());
        for (subject, prepared) in prepared.iter().enumerate() {
            let first = u32::try_from(sessions.len()).context("there are too many sessions")?;
            sessions.extend(Session::of(subject, prepared, first, seed)?);
            for (product, key) in prepared.products.iter().zip(prepared.first_key..) {
                files.key(key, product.id, &prepared.name)?;
            }
        }
        let stats = prepared.iter().map(|subject| SubjectStats::new(&subject.name, subject.promise)).collect();
        let shared = Arc::new(Shared { clock: Clock::start(), number: AtomicU32::new(CREATION) });
        Ok(Self {
            prepared,
            sessions,
            judge,
            shared,
            files,
            stats,
            failed: 0,
            trouble: 0,
            trouble_writes: 0,
            fixture: Some(fixture),
        })
    }

    /// Reads and writes for `length`, and judges the recorded operations.
    pub(crate) async fn round(&mut self, length: Duration) -> Result<()> {
        self.round_of(length, |_| true).await
    }

    /// Does the same with only the subjects that promise never to be stale; with all, if none does.
    pub(crate) async fn strict_round(&mut self, length: Duration) -> Result<()> {
        let none = !self.prepared.iter().any(is_strict);
        let strict: Vec<bool> = self.prepared.iter().map(|subject| none || is_strict(subject)).collect();
        self.round_of(length, |subject| strict[subject]).await
    }

    async fn round_of(&mut self, length: Duration, works: impl Fn(usize) -> bool) -> Result<()> {
        let end = self.shared.clock.now() + length.as_nanos() as u64;
        let mut working = JoinSet::new();
        for session in std::mem::take(&mut self.sessions) {
            match works(session.subject) {
                true => drop(working.spawn(session.work(Arc::clone(&self.shared), end))),
                false => self.sessions.push(session),
            }
        }
        self.collect(working).await
    }

    /// Waits for pending events, and reads everything once more, from every replica.
    pub(crate) async fn sweep(&mut self) -> Result<()> {
        sleep(SETTLE).await;
        let mut working = JoinSet::new();
        let mut swept = Vec::new();
        for session in self.sessions.drain(..) {
            match swept.contains(&session.subject) {
                true => drop(session),
                false => {
                    swept.push(session.subject);
                    working.spawn(session.sweep(Arc::clone(&self.shared)));
                }
            }
        }
        self.collect(working).await
    }

    /// Flushes the log files.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.files.close()
    }

    /// Removes the fixture and returns the figures.
    pub(crate) async fn remove(mut self) -> Vec<SubjectStats> {
        if let Some(mut fixture) = self.fixture.take() {
            self.sessions.clear();
            fixture.subjects.extend(self.prepared.drain(..).filter_map(Arc::into_inner));
            fixture.remove().await;
        }
        self.stats
    }

    /// Returns the number of reads so far of the subjects that promise never to be stale; of all subjects, if none
    /// does.
    pub(crate) fn strict_reads(&self) -> u64 {
        let none = !self.prepared.iter().any(is_strict);
        let counted = self.prepared.iter().zip(&self.stats).filter(|(subject, _)| none || is_strict(subject));
        counted.map(|(_, stats)| stats.reads).sum()
    }

    /// Returns whether a subject takes part that may be stale.
    pub(crate) fn has_bounded(&self) -> bool {
        !self.prepared.iter().all(is_strict)
    }

    /// Returns how often this anomaly was found.
    pub(crate) fn found(&self, anomaly: Anomaly) -> u64 {
        self.stats.iter().filter_map(|stats| stats.anomalies.get(&anomaly)).sum()
    }

    /// Returns the number of broken promises so far, as [`SubjectStats::broken`] counts them.
    pub(crate) fn broken(&self) -> u64 {
        self.stats.iter().map(SubjectStats::broken).sum()
    }

    pub(crate) fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// Returns the figures since the last call, and starts new ones.
    pub(crate) fn take(&mut self) -> Vec<SubjectStats> {
        let fresh = self.prepared.iter().map(|subject| SubjectStats::new(&subject.name, subject.promise)).collect();
        std::mem::replace(&mut self.stats, fresh)
    }

    /// Returns the ids of the run's products in the service, each with the highest version in the responses to its
    /// writes.
    pub(crate) fn acknowledged(&self) -> Vec<(u64, u32)> {
        let products = self.prepared.iter().flat_map(|subject| subject.products.iter().zip(subject.first_key..));
        products.map(|(product, key)| (product.id, self.judge.acknowledged(key))).collect()
    }

    /// Returns all addresses that are read, at every replica, of the subjects for which `counts` is true.
    pub(crate) fn addresses(&self, counts: impl Fn(&str) -> bool) -> Vec<String> {
        let mut all: Vec<String> = self
            .prepared
            .iter()
            .filter(|subject| counts(&subject.name))
            .flat_map(|subject| {
                let of =
                    move |node| (0..subject.products.len()).map(move |at| format!("{node}{}", subject.read_path(at)));
                subject.nodes.0.iter().flat_map(of)
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    async fn collect(&mut self, mut working: JoinSet<(Session, Log)>) -> Result<()> {
        let mut done = Vec::new();
        while let Some(worked) = working.join_next().await {
            done.push(worked.context("a session has panicked")?);
        }
        // Writes first: a read may have seen a write of another session.
        let writes: Vec<_> = done.iter().flat_map(|(_, log)| log.writes.iter().copied()).collect();
        self.files.writes(&writes)?;
        for lost in self.judge.learn(writes) {
            let before = self.prepared.partition_point(|subject| subject.first_key <= lost.writes[0].key);
            self.stats[before - 1].lost(lost);
        }
        for (session, log) in done {
            let stats = &mut self.stats[session.subject];
            let promise = self.prepared[session.subject].promise;
            log.writes.iter().for_each(|write| stats.write(write));
            stats.failed_reads += log.failed_reads.len() as u64;
            stats.failed_writes += log.failed_writes;
            stats.failure = log.failure.or(stats.failure.take());
            stats.bypass = log.bypass.or(stats.bypass.take());
            self.failed = self.failed.max(log.failed);
            self.trouble = self.trouble.max(log.trouble);
            self.trouble_writes = self.trouble_writes.max(log.trouble_writes);
            for failed in &log.failed_reads {
                self.files.failed(failed, log.pattern)?;
            }
            // No two requests of one session begin in the same nanosecond.
            for answer in log.reads.chunk_by(|one, next| one.begin == next.begin) {
                let mut stale = false;
                for read in answer {
                    let judgement = self.judge.judge(read, promise);
                    stale |= judgement.stale_for > 0;
                    stats.read(read, log.pattern, &judgement);
                    self.files.read(read, log.pattern, &judgement)?;
                }
                stats.answer(stale);
            }
            self.sessions.push(session);
        }
        Ok(())
    }
}

fn is_strict(subject: &Arc<Prepared>) -> bool {
    subject.promise == Promise::Never
}
