//! Carts that exist only as events.

use events::contract::cart_reference;
use serde_json::{Value, json};
use testkit::Redis;
use uuid::Uuid;

/// Appends events to the stream of carts, as the cart's relay does.
pub(crate) struct Carts<'a> {
    redis: &'a Redis,
    seq: u64,
}

impl<'a> Carts<'a> {
    /// Creates a writer for an empty stream.
    pub(crate) fn new(redis: &'a Redis) -> Self {
        Self { redis, seq: 0 }
    }

    /// Creates a cart with these products.
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
        let append = "for i = 1, #ARGV, 2 do redis.call('XADD', KEYS[1], ARGV[i], 'event', ARGV[i + 1]) end";
        let mut command = ["EVAL", append, "1", "cart:events"].map(str::to_owned).to_vec();
        for cart in carts {
            self.seq += 1;
            let event = Self::event(self.seq, *cart, product, quantity, version);
            command.extend([format!("{}-0", self.seq), event.to_string()]);
        }
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        self.redis.cli(&command).await.expect("they are appended");
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
        let text = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        let entry = format!("{}-0", self.seq);
        self.redis.cli(&["XADD", "cart:events", &entry, "event", &text]).await.expect("it is appended");
        self.seq
    }

    /// Returns the number of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.seq
    }
}
