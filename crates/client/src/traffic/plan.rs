//! What is read and written, in which order and at which rate.

use std::time::Duration;

/// A range of products that is read and written: `first..first + count` under one path.
#[derive(Clone, Debug)]
pub struct ProductRange {
    /// Its name in reports.
    pub name: String,
    /// `http://127.0.0.1:8004`
    pub base: String,
    /// The path before a product's id: `/products/ttl/`.
    pub path: String,
    /// The first product.
    pub first: u64,
    /// The number of products.
    pub count: u64,
}

/// The order in which products are chosen.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// At random, some far more often than others: Zipf's law with this exponent; 0 for equal probability.
    Zipf(f64),
    /// One after the other, each once.
    Each,
}

/// The rate and the length of a load.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests per second, on average.
    pub rate: f64,
    /// The share of them that are writes.
    pub writes: f64,
    /// The order of the products.
    pub order: Order,
    /// The time during which requests come due.
    pub length: Duration,
}
