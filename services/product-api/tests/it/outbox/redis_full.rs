//! Redis is full: events are appended nevertheless.

use crate::support::started;

/// Redis can evict nothing, as when data without a TTL fill it.
#[tokio::test]
async fn events_are_appended_while_redis_has_no_memory_left() {
    let (stores, _api) = started().await;
    stores.until_published().await;
    stores.redis(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    stores.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let before: u64 = stores.redis(&["XLEN", "product:events"]).await.parse().expect("a number");
    for stock in [51, 52, 53] {
        stores.sql(&format!("UPDATE products SET stock = {stock} WHERE id = 1")).await;
        stores.until_published().await;
    }
    let after: u64 = stores.redis(&["XLEN", "product:events"]).await.parse().expect("a number");
    assert_eq!(after, before + 3);
}

/// Reads of unknown ids leave no tag set, and a creation removes the entries that they have left.
#[tokio::test]
async fn reads_of_unknown_ids_leave_no_tag_sets() {
    let (stores, api) = started().await;
    let bookkeeping = async || stores.redis(&["EVAL", "return #redis.call('KEYS', 'product:~*')", "0"]).await;
    api.get("/products/production/9001").await.problem(404, "not-found");
    let before = bookkeeping().await;
    for id in 9_001..9_050 {
        for path in ["tags", "production", "explicit", "events", "by-category"] {
            api.get(&format!("/products/{path}/{id}")).await.problem(404, "not-found");
        }
    }
    assert_eq!(bookkeeping().await, before);
    // Again, because its entry may have expired since.
    api.get("/products/by-category/9001").await.problem(404, "not-found");
    assert!(stores.has_entry("product:by-category:9001").await, "that there is none is remembered");
    stores.sql("INSERT INTO categories (id, name) VALUES (9001, 'New')").await;
    stores.until_published().await;
    assert_eq!(api.get("/products/by-category/9001").await.expect(200).json()["category"]["name"], "New");
    assert_ne!(bookkeeping().await, before, "the entry of a category that exists has tag sets");
}
