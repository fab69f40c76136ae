//! Strategy 4: every change is published, a listener deletes the entry.

use serde_json::json;
use testkit::eventually;

use crate::support::{Api, SOON, Stores};

const KEY: &str = "product:events:1";

/// Starts a product API and waits until its listener receives events. It is ready a moment earlier, because it also
/// serves without Redis.
async fn listening(stores: &Stores) -> Api {
    let api = stores.api().await;
    let applied = async || api.metrics().await.sum("product_events_total", &[("result", "applied")]);
    let (before, mut stock) = (applied().await, 1_000);
    eventually("an event of its own", SOON, async || {
        stock += 1;
        api.put("/products/130", &json!({ "stock": stock })).await.expect(200);
        applied().await > before
    })
    .await;
    stores.until_published().await;
    api
}

/// Writes, and waits until reads are fresh again.
async fn written_and_heard(api: &Api, path: &str, stock: i64) {
    let written = api.put(path, &json!({ "stock": stock })).await.expect(200);
    assert_eq!(written.source(), "fwd=method; detail=announced");
    eventually("the delivery of the event", SOON, async || {
        api.get("/products/events/1").await.expect(200).version() == written.version()
    })
    .await;
}

#[tokio::test]
async fn listener_deletes_the_entry_after_a_change_by_any_writer() {
    let stores = Stores::start().await;
    let api = listening(&stores).await;
    let elsewhere = listening(&stores).await;
    for (writer, path) in [(&api, "/products/events/1"), (&api, "/products/1"), (&elsewhere, "/products/events/1")] {
        api.get("/products/events/1").await.expect(200);
        written_and_heard(writer, path, 1).await;
        written_and_heard(writer, path, 2).await;
    }
    eventually("the counts", SOON, async || {
        let metrics = api.metrics().await;
        metrics.sum("product_events_total", &[("result", "applied")]) > 6.0
            && metrics.sum("product_event_applied_seconds_count", &[]) > 6.0
    })
    .await;
}

#[tokio::test]
async fn event_describes_the_change_and_is_published_after_the_commit() {
    let stores = Stores::start().await;
    let api = listening(&stores).await;
    let mut heard = stores.subscribe().await;

    let moved = json!({ "stock": 3, "category_id": 2 });
    let before = api.get("/products/1").await.expect(200).json();
    let written = api.put("/products/events/1", &moved).await.expect(200).json();
    let event = heard.next().await;
    assert_eq!(event["type"], "product.updated");
    assert_eq!((&event["product_id"], &event["version"]), (&json!(1), &written["version"]));
    assert_eq!(event["category_id"], 2);
    assert_eq!(event["previous_category_id"], before["category"]["id"]);
    assert_eq!(event["changed"], json!(["stock", "category_id"]));
    assert!(event["event_id"].as_str().is_some_and(|id| id.len() == 36), "{event}");
    assert!(event["occurred_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{event}");

    let new = json!({ "name": "New", "price_cents": 100, "category_id": 1 });
    let id = api.post("/products", &new).await.expect(201).json()["id"].clone();
    let event = heard.next().await;
    assert_eq!((&event["type"], &event["product_id"]), (&json!("product.created"), &id));

    api.delete(&format!("/products/{id}")).await.expect(204);
    let event = heard.next().await;
    assert_eq!((&event["type"], &event["product_id"]), (&json!("product.deleted"), &id));

    api.put("/categories/1", &json!({ "description": "changed" })).await.expect(200);
    let event = heard.next().await;
    assert_eq!((&event["type"], &event["category_id"]), (&json!("category.updated"), &json!(1)));
    assert_eq!(event.get("product_id"), None);

    api.put("/products/events/1", &json!({ "category_id": 999_999 })).await.problem(422, "invalid-fields");
    api.put("/products/events/2", &json!({ "stock": 3 })).await.expect(200);
    assert_eq!(heard.next().await["product_id"], 2, "what was refused is not announced");
    heard.close().await;
}

#[tokio::test]
async fn invalid_messages_are_counted_and_ignored() {
    let stores = Stores::start().await;
    let api = listening(&stores).await;
    api.get("/products/events/1").await.expect(200);
    let garbage = [
        "", "hello", "{}", r#"{"type":"product.updated"}"#, "[1]", "\u{fffd}\u{1}",
        r#"{"type":"product.eaten","product_id":"x"}"#,
    ];
    for message in garbage {
        assert_eq!(stores.redis(&["PUBLISH", "product:updates", message]).await, "1");
    }
    eventually("the count", SOON, async || {
        let malformed = api.metrics().await.sum("product_events_total", &[("result", "malformed")]);
        malformed == garbage.len() as f64
    })
    .await;
    assert_eq!(api.get("/products/events/1").await.expect(200).source(), "hit", "garbage deletes nothing");
    written_and_heard(&api, "/products/events/1", 1).await;
    let logged = |says: &str| api.process.output().lines().filter(|line| line.contains(says)).count();
    eventually("the end of the failure in the log", SOON, async || {
        logged("messages of the channel can be read again") == 1
    })
    .await;
    assert_eq!(logged("cannot be read and is skipped"), 1, "{}", api.process.output());
}

/// Pub/Sub does not deliver to a disconnected subscriber, so a listener that lost its connection does not trust its
/// entries.
#[tokio::test]
async fn listener_purges_its_cache_and_resubscribes_after_a_lost_connection() {
    let stores = Stores::start().await;
    let api = listening(&stores).await;
    for round in 1..=3 {
        stores.until_published().await;
        api.get("/products/events/1").await.expect(200);
        eventually("the entry of another lane", SOON, async || {
            api.get("/products/tags/1").await.expect(200);
            stores.has_entry("product:tags:1").await
        })
        .await;
        // The near cache subscribes, too.
        assert_ne!(stores.redis(&["CLIENT", "KILL", "TYPE", "pubsub"]).await, "0");
        eventually("the lane to be dropped", SOON, async || !stores.has_entry(KEY).await).await;
        assert!(stores.has_entry("product:tags:1").await, "no other lane depends on events alone");
        written_and_heard(&api, "/products/events/1", round).await;
        let resyncs = api.metrics().await.sum("product_events_total", &[("result", "resync")]);
        assert!(resyncs as i64 >= round, "the metric that the demos look for");
    }
}

/// The window in which an event is lost: between the end of one connection and the next.
#[tokio::test]
async fn event_missed_by_the_listener_leaves_no_stale_entry() {
    let stores = Stores::start().await;
    let api = listening(&stores).await;
    for round in 0..3 {
        let before = api.get("/products/events/1").await.expect(200).version();
        stores.redis(&["ACL", "SETUSER", "product-api", "-subscribe"]).await;
        stores.redis(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        stores.sql(&format!("UPDATE products SET stock = 2000 + {round} WHERE id = 1")).await;
        stores.until_published().await;
        let read = api.get("/products/events/1").await.expect(200);
        assert_eq!((read.version(), read.source()), (before, "hit"), "no event has announced it");
        stores.redis(&["ACL", "SETUSER", "product-api", "+subscribe"]).await;
        eventually("the fresh value", SOON, async || {
            api.get("/products/events/1").await.expect(200).version() == before + 1
        })
        .await;
    }
}
