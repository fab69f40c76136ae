//! The write guard of strategy 7: no stale read from COMMIT on, even if the writer dies there.

use reqwest::Method;
use serde_json::json;
use testkit::eventually;
use testkit::http::Service;

use crate::support::{Api, SOON, Stores};

const PATH: &str = "/products/production/1";
const KEY: &str = "product:production:1";

/// A writer that commits and dies before it invalidates, beside a reader that has the entry. Nothing else invalidates: no
/// event is written.
struct DeadWriter {
    stores: Stores,
    reader: Api,
    committed: i64,
    _writer: Api,
}

impl DeadWriter {
    async fn with_guard(guard: &str) -> Self {
        let stores = Stores::start().await;
        let reader = stores.api().await;
        // The guard lasts for longer than the longest transaction.
        let transaction = ("POSTGRES__STATEMENT_TIMEOUT", "20s");
        let settings = [("FAULTS__ENABLED", "true"), ("PRODUCTION__WRITE_GUARD", guard), transaction];
        let writer = stores.api_with(&settings).await;
        stores.silence().await;
        eventually("the entry", SOON, async || {
            reader.get(PATH).await.expect(200).source() == "hit" && stores.has_entry(KEY).await
        })
        .await;
        let before = reader.get(PATH).await.expect(200).version();
        writer.post("/faults/crash-after-commit", &json!({ "millis": 30_000 })).await.expect(202);
        let lost = Service::try_send(writer.request(Method::PUT, PATH).json(&json!({ "stock": 4_321 }))).await;
        assert!(lost.is_err(), "the writer died before its response");
        let committed = stores.sql("SELECT version FROM products WHERE id = 1").await.parse().expect("a version");
        assert_eq!(committed, before + 1, "it died after COMMIT");
        Self { stores, reader, committed, _writer: writer }
    }
}

#[tokio::test]
async fn no_read_is_stale_after_the_commit_of_a_guarded_writer_that_died() {
    let dead = DeadWriter::with_guard("true").await;
    let mut refused = 0;
    for _ in 0..10 {
        let read = dead.reader.get(PATH).await.expect(200);
        assert_eq!(read.version(), dead.committed, "{}", read.source());
        refused += usize::from(read.source() == "fwd=miss; detail=guarded");
    }
    assert!(refused > 0 && !dead.stores.has_entry(KEY).await, "the guard of the dead writer still refuses fills");
}

/// Without Redis there is no guard, and the write is not refused for that.
#[tokio::test]
async fn guarded_write_without_redis_is_committed_and_its_invalidation_deferred() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("PRODUCTION__WRITE_GUARD", "true")]).await;
    let before = api.get(PATH).await.expect(200).version();
    stores.redis.kill().await.expect("it is killed");
    let written = api.put(PATH, &json!({ "stock": 4_321 })).await.expect(200);
    assert_eq!((written.source(), written.version()), ("fwd=method; detail=deferred", before + 1));
    assert_eq!(api.get(PATH).await.expect(200).version(), before + 1);
    stores.redis.restart().await.expect("it starts");
    eventually("a hit", SOON, async || {
        let read = api.get(PATH).await.expect(200);
        assert_eq!(read.version(), before + 1, "{}", read.source());
        read.source().starts_with("hit")
    })
    .await;
    assert_eq!(stores.redis(&["EXISTS", "product:~guards"]).await, "0");
}

#[tokio::test]
async fn write_whose_precondition_fails_removes_nothing_and_leaves_no_guard() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("PRODUCTION__WRITE_GUARD", "true")]).await;
    eventually("the entry", SOON, async || api.get(PATH).await.source().starts_with("hit")).await;
    let conditional = api.request(Method::PUT, PATH).header("if-match", "\"0\"").json(&json!({ "stock": 4_321 }));
    Service::send(conditional).await.problem(412, "precondition-failed");
    assert_eq!(stores.redis(&["EXISTS", "product:~guards"]).await, "0");
    assert!(stores.has_entry(KEY).await);
}

/// What the guard prevents: without it, the entry from before the COMMIT stays until its TTL ends, or until the relay
/// repeats the invalidation.
#[tokio::test]
async fn reads_are_stale_after_the_commit_of_a_writer_that_died_without_a_guard() {
    let dead = DeadWriter::with_guard("false").await;
    // On a busy machine, Redis answers too late for a moment.
    eventually("a read of the entry from before the COMMIT", SOON, async || {
        dead.reader.get(PATH).await.expect(200).version() == dead.committed - 1
    })
    .await;
}

#[tokio::test]
async fn guarded_write_is_acknowledged_and_leaves_no_guard() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("PRODUCTION__WRITE_GUARD", "true")]).await;
    let before = api.get(PATH).await.expect(200).version();
    let category = api.get("/products/1").await.expect(200).json()["category"]["id"].clone();
    let list = format!("/products/by-category/{category}");
    api.get(&list).await.expect(200);
    let written = api.put(PATH, &json!({ "name": "Guarded" })).await.expect(200);
    assert_eq!((written.source(), written.version()), ("fwd=method; detail=invalidated", before + 1));
    assert_eq!(stores.redis(&["EXISTS", "product:~guards"]).await, "0");
    assert_eq!(api.get(PATH).await.expect(200).version(), before + 1);
    assert!(api.get(&list).await.expect(200).text().contains("Guarded"));
    // A refused change leaves a guard neither.
    api.put(PATH, &json!({ "price_cents": -1 })).await.problem(422, "invalid-fields");
    assert_eq!(stores.redis(&["EXISTS", "product:~guards"]).await, "0");
}
