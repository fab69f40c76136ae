//! Naive cache-aside, as most programs write it, over the same stores: the contrast.
//!
//! ```text
//! read    GET key ─ nothing: SELECT ─ SET key, with a TTL
//! write   UPDATE ─ DEL key
//! ```
//!
//! A reader that has loaded the old value before the UPDATE may SET it after the DEL. Then the entry stays stale until
//! its TTL ends.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Experiments;

/// The TTL in seconds. A trial is shorter.
const TTL: &str = "60";

/// A product in a naive cache.
pub(super) struct NaiveProduct<'e> {
    experiments: &'e Experiments,
    key: String,
    url: String,
}

impl<'e> NaiveProduct<'e> {
    pub(super) fn new(experiments: &'e Experiments, id: i64) -> Self {
        let url = format!("{}/products/{id}", experiments.upstreams.product_api().url);
        Self { experiments, key: format!("console:naive:{id}"), url }
    }

    /// Returns the version, and whether it was loaded.
    pub(super) async fn read(&self) -> Result<(u64, bool)> {
        let redis = &self.experiments.redis;
        if let Some(entry) = redis.run(&["GET", &self.key]).await?.into_string() {
            return Ok((version(&serde_json::from_str(&entry)?)?, false));
        }
        let loaded: Value =
            self.experiments.upstreams.client().get(&self.url).send().await?.error_for_status()?.json().await?;
        redis.run(&["SET", &self.key, &loaded.to_string(), "EX", TTL]).await?;
        Ok((version(&loaded)?, true))
    }

    /// Writes, and returns the new version.
    pub(super) async fn write(&self, stock: u32) -> Result<u64> {
        let request = self.experiments.upstreams.client().put(&self.url).json(&json!({ "stock": stock }));
        let written: Value = request.send().await?.error_for_status()?.json().await?;
        self.remove().await?;
        version(&written)
    }

    pub(super) async fn remove(&self) -> Result<()> {
        self.experiments.redis.run(&["DEL", &self.key]).await?;
        Ok(())
    }
}

fn version(product: &Value) -> Result<u64> {
    product["version"].as_u64().context("the product has no version")
}
