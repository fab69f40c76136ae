//! One product under one strategy: a demo reads it, writes it and inspects its entry.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};
use client::Entry;
use client::times::Times;
use serde_json::{Value, json};

use crate::product_api::{Answer, Product, ProductApiClient};

/// A product that is read and written through one strategy. Cheap to clone; clones share their count of writes.
#[derive(Clone, Debug)]
pub(crate) struct DemoProduct {
    pub shop: ProductApiClient,
    /// The product as it was before the demo.
    pub product: Arc<Product>,
    strategy: &'static str,
    writes: Arc<AtomicI64>,
}

impl DemoProduct {
    /// Creates a handle for `product`, read and written through `strategy`.
    pub(crate) fn new(shop: &ProductApiClient, strategy: &'static str, product: Product) -> Self {
        Self { shop: shop.clone(), product: Arc::new(product), strategy, writes: Arc::default() }
    }

    /// Returns the same product, read and written through another process of the service.
    pub(crate) fn through(&self, shop: &ProductApiClient) -> Self {
        Self { shop: shop.clone(), ..self.clone() }
    }

    pub(crate) fn key(&self) -> String {
        format!("product:{}:{}", self.strategy, self.product.id)
    }

    /// Returns the path of the product under its strategy.
    pub(crate) fn path(&self) -> String {
        format!("/products/{}/{}", self.strategy, self.product.id)
    }

    pub(crate) async fn read(&self) -> Result<Answer> {
        self.shop.read(&self.path()).await
    }

    /// Writes the product: raises its price by one more cent.
    pub(crate) async fn write(&self) -> Result<Answer> {
        self.put(&self.path()).await
    }

    /// Writes the product through the plain catalogue, which bypasses the strategy, as another program would.
    pub(crate) async fn write_past_the_strategy(&self) -> Result<Answer> {
        self.put(&format!("/products/{}", self.product.id)).await
    }

    pub(crate) async fn entry(&self) -> Result<Option<Entry>> {
        self.shop.entry(&self.key()).await
    }

    /// Reads until there is an entry that stays fresh for another `life`.
    pub(crate) async fn warm(&self, life: Duration) -> Result<(Answer, Entry)> {
        self.shop.warm(&self.path(), &self.key(), life).await
    }

    /// Returns the row's version in the database.
    pub(crate) async fn truth(&self) -> Result<u64> {
        let row = self.shop.read(&format!("/products/{}", self.product.id)).await?;
        row.version.context("a product without a version")
    }

    /// Returns the times of `count` reads, one after the other.
    pub(crate) async fn reads(&self, count: usize) -> Result<Times> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(self.read().await?.ms);
        }
        Ok(times.into_iter().collect())
    }

    /// Returns the change that restores the original price.
    pub(crate) fn original(&self) -> Value {
        json!({"price_cents": self.product.price_cents})
    }

    async fn put(&self, path: &str) -> Result<Answer> {
        // Each write sets a different price, because a write that changes nothing makes no new version.
        let cents = self.product.price_cents + 1 + self.writes.fetch_add(1, Relaxed);
        self.shop.put(path, &json!({"price_cents": cents})).await
    }
}

impl fmt::Display for DemoProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Product { id, name, price_cents, category } = &*self.product;
        write!(f, "product {id}, {name}, {}.{:02}, in {}", price_cents / 100, price_cents % 100, category.name)
    }
}
