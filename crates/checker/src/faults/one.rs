//! One fault, under load from before it begins until after all services have recovered, and then the comparison.
//!
//! A failure of a step is noted in the outcome, and the other steps run nevertheless: above all, everything is
//! restored.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::Client;
use testkit::private_system::Service;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::concurrent_edits::ConcurrentEdits;
use super::crash;
use super::list::Fault;
use super::make::Prepared;
use super::report::Outcome;
use super::target::Target;
use super::{BY_TIME, TIMEOUT};
use crate::system::{self, System};
use crate::verify::Run;
use crate::verify::record::{Clock, Nanos, millis};

/// The duration of the load before the fault.
const BEFORE: Duration = Duration::from_millis(1_500);
/// The minimum duration of the load after the fault.
const AFTER: Duration = Duration::from_millis(3_000);
/// The duration of a round of the checker, after which it judges.
const ROUND: Duration = Duration::from_millis(1_000);
/// Maximum duration of further load, until no request fails or bypasses the caches.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long the readers continue after the system is idle: empty caches would prove nothing.
const READ_ON: Duration = Duration::from_secs(1);
/// Maximum duration of a fault that a script makes on a busy machine.
const LONGEST: Duration = Duration::from_secs(240);

/// The context of one fault.
pub(super) struct Stage<'a> {
    pub(super) site: &'a Target,
    pub(super) http: &'a Client,
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

impl Stage<'_> {
    pub(super) async fn one(&self, load: &mut Run, fault: Fault) -> Outcome {
        let mut outcome = Outcome { fault: fault.name(), ..Outcome::default() };
        outcome.must_not_fail = fault.is_of_redis_alone();
        let mut prepared = Prepared::default();
        let others = ConcurrentEdits::prepare(self.site).await;
        let mut ready = outcome.note("preparing", fault.prepare(self.site, &mut prepared).await).is_some();
        ready &= outcome.note("before it", system::wait_until_idle(self.site, self.http).await).is_some();
        if let Some(others) = outcome.note("somebody with psql", others) {
            if ready {
                self.under_load(load, fault, &prepared, &others, &mut outcome).await;
            }
            outcome.note("clearing up", others.clear(self.site).await);
        }
        outcome.note("clearing up", fault.clear(self.site, &prepared).await);
        outcome
    }

    async fn under_load(
        &self,
        load: &mut Run,
        fault: Fault,
        prepared: &Prepared,
        others: &ConcurrentEdits,
        outcome: &mut Outcome,
    ) {
        let (quiet, over, clock) = (CancellationToken::new(), Cell::new(None), load.clock());
        let acting = async {
            let times = self.act(fault, prepared, clock, outcome).await;
            over.set(Some(times.ready));
            times
        };
        let loading = async {
            let loaded = self.load(load, &over).await;
            quiet.cancel();
            loaded
        };
        let (times, loaded, changes) = tokio::join!(acting, loading, others.work(self.site, self.http, &quiet));
        outcome.note("the load", loaded);
        if self.stop.is_cancelled() {
            return;
        }
        outcome.changes = changes;
        outcome.ready_ms = millis(times.ready.saturating_sub(times.lifted));
        outcome.recovered_ms = millis(load.trouble.saturating_sub(times.lifted));
        outcome.writes_recovered_ms = millis(load.trouble_writes.saturating_sub(times.lifted));
        // The caches fill again while the last events are still being delivered, because a fill in this phase could
        // store an outdated value permanently.
        let reading = CancellationToken::new();
        let addresses = load.addresses(|_| true);
        let resting = async {
            let rested = system::wait_until_idle(self.site, self.http).await;
            let (filled, ()) = tokio::join!(crash::fill(&addresses), sleep(READ_ON));
            reading.cancel();
            filled.and(rested)
        };
        let (rested, ()) = tokio::join!(resting, others.read(self.http, &reading));
        let settled = outcome.note("at rest", rested);
        outcome.settled_ms = settled.unwrap_or(TIMEOUT).as_secs_f64() * 1e3;
        outcome.count(load.take());
        let judged = self.judge(load, prepared, outcome).await;
        outcome.note("comparing", judged);
    }

    /// Makes the fault and ends it. A failed step is noted, and the following steps run nevertheless.
    async fn act(&self, fault: Fault, prepared: &Prepared, clock: Clock, outcome: &mut Outcome) -> Times {
        sleep(BEFORE).await;
        let making = async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(anyhow!("interrupted")),
                made = timeout(LONGEST, fault.make(self.site, prepared)) => made.context("it takes too long")?,
            }
        };
        let made = outcome.note("making it", making.await);
        let lifted = clock.now();
        outcome.note("ending it", fault.end_fault(self.site, prepared).await);
        outcome.note("after it", self.until_ready().await);
        let ready = clock.now();
        if made.is_some() {
            outcome.note("proving it", fault.prove(self.site).await);
        }
        Times { lifted, ready }
    }

    /// Creates load until the fault is over and no request fails or bypasses the caches any more.
    async fn load(&self, load: &mut Run, over: &Cell<Option<Nanos>>) -> Result<()> {
        let nanos = |time: Duration| time.as_nanos() as Nanos;
        loop {
            load.round(ROUND).await?;
            let Some(over) = over.get() else { continue };
            let now = load.clock().now();
            let (since, calm) = (now - over, now.saturating_sub(load.trouble.max(load.trouble_writes)));
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
        for service in Service::ALL {
            let url = format!("{}/readyz", self.site.url(service).await?);
            while !self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                ensure!(began.elapsed() < TIMEOUT, "{} is not ready {TIMEOUT:?} after the fault", service.name());
                sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }

    /// Checks for lost writes, and compares everything.
    async fn judge(&self, load: &Run, prepared: &Prepared, outcome: &mut Outcome) -> Result<()> {
        let rows = self.site.sql("shop_db", "SELECT id, version FROM products").await?;
        let parse = |row: &str| -> Option<(u64, u32)> {
            let (id, version) = row.split_once('|')?;
            Some((id.parse().ok()?, version.parse().ok()?))
        };
        let versions: HashMap<u64, u32> = rows.lines().filter_map(parse).collect();
        let acknowledged = load.acknowledged();
        let lost = |(id, written): &&(u64, u32)| versions.get(id).is_none_or(|version| version < written);
        outcome.lost_writes = acknowledged.iter().filter(lost).count() as u64;
        let by_time =
            |key: &str| ["product:ttl:", "product:swr:", "product:featured:"].iter().any(|of| key.starts_with(of));
        // This includes addresses that are not cached now. Whatever the result of a write, its event has been applied
        // by now, and with it the invalidation of the writer's own entry. So no response may differ, whether the write
        // was acknowledged, deferred or never answered.
        let mut urls = load.addresses(|name| !BY_TIME.contains(&name));
        urls.extend(prepared.witnesses.iter().cloned());
        let compared = system::compare(self.site, self.http, &urls, by_time);
        outcome.compared(compared.await?);
        Ok(())
    }
}
