//! A crash point that chance would seldom hit: the wire to Redis is held until the product API is where it is to die.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::site::{Part, Site};
use crate::ground::Ground;
use crate::world::Service;

pub(super) const API: Part = Part::Service(Service::ProductApi);

/// What is written when it dies: nobody has promised to keep this entry then.
pub(super) const ENTRY: &str = "product:explicit:1";

/// The longest that it takes to get there.
const PATIENCE: Duration = Duration::from_secs(15);

/// A write whose COMMIT is done and whose invalidation is not: the process is killed in between.
pub(super) async fn after_commit(site: &Site) -> Result<()> {
    let wire = &site.wires()?.redis;
    let (http, url) = (client()?, site.url(Service::ProductApi).await?);
    let probe = format!("{url}/products/explicit/1");
    let is_cached = async || Ok(site.redis(&["EXISTS", ENTRY]).await?.trim() == "1");
    until(async || {
        http.get(&probe).send().await?.error_for_status()?;
        is_cached().await
    })
    .await?;
    let version = async || -> Result<u64> {
        Ok(site.sql("shop_db", "SELECT version FROM products WHERE id = 1").await?.parse()?)
    };
    let (before, price) = (version().await?, rand::random_range(1..1_000_000_u32));
    wire.hold_requests();
    let writing = tokio::spawn(http.put(&probe).json(&json!({ "price_cents": price })).send());
    let committed = until(async || Ok(version().await? > before)).await;
    let answered = writing.is_finished();
    site.kill(API).await?;
    let cached = is_cached().await?;
    committed.context("the write was not committed")?;
    let acknowledged = answered
        && writing.await?.is_ok_and(|answer| {
            let said = answer.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
            said.contains("invalidated")
        });
    ensure!(!acknowledged, "the write was acknowledged before the process died");
    ensure!(cached, "the entry was gone before the process died");
    Ok(())
}

/// The product of [`after_commit`], where the outbox makes up for the writer; in a cache.
pub(super) async fn written(site: &Site) -> Result<Vec<String>> {
    let url = site.url(Service::ProductApi).await?;
    let urls = ["events", "tags", "production"].map(|lane| format!("{url}/products/{lane}/1"));
    fill(&urls).await?;
    Ok(urls.into())
}

/// Reads these, so that they are in a cache.
pub(super) async fn fill(urls: &[String]) -> Result<()> {
    let http = client()?;
    let reads = stream::iter(urls.iter().map(|url| http.get(url).send())).buffer_unordered(8);
    reads.try_for_each(|answer| std::future::ready(answer.error_for_status().map(drop))).await?;
    Ok(())
}

pub(super) fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().timeout(PATIENCE).build()?)
}

pub(super) async fn until(mut done: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !done().await? {
        ensure!(began.elapsed() < PATIENCE, "it took longer than {PATIENCE:?}");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
