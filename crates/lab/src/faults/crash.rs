//! Crash points that chance would seldom hit: the wire to Redis is held until the product API is where it is to die.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::site::{Part, Site};
use crate::ground::Ground;
use crate::world::Service;

const API: Part = Part::Service(Service::ProductApi);

/// The longest that it takes to get there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A write whose COMMIT is done and whose invalidation is not: the process is killed in between.
pub(super) async fn after_commit(site: &Site) -> Result<()> {
    let wires = site.wires().context("there are no wires here")?;
    let (http, url) = (client()?, site.url(Service::ProductApi).await?);
    let probe = format!("{url}/products/explicit/1");
    let is_cached = async || Ok(site.redis(&["EXISTS", "product:explicit:1"]).await?.trim() == "1");
    until(async || {
        http.get(&probe).send().await?.error_for_status()?;
        is_cached().await
    })
    .await?;
    let version = async || -> Result<u64> {
        Ok(site.sql("shop_db", "SELECT version FROM products WHERE id = 1").await?.parse()?)
    };
    let (before, price) = (version().await?, rand::random_range(1..1_000_000_u32));
    wires.redis.hold_requests();
    let writing = tokio::spawn(http.put(&probe).json(&json!({ "price_cents": price })).send());
    let committed = until(async || Ok(version().await? > before)).await;
    let answered = writing.is_finished();
    site.kill(API).await?;
    let cached = is_cached().await?;
    wires.redis.release_requests();
    committed.context("the write was not committed")?;
    let acknowledged = answered
        && writing.await?.is_ok_and(|answer| {
            let said = answer.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
            said.contains("invalidated")
        });
    ensure!(!acknowledged, "the write was acknowledged before the process died");
    ensure!(cached, "the entry was gone before the process died");
    site.start(API).await
}

/// The product of [`after_commit`], where the outbox makes up for the writer.
pub(super) async fn written(site: &Site) -> Result<Vec<String>> {
    let url = site.url(Service::ProductApi).await?;
    Ok(["events", "tags", "production"].map(|lane| format!("{url}/products/{lane}/1")).into())
}

/// Entries with one tag: more than one call of its drain removes.
pub(super) async fn tagged(site: &Site) -> Result<Vec<String>> {
    let url = site.url(Service::ProductApi).await?;
    let ids = site.sql("shop_db", "SELECT id FROM products WHERE category_id = 1 ORDER BY id LIMIT 2000").await?;
    let both = |id| ["tags", "production"].map(|lane| format!("{url}/products/{lane}/{id}"));
    Ok(ids.lines().flat_map(both).collect())
}

/// Reads these, so that they are in a cache.
pub(super) async fn fill(urls: &[String]) -> Result<()> {
    let http = client()?;
    let reads = stream::iter(urls.iter().map(|url| http.get(url).send())).buffer_unordered(8);
    reads.try_for_each(|answer| std::future::ready(answer.error_for_status().map(drop))).await?;
    Ok(())
}

/// An invalidation of a tag with many members: the process is killed when some are gone and some are not.
pub(super) async fn in_a_drain(site: &Site) -> Result<()> {
    const DRAINED: &str = "product:~drain:category:1";
    let wires = site.wires().context("there are no wires here")?;
    let (http, url) = (client()?, site.url(Service::ProductApi).await?);
    let Site::Private(world) = site else { bail!("it takes private processes") };
    let mut redis = BufReader::new(TcpStream::connect(("127.0.0.1", world.redis.port())).await?);
    let mut left = async || -> Result<u64> {
        redis.get_mut().write_all(format!("SCARD {DRAINED}\r\n").as_bytes()).await?;
        let mut reply = String::new();
        redis.read_line(&mut reply).await?;
        Ok(reply.trim().trim_start_matches(':').parse()?)
    };
    // Late enough that the drain takes a while, not so late that Redis counts as down.
    wires.redis.delay(Duration::from_millis(8));
    let name = format!("Shelf {}", rand::random::<u32>());
    let renaming = tokio::spawn(http.put(format!("{url}/categories/1")).json(&json!({ "name": name })).send());
    let drains = until(async || Ok(left().await? > 0)).await;
    site.kill(API).await?;
    wires.redis.delay(Duration::ZERO);
    let left = left().await?;
    drop(renaming.await?);
    drains.context("no drain was seen")?;
    ensure!(left > 0, "the drain was over before the process died");
    site.start(API).await
}

fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().timeout(PATIENCE).build()?)
}

async fn until(mut done: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !done().await? {
        ensure!(began.elapsed() < PATIENCE, "it took longer than {PATIENCE:?}");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
