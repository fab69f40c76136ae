//! A writer has committed and is killed before Redis acknowledges its invalidation: the outbox records the writer, and
//! the relay repeats the invalidation for that writer's cache.

use serde_json::json;
use testkit::{Proxy, eventually};

use crate::support::{Api, FRESH, SOON, Stores, TestResponse, started_and_published};

/// A writer whose commands can be kept from Redis permanently: commands that wait in the proxy when it is cut never
/// arrive.
struct Victim {
    stores: Stores,
    wire: Proxy,
    api: Api,
}

impl Victim {
    async fn start() -> Self {
        let stores = Stores::start().await;
        let wire = Proxy::to(stores.redis.port()).await.expect("a wire");
        let url = stores.redis.url_of("product-api");
        let url = url.replace(&format!(":{}", stores.redis.port()), &format!(":{}", wire.port()));
        // Short, because the writer waits for each of its commands in vain.
        let settings = [("REDIS__URL", url.as_str()), ("REDIS__COMMAND_TIMEOUT", "300ms")];
        let api = stores.api_with(&settings).await;
        stores.until_published().await;
        Self { stores, wire, api }
    }

    /// Reads each path until it is a hit.
    async fn fill(&self, paths: &[String]) {
        for path in paths {
            eventually(&format!("{path} in the cache"), SOON, async || {
                let answer = self.api.get(path).await;
                answer.source() == "hit" || (answer.status == 404 && answer.source().starts_with("hit"))
            })
            .await;
        }
    }

    /// From now on Redis receives no command of this process.
    fn stall(&self) {
        self.wire.hold_requests();
    }

    /// `kill -9`; the commands that it has sent are lost. Another process starts, and applies what the dead one has
    /// left.
    async fn replace(self) -> (Stores, Api) {
        drop(self.api);
        self.wire.cut();
        let api = self.stores.api().await;
        self.stores.until_published().await;
        (self.stores, api)
    }
}

fn deferred(written: &TestResponse) {
    assert_eq!(written.source(), "fwd=method; detail=deferred", "Redis was to hear nothing of it");
}

#[tokio::test]
async fn deferred_update_is_invalidated_after_the_death_of_its_writer() {
    let victim = Victim::start().await;
    let paths: Vec<String> = FRESH.iter().zip(1..).map(|(lane, id)| format!("/products/{lane}/{id}")).collect();
    victim.fill(&paths).await;
    victim.stall();
    for path in &paths {
        // Twice, because the last version counts.
        for stock in [7001, 7002] {
            deferred(&victim.api.put(path, &json!({ "stock": stock })).await.expect(200));
        }
    }
    for (lane, id) in FRESH.iter().zip(1..) {
        assert!(victim.stores.has_entry(&format!("product:{lane}:{id}")).await, "{lane}: there is nothing to repeat");
    }
    let (_stores, api) = victim.replace().await;
    for path in &paths {
        let read = api.get(path).await.expect(200);
        assert_eq!(read.json()["stock"], 7002, "{path}: {}", read.source());
    }
}

