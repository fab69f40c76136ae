//! One fault, under load from before it begins until after all services have recovered, and then the comparison.
//!
//! A failure of a step is noted in the outcome, and the other steps run nevertheless: above all, everything is
//! restored.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::Client;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::allowed::{TIMEOUT, is_by_time, is_key_by_time};
use super::crash;
use super::edits::Edits;
use super::list::Fault;
use super::make::Prepared;
use super::report::Outcome;
use super::stack::running;
use super::target::Target;
use crate::system;
use crate::verify::Run;
use crate::verify::record::{Clock, Nanos, millis};

/// The duration of the load before the fault.
const BEFORE: Duration = Duration::from_millis(1_500);
/// The minimum duration of the load after the fault.
const AFTER: Duration = Duration::from_millis(3_000);
/// The duration of a round of the checker, after which it judges.
const ROUND: Duration = Duration::from_millis(500);
/// Maximum duration of further load, until no request fails or bypasses the caches.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long the readers continue after the system is idle: empty caches would prove nothing.
const READ_ON: Duration = Duration::from_secs(1);

pub(super) struct FaultRun<'a> {
    pub(super) target: &'a Target,
    pub(super) http: &'a Client,
    pub(super) edits: &'a Edits,
    pub(super) stop: &'a CancellationToken,
}

/// The times at which the fault ended.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// Just before the broken component is started again.
    lifted: Nanos,
    /// When every service reported that it is ready.
    ready: Nanos,
}

