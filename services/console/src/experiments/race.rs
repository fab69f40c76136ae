//! Repeats the stale-fill race, and counts the entries that are still stale when all traffic has ended.

use anyhow::{Context, Result};
use client::race;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::Experiments;
use super::naive::NaiveProduct;
use crate::record::TaskState;

const READERS: usize = 8;
const WRITES: u32 = 6;
/// The strategies that promise that none is left. `events` needs a moment, and the others need their TTL.
const STRATEGIES: [&str; 4] = ["explicit", "writethrough", "tags", "production"];
const NAIVE: &str = "naive cache-aside";
/// The first of the products that are raced for. The board and the load use others.
const FIRST: i64 = 901;
/// As many are used in turn.
const PRODUCTS: u32 = 90;

pub(super) async fn run(experiments: Experiments, trials: u32) -> Result<Value> {
    let mut names = STRATEGIES.to_vec();
    names.extend(experiments.redis.is_known().then_some(NAIVE));
    let total = f64::from(trials) * names.len() as f64;
    let (mut rows, mut done) = (Vec::new(), 0.0);
    for name in names {
        let mut stale = 0;
        for number in 0..trials {
            let product = RacedProduct::new(&experiments, name, FIRST + i64::from(number % PRODUCTS));
            stale += u32::from(trial(&product).await?);
            done += 1.0;
            experiments.report("race", TaskState::Running, done / total, None, None);
        }
        rows.push(json!({ "name": name, "stale": stale }));
    }
    Ok(json!({ "trials": trials, "readers": READERS, "writes": WRITES, "rows": rows }))
}

/// Runs one trial, and returns whether the entry is stale when all traffic has ended.
async fn trial(product: &RacedProduct<'_>) -> Result<bool> {
    product.remove().await?;
    let stock = || rand::random_range(1..100_000);
    let stale = race::trial(READERS, |_| product.read(), WRITES, || product.write(stock())).await?;
    if let RacedProduct::Naive(naive) = product {
        naive.remove().await?;
    }
    Ok(stale.is_some())
}

/// A product, read and written through a strategy or through a naive cache.
enum RacedProduct<'e> {
    Ours { experiments: &'e Experiments, strategy: &'e str, id: i64 },
    Naive(NaiveProduct<'e>),
}

impl<'e> RacedProduct<'e> {
    fn new(experiments: &'e Experiments, name: &'e str, id: i64) -> Self {
        match name {
            NAIVE => Self::Naive(NaiveProduct::new(experiments, id)),
            strategy => Self::Ours { experiments, strategy, id },
        }
    }

    async fn remove(&self) -> Result<()> {
        match self {
            Self::Ours { experiments, strategy, id } => experiments.remove(&format!("product:{strategy}:{id}")).await,
            Self::Naive(naive) => naive.remove().await,
        }
    }

    /// Returns the version that a reader gets.
    async fn read(&self) -> Result<u64> {
        match self {
            Self::Ours { experiments, strategy, id } => {
                let url = format!("{}/products/{strategy}/{id}", experiments.upstreams.product_api().url);
                version(experiments.upstreams.client().get(url)).await
            }
            Self::Naive(naive) => Ok(naive.read().await?.0),
        }
    }

    /// Writes, and returns the new version.
    async fn write(&self, stock: u32) -> Result<u64> {
        match self {
            Self::Ours { experiments, strategy, id } => {
                let url = format!("{}/products/{strategy}/{id}", experiments.upstreams.product_api().url);
                version(experiments.upstreams.client().put(url).json(&json!({ "stock": stock }))).await
            }
            Self::Naive(naive) => naive.write(stock).await,
        }
    }
}

async fn version(request: RequestBuilder) -> Result<u64> {
    let product: Value = request.send().await?.error_for_status()?.json().await?;
    product["version"].as_u64().context("the product has no version")
}
