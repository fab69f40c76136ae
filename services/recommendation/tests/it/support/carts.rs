//! Carts that exist only as events.

use contract::cart_reference;
use serde_json::{Value, json};
use testkit::Redis;
use uuid::Uuid;

use super::Stores;

/// Appends events to the stream of carts, as the cart's relay does.
pub(crate) struct Carts<'a> {
    redis: &'a Redis,
    seq: u64,
}

impl<'a> Carts<'a> {
    /// Creates a writer for an empty stream.
    pub(crate) fn new(redis: &'a Redis) -> Self {
        Self::after(redis, 0)
    }

    /// Creates a writer for a stream whose last event has this number.
    pub(crate) fn after(redis: &'a Redis, seq: u64) -> Self {
        Self { redis, seq }
    }

    /// Creates a writer for an empty stream, and ten carts from which the service has learned: five with the products 1
    /// and 14, five with 2 and 26.
    pub(crate) async fn learned(stores: &'a Stores) -> Self {
        let mut carts = Self::new(&stores.redis);
        carts.many(5, &[1, 14]).await;
        carts.many(5, &[2, 26]).await;
        stores.until_learned(carts.last()).await;
        carts
    }

    pub(crate) async fn with(&mut self, products: &[i64]) -> Uuid {
        let cart = Uuid::new_v4();
        for product in products {
            self.line(cart, *product, 1, 1).await;
        }
        cart
    }

    /// Creates `count` carts with these products.
    pub(crate) async fn many(&mut self, count: usize, products: &[i64]) {
        for _ in 0..count {
            self.with(products).await;
        }
    }

    /// Appends an event with the state of a line, and returns its number.
    pub(crate) async fn line(&mut self, cart: Uuid, product: i64, quantity: i32, version: i64) -> u64 {
        let event = Self::event(self.seq + 1, cart, product, quantity, version);
        self.append(&event).await
    }

    /// Appends an event for the line of a product in each of these carts. All are appended in one step, so that one
    /// reader receives all of them. Returns the number of the last event.
    pub(crate) async fn lines_at_once(&mut self, carts: &[Uuid], product: i64, quantity: i32, version: i64) -> u64 {
        let event = |(seq, cart): (u64, &Uuid)| (seq, Self::event(seq, *cart, product, quantity, version));
        let events: Vec<_> = (self.seq + 1..).zip(carts).map(event).collect();
        self.redis.append_events("cart:events", &events).await;
        self.seq += carts.len() as u64;
        self.seq
    }

    fn event(seq: u64, cart: Uuid, product: i64, quantity: i32, version: i64) -> Value {
        let kind = if quantity > 0 { "cart.item_added" } else { "cart.item_removed" };
        json!({
            "event_id": Uuid::new_v4(), "seq": seq, "schema": 1, "type": kind, "occurred_at": "2026-11-23T10:00:00Z",
            "cart_id": cart_reference(cart), "product_id": product, "quantity": quantity, "version": version,
        })
    }

    /// Appends any text as an event with the next number.
    pub(crate) async fn append(&mut self, event: &Value) -> u64 {
        self.seq += 1;
        self.redis.append_events("cart:events", &[(self.seq, event.clone())]).await;
        self.seq
    }

    pub(crate) fn last(&self) -> u64 {
        self.seq
    }
}
