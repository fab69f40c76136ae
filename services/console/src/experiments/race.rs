//! The stale-fill race: a missing entry, readers and a writer without pauses, then no traffic. It counts the entries
//! that are still stale when all traffic has ended.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::Experiments;
use super::naive::NaiveProduct;
use crate::record::TaskState;

const READERS: usize = 8;
const WRITES: u32 = 6;
/// The strategies that promise that none is left. `events` needs a moment, and the others need their TTL.
const STRATEGIES: [&str; 4] = ["explicit", "writethrough", "tags", "production"];
/// The first of the products that are raced for. The board and the load use others.
const FIRST: i64 = 901;
/// As many are used in turn.
const PRODUCTS: u32 = 90;

pub(super) async fn run(experiments: Experiments, trials: u32) -> Result<Value> {
    let has_naive = experiments.redis.is_known();
    let total = f64::from(trials) * (STRATEGIES.len() + usize::from(has_naive)) as f64;
    let (mut rows, mut done) = (Vec::new(), 0.0);
    for strategy in STRATEGIES {
        let mut stale = 0;
        for trial in 0..trials {
            stale += u32::from(one(&experiments, strategy, id(trial)).await?);
            done += 1.0;
            experiments.report("race", TaskState::Running, done / total, None, None);
        }
        rows.push(json!({ "name": strategy, "stale": stale }));
    }
    if has_naive {
        let mut stale = 0;
        for trial in 0..trials {
            stale += u32::from(naive(&experiments, id(trial)).await?);
            done += 1.0;
            experiments.report("race", TaskState::Running, done / total, None, None);
        }
        rows.push(json!({ "name": "naive cache-aside", "stale": stale }));
    }
    Ok(json!({ "trials": trials, "readers": READERS, "writes": WRITES, "rows": rows }))
}

fn id(trial: u32) -> i64 {
    FIRST + i64::from(trial % PRODUCTS)
}

/// Runs one trial, and returns whether the entry is stale when all traffic has ended.
async fn one(experiments: &Experiments, strategy: &str, id: i64) -> Result<bool> {
    experiments.remove(&format!("product:{strategy}:{id}")).await?;
    let (client, base) = (experiments.upstreams.client(), &experiments.upstreams.product_api().url);
    let url = format!("{base}/products/{strategy}/{id}");
    let writing = AtomicBool::new(true);
    let version = async |request: reqwest::RequestBuilder| -> Result<i64> {
        let product: Value = request.send().await?.error_for_status()?.json().await?;
        product["version"].as_i64().context("a product has a version")
    };
    let reads = (0..READERS).map(async |_| {
        while writing.load(SeqCst) {
            version(client.get(&url)).await?;
        }
        anyhow::Ok(())
    });
    let writes = async {
        let mut last = 0;
        for _ in 0..WRITES {
            last = version(client.put(&url).json(&json!({ "stock": rand::random_range(1..100_000) }))).await?;
        }
        writing.store(false, SeqCst);
        anyhow::Ok(last)
    };
    let (_, last) = futures_util::try_join!(try_join_all(reads), writes)?;
    Ok(version(client.get(&url)).await? < last)
}

async fn naive(experiments: &Experiments, id: i64) -> Result<bool> {
    let product = NaiveProduct::new(experiments, id);
    product.remove().await?;
    let writing = AtomicBool::new(true);
    let reads = (0..READERS).map(async |_| {
        while writing.load(SeqCst) {
            product.read().await?;
        }
        anyhow::Ok(())
    });
    let writes = async {
        let mut last = 0;
        for _ in 0..WRITES {
            last = product.write(rand::random_range(1..100_000)).await?;
        }
        writing.store(false, SeqCst);
        anyhow::Ok(last)
    };
    let (_, last) = futures_util::try_join!(try_join_all(reads), writes)?;
    let (shown, _) = product.read().await?;
    product.remove().await?;
    Ok(shown < last)
}
