//! The behaviour of each strategy, in a file with the name of the strategy.

mod events;
mod explicit;
mod production;
mod swr;
mod tags;
mod ttl;
mod write_guard;
mod writethrough;

use serde_json::json;
use testkit::eventually;

use crate::support::{FRESH, SOON, STRATEGIES, Stores, started};

#[tokio::test]
async fn a_first_read_is_a_miss_and_the_second_a_hit_with_the_same_bytes() {
    let (stores, api) = started().await;
    api.until_subscribed().await;
    for strategy in STRATEGIES {
        let path = format!("/products/{strategy}/1");
        let miss = api.get(&path).await.expect(200);
        let hit = api.get(&path).await.expect(200);
        assert_eq!((miss.source(), hit.source()), ("fwd=miss; stored", "hit"), "{strategy}");
        assert_eq!((miss.body.as_slice(), miss.header("content-type")), (hit.body.as_slice(), "application/json"));
        let truth = api.get("/products/1").await.expect(200);
        assert_eq!(hit.json(), truth.json(), "{strategy}");
        assert!(stores.has_entry(&format!("product:{strategy}:1")).await);
    }
}

/// Three processes: one writes, one has the entry, one has never read the product.
#[tokio::test]
async fn a_write_in_one_process_is_seen_at_once_in_every_other() {
    let stores = Stores::start().await;
    let apis = tokio::join!(stores.api(), stores.api(), stores.api());
    let apis = [apis.0, apis.1, apis.2];
    for &strategy in FRESH.iter() {
        let path = format!("/products/{strategy}/2");
        for round in 0..6 {
            apis[1].get(&path).await.expect(200);
            let written = apis[round % 2].put(&path, &json!({ "stock": round })).await.expect(200).version();
            for api in &apis {
                assert_eq!(api.get(&path).await.expect(200).version(), written, "{strategy} {round}");
            }
        }
    }
}

/// A write through one strategy keeps the entries of the others, except of those that depend on events: these follow.
#[tokio::test]
async fn each_strategy_has_entries_of_its_own() {
    let stores = Stores::start().await;
    let lasting = [("LANES__TTL__HARD_TTL", "1h"), ("LANES__SWR__SOFT_TTL", "1h"), ("LANES__SWR__HARD_TTL", "1h")];
    let api = stores.api_with(&lasting).await;
    stores.until_published().await;
    for strategy in STRATEGIES {
        api.get(&format!("/products/{strategy}/3")).await.expect(200);
    }
    let written = api.put("/products/explicit/3", &json!({ "stock": 7 })).await.expect(200).version();
    let version = async |strategy| api.get(&format!("/products/{strategy}/3")).await.expect(200).version();
    assert_eq!(version("explicit").await, written);
    for strategy in ["events", "tags", "production"] {
        eventually(strategy, SOON, async || version(strategy).await == written).await;
    }
    for strategy in ["ttl", "writethrough", "swr"] {
        assert_eq!(version(strategy).await, written - 1, "{strategy}");
    }
}

/// "No such product" is cached, and removed by the writer that creates the product.
#[tokio::test]
async fn absent_product_is_cached_as_absent_until_its_creation() {
    let (stores, api) = started().await;
    let other = stores.api().await;
    api.until_subscribed().await;
    other.until_subscribed().await;
    let next: i64 = stores.sql("SELECT last_value + 1 FROM products_id_seq").await.parse().expect("a number");
    for strategy in STRATEGIES {
        let path = format!("/products/{strategy}/{next}");
        let miss = api.get(&path).await;
        miss.problem(404, "not-found");
        let hit = other.get(&path).await;
        hit.problem(404, "not-found");
        assert_eq!((miss.source(), hit.source()), ("fwd=miss; stored", "hit"), "{strategy}");
    }
    let new = json!({ "name": "New", "price_cents": 100, "category_id": 1 });
    let created = api.post("/products", &new).await.expect(201);
    assert_eq!(created.json()["id"], next);
    assert_eq!(created.header("location"), format!("/products/{next}"));
    for strategy in STRATEGIES {
        for api in [&other, &api] {
            let read = api.get(&format!("/products/{strategy}/{next}")).await.expect(200);
            assert_eq!((&read.json()["name"], read.version()), (&json!("New"), 1), "{strategy}");
        }
    }
}

/// A refused write must not remove the entry, nor leave a lease that other readers wait for.
#[tokio::test]
async fn a_refused_write_leaves_entry_and_readers_alone() {
    let (_stores, api) = started().await;
    for strategy in STRATEGIES {
        let path = format!("/products/{strategy}/4");
        let before = api.get(&path).await.expect(200).version();
        api.put(&path, &json!({ "category_id": 999_999 })).await.problem(422, "invalid-fields");
        let after = api.get(&path).await.expect(200);
        assert_eq!(after.version(), before, "{strategy}");
        // Readers would wait for a lease without an owner, and then bypass the cache.
        assert!(!after.source().contains("lease-held"), "{strategy}: {}", after.source());
    }
}