#[tokio::test]
async fn deferred_delete_and_create_are_invalidated_after_their_writer_dies() {
    let victim = Victim::start().await;
    // The next id that the database assigns: there is no other writer.
    let next: i64 = victim.stores.sql("SELECT max(id) + 1 FROM products").await.parse().expect("an id");
    let made = json!({ "name": "A thing", "price_cents": 100, "category_id": 1 });
    let probe = victim.api.post("/products", &made).await.expect(201).json()["id"].as_i64().expect("an id");
    assert!(probe >= next);
    victim.stores.until_published().await;
    let mut paths = vec!["/products/explicit/1".to_owned()];
    paths.extend(FRESH.iter().map(|lane| format!("/products/{lane}/{}", probe + 1)));
    victim.fill(&paths).await;
    victim.stall();
    deferred(&victim.api.delete("/products/explicit/1").await.expect(204));
    let created = victim.api.post("/products", &made).await.expect(201);
    assert_eq!(created.json()["id"], probe + 1);
    deferred(&created);
    let (_stores, api) = victim.replace().await;
    api.get("/products/explicit/1").await.problem(404, "not-found");
    for path in &paths[1..] {
        api.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn deferred_category_change_is_invalidated_after_the_death_of_its_writer() {
    let victim = Victim::start().await;
    let category = victim.stores.sql("SELECT category_id FROM products WHERE id = 1").await;
    let mut paths: Vec<String> = FRESH.iter().map(|lane| format!("/products/{lane}/1")).collect();
    paths.push(format!("/products/by-category/{category}"));
    victim.fill(&paths).await;
    victim.stall();
    deferred(&victim.api.put(&format!("/categories/{category}"), &json!({ "name": "Renamed" })).await.expect(200));
    let (_stores, api) = victim.replace().await;
    for path in &paths {
        let read = api.get(path).await.expect(200);
        assert_eq!(read.json()["category"]["name"], "Renamed", "{path}: {}", read.source());
    }
}

/// The writer need not die: the relay of any process makes the invalidation as soon as the change is committed.
#[tokio::test]
async fn deferred_invalidation_of_one_process_is_done_by_the_relay_of_another() {
    let victim = Victim::start().await;
    let peer = victim.stores.api().await;
    let paths: Vec<String> = FRESH.iter().zip(1..).map(|(lane, id)| format!("/products/{lane}/{id}")).collect();
    victim.fill(&paths).await;
    victim.stall();
    for path in &paths {
        deferred(&victim.api.put(path, &json!({ "stock": 7001 })).await.expect(200));
    }
    victim.stores.until_published().await;
    for path in &paths {
        let read = peer.get(path).await.expect(200);
        assert_eq!(read.json()["stock"], 7001, "{path}: {}", read.source());
    }
}

/// The relay meets the writer's lease, or the value that the writer has already stored, and keeps both.
#[tokio::test]
async fn stored_value_of_write_through_survives_the_relay() {
    let (stores, api) = started_and_published().await;
    for stock in 0..40 {
        let written = api.put("/products/writethrough/1", &json!({ "stock": stock })).await.expect(200);
        assert_eq!(written.source(), "fwd=method; detail=stored");
        if stock % 2 == 0 {
            stores.until_published().await;
        }
        let read = api.get("/products/writethrough/1").await.expect(200);
        assert_eq!((read.version(), read.source()), (written.version(), "hit"));
    }
}

/// The relay also keeps what a reader has loaded after the writer's own invalidation.
#[tokio::test]
async fn value_loaded_after_an_explicit_write_survives_the_relay() {
    let (stores, api) = started_and_published().await;
    for stock in 0..20 {
        let written = api.put("/products/explicit/1", &json!({ "stock": stock })).await.expect(200);
        assert_eq!(written.source(), "fwd=method; detail=invalidated");
        api.get("/products/explicit/1").await.expect(200);
        stores.until_published().await;
        let read = api.get("/products/explicit/1").await.expect(200);
        assert_eq!((read.version(), read.source()), (written.version(), "hit"));
    }
}

#[tokio::test]
async fn relay_keeps_the_entries_of_other_writers() {
    let stores = Stores::start().await;
    // No entry expires or is refreshed during this test.
    let settings = ["LANES__TTL__HARD_TTL", "LANES__SWR__SOFT_TTL", "LANES__SWR__HARD_TTL"].map(|name| (name, "1h"));
    let api = stores.api_with(&settings).await;
    stores.until_published().await;
    let lanes = ["ttl", "swr", "explicit", "writethrough"];
    for (id, (writer, own)) in (1..).zip([
        ("/products/explicit/", "explicit"),
        ("/products/writethrough/", "writethrough"),
        ("/products/", ""),
    ]) {
        for lane in lanes {
            api.get(&format!("/products/{lane}/{id}")).await.expect(200);
        }
        let written = api.put(&format!("{writer}{id}"), &json!({ "stock": 8001 })).await.expect(200).version();
        stores.until_published().await;
        for lane in lanes.into_iter().filter(|lane| *lane != own) {
            let cached = api.cached_version(&format!("product:{lane}:{id}")).await;
            assert_eq!(cached, Some(written - 1), "{lane}, after a write of {writer}{id}");
        }
    }
}
