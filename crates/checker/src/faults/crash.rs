//! Kills of components: at random, and at a crash point that random kills would seldom hit. For the latter, the proxy
//! holds the requests to Redis until the product API has reached the point at which it is killed.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use client::CacheStatus;
use futures_util::{StreamExt, TryStreamExt, stream};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Client;
use serde_json::json;
use testkit::private_system::Service;
use tokio::time::{Instant, sleep};

use super::stack::{SECOND, running};
use super::target::{Component, Target};
use crate::system::System;

pub(super) const API: Component = Component::Service(Service::ProductApi.first());

/// The writes during which the process is killed: one for each strategy whose entries only the writer invalidates.
const WRITTEN: [(&str, u32); 2] = [("explicit", 1), ("writethrough", 2)];

/// Maximum time until the crash point is reached.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The number of attempts: the load may invalidate an entry just before Redis receives nothing any more.
const TRIES: u32 = 5;

/// Starts writes and kills the process after their COMMITs and before their invalidations.
pub(super) async fn after_commit(target: &Target) -> Result<()> {
    let proxy = &target.proxies()?.redis;
    let (http, url) = (client()?, target.url(Service::ProductApi).await?);
    let probes = WRITTEN.map(|(strategy, id)| format!("{url}/products/{strategy}/{id}"));
    let entries = WRITTEN.map(|(strategy, id)| format!("product:{strategy}:{id}"));
    let are_cached = async || -> Result<bool> {
        // An entry begins with `V`, a lease does not.
        let mut held = Vec::new();
        for entry in &entries {
            held.push(target.redis(&["GETRANGE", entry, "0", "0"]).await?);
        }
        Ok(held.iter().all(|first| first.trim() == "V"))
    };
    let ids = WRITTEN.map(|(_, id)| id.to_string()).join(", ");
    // Each write increments one of these versions.
    let versions = async || -> Result<u64> {
        Ok(target.sql("shop_db", &format!("SELECT sum(version) FROM products WHERE id IN ({ids})")).await?.parse()?)
    };
    for _ in 0..TRIES {
        until(async || {
            for probe in &probes {
                http.get(probe).send().await?.error_for_status()?;
            }
            are_cached().await
        })
        .await?;
        let (before, price) = (versions().await?, rand::random_range(1..1_000_000_u32));
        proxy.hold_requests();
        let body = json!({ "price_cents": price });
        let writing = probes.each_ref().map(|probe| tokio::spawn(http.put(probe).json(&body).send()));
        let committed = until(async || Ok(versions().await? >= before + WRITTEN.len() as u64)).await;
        if committed.is_ok() && !are_cached().await? {
            proxy.release_requests();
            for writing in writing {
                drop(writing.await?);
            }
            continue;
        }
        target.kill(API).await?;
        let cached = are_cached().await?;
        committed.context("the writes were not committed")?;
        for writing in writing {
            // The fault concerns writes that had no response, or a response that says `deferred`.
            let acknowledged = writing.await?.is_ok_and(|answer| {
                matches!(CacheStatus::of(answer.headers()).detail(), Some("invalidated" | "stored"))
            });
            ensure!(!acknowledged, "a write was acknowledged before the process died");
        }
        ensure!(cached, "an entry was gone before the process died");
        return Ok(());
    }
    bail!("in {TRIES} attempts, an entry was gone before the process could be killed")
}

/// Returns the addresses of the products of [`after_commit`], each in the cache of its strategy and in those that
/// events invalidate. For all of them, the outbox makes up for the killed writer. Reads them, so that they are cached.
pub(super) async fn written(target: &Target) -> Result<Vec<String>> {
    let url = target.url(Service::ProductApi).await?;
    let strategies =
        |(own, id)| [own, "events", "tags", "production"].map(|strategy| format!("{url}/products/{strategy}/{id}"));
    let urls: Vec<String> = WRITTEN.into_iter().flat_map(strategies).collect();
    fill(&urls).await?;
    Ok(urls)
}

/// Reads these addresses, so that their entries are in a cache.
pub(super) async fn fill(urls: &[String]) -> Result<()> {
    let http = client()?;
    let reads = stream::iter(urls.iter().map(|url| http.get(url).send())).buffer_unordered(8);
    reads.try_for_each(|answer| std::future::ready(answer.error_for_status().map(drop))).await?;
    Ok(())
}

pub(super) fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().timeout(TIMEOUT).build()?)
}

pub(super) async fn until(mut done: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !done().await? {
        ensure!(began.elapsed() < TIMEOUT, "it took longer than {TIMEOUT:?}");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// The components that are killed. The stores are first, because the services need them to start.
pub(super) const VICTIMS: [Component; 7] = [
    Component::Redis,
    Component::Postgres,
    Component::Service(Service::ProductApi.first()),
    Component::Service(Service::Cart.first()),
    Component::Service(Service::Search.first()),
    Component::Service(Service::Recommendation.first()),
    Component::Service(SECOND),
];

/// Kills and restarts components until `is_enough`, and until each was killed. Returns the number of kills of each.
pub(super) async fn at_random(
    target: &Target, seed: u64, is_enough: impl Fn() -> bool,
) -> Result<Vec<(&'static str, u32)>> {
    let mut random = if seed == 0 { StdRng::from_os_rng() } else { StdRng::seed_from_u64(seed) };
    let mut kills = VICTIMS.map(|victim| (victim.name(), 0));
    // Every component is killed once in turn first, so that a short run includes all of them.
    let mut turns = 0..VICTIMS.len();
    loop {
        sleep(Duration::from_millis(random.random_range(200..1_500))).await;
        if turns.is_empty() && is_enough() {
            return Ok(kills.to_vec());
        }
        // However slow the machine is, the system does some work between the kills.
        if kills.iter().map(|(_, times)| times).sum::<u32>().is_multiple_of(VICTIMS.len() as u32) {
            for replica in running() {
                target.start(Component::Service(replica)).await?;
            }
        }
        // A service may have exited by itself while a store was down: restart it, as its supervisor would.
        for replica in running() {
            target.start_without_waiting(Component::Service(replica)).await?;
        }
        let index = turns.next().unwrap_or_else(|| random.random_range(0..VICTIMS.len()));
        kills[index].1 += 1;
        target.kill(VICTIMS[index]).await?;
        sleep(Duration::from_millis(random.random_range(0..800))).await;
        target.start_without_waiting(VICTIMS[index]).await?;
    }
}
