//! The stampede: many readers ask for one missing entry at the same time. Single-flight lets one of them load it.

use std::time::Instant;

use anyhow::{Context, Result};
use client::Source;
use client::times::millis;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Experiments;
use super::naive::NaiveProduct;

/// The product that is read. The board, the race and the load use others.
const PRODUCT: i64 = 995;
/// The strategy with every protection.
const STRATEGY: &str = "production";

pub(super) async fn run(experiments: Experiments, readers: usize) -> Result<Value> {
    let mut rows = vec![ours(&experiments, readers).await?];
    if experiments.redis.is_known() {
        rows.push(naive(&experiments, readers).await?);
    }
    Ok(json!({ "rows": rows }))
}

async fn ours(experiments: &Experiments, readers: usize) -> Result<Value> {
    let url = format!("{}/products/{STRATEGY}/{PRODUCT}", experiments.upstreams.product_api().url);
    // Connections first: they would spread the requests.
    join_all((0..readers).map(|_| experiments.upstreams.client().get(&url).send())).await;
    experiments.remove(&format!("product:{STRATEGY}:{PRODUCT}")).await?;
    let reads = (0..readers).map(async |_| {
        let began = Instant::now();
        let answer = experiments.upstreams.client().get(&url).send().await?.error_for_status()?;
        let source = Source::parse(client::cache_status(answer.headers()));
        answer.bytes().await?;
        anyhow::Ok((matches!(source, Source::Miss | Source::Bypass), millis(began.elapsed())))
    });
    row(STRATEGY, join_all(reads).await)
}

async fn naive(experiments: &Experiments, readers: usize) -> Result<Value> {
    let product = NaiveProduct::new(experiments, PRODUCT);
    product.remove().await?;
    let reads = (0..readers).map(async |_| {
        let began = Instant::now();
        let (_, was_loaded) = product.read().await?;
        anyhow::Ok((was_loaded, millis(began.elapsed())))
    });
    let reads = join_all(reads).await;
    product.remove().await?;
    row("naive cache-aside", reads)
}

fn row(name: &str, reads: Vec<Result<(bool, f64)>>) -> Result<Value> {
    let failed = reads.iter().filter(|read| read.is_err()).count();
    let mut answered: Vec<(bool, f64)> = reads.into_iter().flatten().collect();
    answered.sort_by(|one, other| one.1.total_cmp(&other.1));
    let loads = answered.iter().filter(|(was_loaded, _)| *was_loaded).count();
    let slowest =
        answered.get(answered.len().saturating_sub(1 + answered.len() / 100)).context("no read was answered")?;
    Ok(json!({ "name": name, "readers": answered.len(), "failed": failed, "loads": loads, "p99_ms": slowest.1 }))
}