impl FaultRun<'_> {
    pub(super) async fn run(&self, load: &mut Run, fault: Fault) -> Outcome {
        let mut outcome = Outcome { fault: fault.name(), ..Outcome::default() };
        outcome.must_not_fail = fault.is_of_redis_alone();
        let mut prepared = Prepared::default();
        let mut ready = outcome.note("preparing", fault.prepare(self.target, &mut prepared).await).is_some();
        ready &= outcome.note("beginning the edits", self.edits.begin(self.target).await).is_some();
        ready &= outcome.note("before it", system::wait_until_idle(self.target, self.http).await).is_some();
        if ready {
            self.under_load(load, fault, &mut prepared, &mut outcome).await;
        }
        outcome.note("clearing up the edits", self.edits.end(self.target).await);
        outcome.note("clearing up", fault.clear(self.target, &prepared).await);
        outcome
    }

    async fn under_load(&self, load: &mut Run, fault: Fault, prepared: &mut Prepared, outcome: &mut Outcome) {
        let (quiet, over, clock) = (CancellationToken::new(), Cell::new(None), load.clock());
        let written = Cell::new(0);
        let acting = async {
            let times = self.act(fault, prepared, clock, &written, outcome).await;
            over.set(Some(times.ready));
            times
        };
        let loading = async {
            let loaded = self.load(load, fault, &over, &written).await;
            quiet.cancel();
            loaded
        };
        let (times, loaded, edited) = tokio::join!(acting, loading, self.edits.work(self.target, self.http, &quiet));
        outcome.note("the load", loaded);
        outcome.note("the edits", edited);
        if self.stop.is_cancelled() {
            return;
        }
        outcome.ready_ms = millis(times.ready.saturating_sub(times.lifted));
        outcome.recovered_ms = millis(load.trouble.saturating_sub(times.lifted));
        outcome.writes_recovered_ms = millis(load.trouble_writes.saturating_sub(times.lifted));
        // The caches fill again while the last events are still being delivered, because a fill in this phase could
        // store an outdated value permanently.
        let reading = CancellationToken::new();
        let addresses = load.addresses(|_| true);
        let resting = async {
            let rested = system::wait_until_idle(self.target, self.http).await;
            let (filled, ..) = tokio::join!(crash::fill(&addresses), self.edits.read_absent(self.http), sleep(READ_ON));
            reading.cancel();
            filled.and(rested)
        };
        let (rested, ()) = tokio::join!(resting, self.edits.read(self.http, &reading));
        let settled = outcome.note("at rest", rested);
        outcome.settled_ms = settled.unwrap_or(TIMEOUT).as_secs_f64() * 1e3;
        outcome.count(load.take());
        outcome.count_edits(&self.edits.ledger());
        outcome.kills = std::mem::take(&mut prepared.kills);
        let compared = self.compare(load, prepared, outcome).await;
        outcome.note("comparing", compared);
        if !outcome.holds() {
            outcome.wrong.extend(self.target.last_words().await);
        }
    }

    /// Makes the fault and ends it. A failed step is noted, and the following steps run nevertheless.
    async fn act(
        &self, fault: Fault, prepared: &mut Prepared, clock: Clock, written: &Cell<u64>, outcome: &mut Outcome,
    ) -> Times {
        sleep(BEFORE).await;
        let making = async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(anyhow!("interrupted")),
                made = timeout(fault.longest(), fault.make(self.target, prepared, || written.get())) => {
                    made.context("the fault took too long")?
                }
            }
        };
        let made = outcome.note("making it", making.await);
        let lifted = clock.now();
        outcome.note("ending it", fault.end_fault(self.target, prepared).await);
        outcome.note("after it", self.until_ready().await);
        let ready = clock.now();
        if made.is_some() {
            outcome.note("proving it", fault.prove(self.target).await);
        }
        Times { lifted, ready }
    }

    /// Creates load until the fault is over and no request fails or bypasses the caches any more. Keeps the number of
    /// acknowledged edits in `written`.
    ///
    /// Random kills have the services' own timeouts, with which a Redis on a busy machine is slow at any time. After
    /// them, requests must only not fail.
    async fn load(&self, load: &mut Run, fault: Fault, over: &Cell<Option<Nanos>>, written: &Cell<u64>) -> Result<()> {
        let nanos = |time: Duration| time.as_nanos() as Nanos;
        loop {
            load.round(ROUND).await?;
            written.set(self.edits.ledger().acknowledged());
            let Some(over) = over.get() else { continue };
            let now = load.clock().now();
            let trouble = match fault {
                Fault::RandomKills { .. } => load.failed,
                _ => load.trouble.max(load.trouble_writes),
            };
            let (since, calm) = (now - over, now.saturating_sub(trouble));
            if self.stop.is_cancelled() || (since >= nanos(AFTER) && calm >= nanos(AFTER / 2)) {
                return Ok(());
            }
            ensure!(
                since < nanos(RECOVERY),
                "{RECOVERY:?} after the fault, reads or writes still fail or go past their caches"
            );
        }
    }

    async fn until_ready(&self) -> Result<()> {
        let began = Instant::now();
        for replica in running() {
            let url = format!("{}/readyz", self.target.url_of(replica));
            while !self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                ensure!(began.elapsed() < TIMEOUT, "{} is not ready {TIMEOUT:?} after the fault", replica.name());
                sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }

    /// Checks that nothing acknowledged is lost and that everything committed has arrived, and compares all caches.
    async fn compare(&self, load: &Run, prepared: &Prepared, outcome: &mut Outcome) -> Result<()> {
        let versions = system::versions(self.target).await?;
        let lost = |(id, written): &&(u64, u32)| {
            let version = i64::try_from(*id).ok().and_then(|id| versions.get(&id));
            version.is_none_or(|version| *version < i64::from(*written))
        };
        outcome.lost_writes = load.acknowledged().iter().filter(lost).count() as u64;
        outcome.wrong.extend(self.edits.missing(&versions, self.http).await?);
        outcome.wrong.extend(system::stream_gaps(self.target).await?);
        let (lines, differing) = system::differing_lines(self.target).await?;
        outcome.lines = lines;
        outcome.wrong.extend(differing);
        outcome.wrong.extend(system::index_differences(self.target, self.http, &versions).await?);
        // This includes addresses that are not cached now. With any result of a write, its event has been applied
        // by now, and with it the invalidation of the writer's own entry. So no response may differ, whether the write
        // was acknowledged, deferred or never answered.
        let mut urls = load.addresses(|name| !is_by_time(name));
        urls.extend(prepared.extra_urls.iter().cloned());
        urls.extend(self.edits.addresses());
        let may_differ = |key: &str| is_key_by_time(key) || Edits::may_differ(key);
        outcome.compared(system::compare(self.target, self.http, &versions, &urls, may_differ).await?);
        Ok(())
    }
}
