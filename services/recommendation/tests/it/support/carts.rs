//! Carts that exist as events only.

use serde_json::{Value, json};
use testkit::Redis;
use uuid::Uuid;

/// Appends events to the stream of carts, as the cart's relay does.
pub(crate) struct Carts<'a> {
    redis: &'a Redis,
    seq: u64,
}

impl<'a> Carts<'a> {
    /// A stream of which nothing is there.
    pub(crate) fn new(redis: &'a Redis) -> Self {
        Self { redis, seq: 0 }
    }

    /// A new cart that holds these.
    pub(crate) async fn with(&mut self, products: &[i64]) -> Uuid {
        let cart = Uuid::new_v4();
        for product in products {
            self.line(cart, *product, 1, 1).await;
        }
        cart
    }

    /// So many carts that hold these.
    pub(crate) async fn many(&mut self, count: usize, products: &[i64]) {
        for _ in 0..count {
            self.with(products).await;
        }
    }

    /// A line is so; returns the number of the event.
    pub(crate) async fn line(&mut self, cart: Uuid, product: i64, quantity: i32, version: i64) -> u64 {
        let kind = if quantity > 0 { "cart.item_added" } else { "cart.item_removed" };
        let seq = self.seq + 1;
        let event = json!({
            "event_id": Uuid::new_v4(), "seq": seq, "schema": 1, "type": kind, "occurred_at": "2026-11-23T10:00:00Z",
            "cart_id": cart, "product_id": product, "quantity": quantity, "version": version,
        });
        self.append(&event).await
    }

    /// Anything, with the next number.
    pub(crate) async fn append(&mut self, event: &Value) -> u64 {
        self.seq += 1;
        let text = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        let entry = format!("{}-0", self.seq);
        self.redis.cli(&["XADD", "cart:events", &entry, "event", &text]).await.expect("it is appended");
        self.seq
    }

    /// The number of the last one.
    pub(crate) fn last(&self) -> u64 {
        self.seq
    }
}
