//! One fault, under load from before it begins until after everybody has recovered; then everything is compared.
//!
//! Whatever fails on the way is in the outcome, and the rest is done all the same: above all, everything is put back.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::Client;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::concurrent_edits::ConcurrentEdits;
use super::crash;
use super::list::Fault;
use super::make::Prepared;
use super::report::Outcome;
use super::target::Target;
use super::{BY_TIME, TIMEOUT};
use crate::private_system::Service;
use crate::system::{self, System};
use crate::verify::Run;
use crate::verify::record::{Clock, Nanos, millis};

/// Load before the fault.
const BEFORE: Duration = Duration::from_millis(1_500);
/// Load after its end, at least.
const AFTER: Duration = Duration::from_millis(3_000);
/// How long the checker reads and writes before it judges.
const ROUND: Duration = Duration::from_millis(1_000);
/// The longest that there is more load, until nothing fails or goes past the caches any more.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long the readers go on when everything has come to rest: an empty cache would prove nothing.
const READ_ON: Duration = Duration::from_secs(1);
/// The longest that a fault takes, made by a script on a busy machine.
const LONGEST: Duration = Duration::from_secs(240);

/// What one fault works with.
pub(super) struct Stage<'a> {
    pub(super) site: &'a Target,
    pub(super) http: &'a Client,
    pub(super) stop: &'a CancellationToken,
}

/// When it was over.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// Just before what is broken is started again.
    lifted: Nanos,
    /// When every service said that it is ready.
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
        // The caches fill again while the last events are still under way: just then something could be stored for good.
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

    /// Makes the fault and ends it. What cannot be done is noted, and the rest is done.
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

    /// Load until the fault is over and nothing fails or goes past the caches any more.
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

    /// Lost writes, and the full comparison.
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
        // Also what is in no cache just now. Whatever became of a write, its event has been carried out by now, and with it
        // the invalidation of the writer's own entry: acknowledged, deferred or never answered, nothing may differ.
        let mut urls = load.addresses(|name| !BY_TIME.contains(&name));
        urls.extend(prepared.witnesses.iter().cloned());
        let compared = system::compare(self.site, self.http, &urls, by_time);
        outcome.compared(compared.await?);
        Ok(())
    }
}
