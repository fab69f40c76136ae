//! The full comparison: every entry of every cache must equal what a load would return now.
//!
//! Every entry is looked up and read through the address that shows it. Then the caches are emptied, and everything is
//! read again: products of each cache, lists, carts, search pages, recommendations, and "not found" entries. The cart's
//! data about a product has no address of its own; its version is compared with that of the row.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use client::{Entry, Source, cache_status};
use contract::cart_reference;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::Value;
use testkit::private_system::Service;
use tokio::time::sleep;

use super::access::System;
use super::entries;

/// The result of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Responses that were compared.
    pub(crate) compared: u32,
    /// How many of them came from the cache of each service, in the order of [`Service::ALL`].
    pub(crate) hits: [u32; 4],
    /// How many of these said that the object does not exist.
    pub(crate) absent: u32,
    /// The differences.
    pub(crate) wrong: Vec<String>,
}

/// A response that bypassed the cache does not say what the cache holds. The read is repeated, for at most this time in
/// total.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Number of concurrent reads.
const AT_ONCE: usize = 8;

/// Compares these addresses, and every entry except those whose key `may_differ`. The products have these versions.
pub(crate) async fn compare(
    system: &impl System, http: &Client, versions: &BTreeMap<i64, i64>, more: &[String],
    may_differ: impl Fn(&str) -> bool,
) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    let mut urls: BTreeSet<String> = more.iter().cloned().collect();
    let mut bases = Vec::new();
    let carts = carts(system).await?;
    for service in Service::ALL {
        let base = system.url(service).await?;
        for entry in Entry::all(http, &base).await? {
            if entry.state == "leased" || may_differ(&entry.key) {
                continue;
            }
            match (entries::path(&entry.key, &carts), entry.key.strip_prefix("cart:product:")) {
                (Some(path), _) => drop(urls.insert(format!("{base}{path}"))),
                (None, Some(id)) => {
                    comparison.wrong.extend(differs(&entry, versions.get(&id.parse::<i64>()?).copied()))
                }
                (None, None) => comparison.wrong.push(format!("an entry that nothing reads: {}", entry.key)),
            }
        }
        bases.push(base);
    }
    let deadline = Instant::now() + ASK_AGAIN;
    let patiently = stream::iter(&urls).map(|url| read_patiently(http, url, deadline));
    let cached: Vec<_> = patiently.buffered(AT_ONCE).try_collect().await?;
    for service in Service::ALL {
        entries::forget(system, service).await?;
    }
    let loaded: Vec<_> = stream::iter(&urls).map(|url| read(http, url)).buffered(AT_ONCE).try_collect().await?;
    for ((url, cached), loaded) in urls.iter().zip(cached).zip(loaded) {
        let from = bases.iter().position(|base| url.starts_with(base)).context("an address of no service")?;
        let hit = matches!(cached.source, Source::Hit | Source::Stale);
        comparison.compared += 1;
        comparison.hits[from] += u32::from(hit);
        comparison.absent += u32::from(hit && cached.status == 404);
        if (cached.status, &cached.body) != (loaded.status, &loaded.body) {
            comparison.wrong.push(format!(
                "{url}\n    from its cache  {} {}\n    loaded          {} {}",
                cached.status, cached.body, loaded.status, loaded.body
            ));
        }
    }
    Ok(comparison)
}

/// Returns the ids of all carts, by the references that are used in keys.
async fn carts(system: &impl System) -> Result<HashMap<String, String>> {
    let rows = system.sql("cart_db", "SELECT id FROM carts").await?;
    rows.lines().map(|id| Ok((cart_reference(id.parse()?).to_string(), id.to_owned()))).collect()
}

/// Returns the difference between the cart's data about a product and its row.
fn differs(entry: &Entry, row: Option<i64>) -> Option<String> {
    let version = entry.version.and_then(|version| i64::try_from(version).ok());
    (version != row).then(|| format!("{}: version {version:?}, and the row has {row:?}", entry.key))
}

#[derive(Debug)]
struct Seen {
    status: u16,
    source: Source,
    body: Value,
}

async fn read_patiently(http: &Client, url: &str, deadline: Instant) -> Result<Seen> {
    loop {
        let seen = read(http, url).await?;
        if seen.source != Source::Bypass || Instant::now() > deadline {
            return Ok(seen);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn read(http: &Client, url: &str) -> Result<Seen> {
    let answer = http.get(url).send().await?;
    let status = answer.status().as_u16();
    let source = Source::parse(cache_status(answer.headers()));
    let mut body: Value = answer.json().await.with_context(|| format!("{url} is not JSON"))?;
    // The progress of the index, of the catalogue's copy and of the cart events is not part of the compared content.
    if let Some(body) = body.as_object_mut() {
        body.remove("index");
        body.remove("catalogue");
        body.remove("baskets");
    }
    Ok(Seen { status, source, body })
}
