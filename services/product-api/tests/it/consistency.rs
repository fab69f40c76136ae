//! Read-your-writes: a read with the token of a write sees the write, at every process and under every state of Redis.

use contract::ConsistencyToken;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Proxy, eventually};

use crate::support::{Api, SOON, STRATEGIES, Service, Stores, TestResponse, started, started_and_published};

/// The strategies that honour a token.
const HONOUR: [&str; 5] = ["explicit", "writethrough", "events", "tags", "production"];

async fn read_after(api: &Api, path: &str, token: &str) -> TestResponse {
    Service::send(api.request(Method::GET, path).header(ConsistencyToken::HEADER, token)).await
}

fn token(written: &TestResponse) -> String {
    let token = written.header(ConsistencyToken::HEADER).to_owned();
    assert!(token.parse::<ConsistencyToken>().is_ok(), "{written:?}");
    token
}

#[tokio::test]
async fn every_write_returns_a_token_and_each_is_another_one() {
    let (_stores, api) = started().await;
    let mut tokens = Vec::new();
    for strategy in STRATEGIES {
        tokens.push(token(&api.put(&format!("/products/{strategy}/1"), &json!({ "stock": 3 })).await.expect(200)));
    }
    tokens.push(token(&api.put("/products/1", &json!({ "stock": 4 })).await.expect(200)));
    tokens.push(token(&api.put("/categories/1", &json!({ "name": "Lights" })).await.expect(200)));
    let new = json!({ "name": "Lamp", "description": "", "price_cents": 1, "stock": 1, "category_id": 1 });
    let created = api.post("/products", &new).await.expect(201);
    tokens.push(token(&created));
    let id = created.json()["id"].clone();
    tokens.push(token(&Service::send(api.request(Method::DELETE, &format!("/products/{id}"))).await.expect(204)));
    let count = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), count);
}

/// A write that no strategy's writer invalidates: only the token leads to the new value.
#[tokio::test]
async fn read_with_a_token_sees_a_write_that_removed_no_entry() {
    let (stores, api) = started_and_published().await;
    stores.silence().await;
    for (strategy, id) in STRATEGIES.into_iter().zip(10..) {
        let path = format!("/products/{strategy}/{id}");
        api.get(&path).await.expect(200);
        let written = token(&api.put(&format!("/products/{id}"), &json!({ "stock": 77 })).await.expect(200));
        let stock = |answer: &TestResponse| answer.json()["stock"].clone();
        let old = api.get(&path).await.expect(200);
        assert_ne!(stock(&old), json!(77), "{strategy}: the entry is still there");
        let own = read_after(&api, &path, &written).await.expect(200);
        if !HONOUR.contains(&strategy) {
            assert_eq!(stock(&own), stock(&old), "{strategy} does not honour tokens");
            continue;
        }
        assert_eq!((stock(&own), own.source()), (json!(77), "fwd=miss; stored"), "{strategy}");
        // The entry was replaced, so the next reads with this token, and those of others, are hits.
        let again = read_after(&api, &path, &written).await.expect(200);
        assert_eq!((stock(&again), again.is_hit()), (json!(77), true), "{strategy}: {}", again.source());
        assert_eq!(stock(&api.get(&path).await.expect(200)), json!(77), "{strategy}");
    }
}

#[tokio::test]
async fn token_is_honoured_where_the_invalidation_of_another_process_is_deferred() {
    let stores = Stores::start().await;
    let wire = Proxy::to(stores.redis.port()).await.expect("a wire");
    let url = stores.redis.url_of("product-api");
    let url = url.replace(&format!(":{}", stores.redis.port()), &format!(":{}", wire.port()));
    let writer = stores.api_with(&[("REDIS__URL", &url), ("REDIS__COMMAND_TIMEOUT", "300ms")]).await;
    let reader = stores.api().await;
    stores.silence().await;
    for path in ["/products/production/1", "/products/explicit/1"] {
        eventually("a hit", SOON, async || reader.get(path).await.is_hit()).await;
    }
    wire.cut();
    for path in ["/products/production/1", "/products/explicit/1"] {
        let written = writer.put(path, &json!({ "stock": 7001 })).await.expect(200);
        assert_eq!(written.source(), "fwd=method; detail=deferred");
        let own = read_after(&reader, path, &token(&written)).await.expect(200);
        assert_eq!(own.json()["stock"], 7001, "{path}: {}", own.source());
    }
}

#[tokio::test]
async fn token_reads_of_a_product_that_is_not_there_are_cached_too() {
    let (stores, api) = started_and_published().await;
    let deleted = Service::send(api.request(Method::DELETE, "/products/explicit/9")).await.expect(204);
    let written = token(&deleted);
    // The relay removes the entry once more.
    stores.until_published().await;
    for source in ["fwd=miss; stored", "hit"] {
        let gone = read_after(&api, "/products/explicit/9", &written).await.expect(404);
        assert!(gone.header("cache-status").contains(source), "{}", gone.header("cache-status"));
    }
}

/// A transaction of another client keeps the snapshot open for long; the entry is still accepted.
#[tokio::test]
async fn long_transaction_of_another_client_does_not_turn_reads_with_a_token_into_loads() {
    let (stores, api) = started_and_published().await;
    let held = stores.database.lock("UPDATE products SET stock = 1 WHERE id = 100").await;
    let written = token(&api.put("/products/production/1", &json!({ "stock": 5 })).await.expect(200));
    // The relay removes the entry once more.
    eventually("a hit with the write", SOON, async || {
        let read = read_after(&api, "/products/production/1", &written).await.expect(200);
        assert_eq!(read.json()["stock"], 5, "{}", read.source());
        read.is_hit()
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn text_that_is_no_token_is_refused() {
    let (_stores, api) = started().await;
    for text in ["", "abc", "-1", "1000000000000000000"] {
        let refused = read_after(&api, "/products/production/1", text).await.expect(400);
        assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("X-Consistency-Token")));
    }
    // Of two writes, the one with the higher number need not be the later one.
    let request = api.request(Method::GET, "/products/production/1");
    Service::send(request.header(ConsistencyToken::HEADER, "1").header(ConsistencyToken::HEADER, "2"))
        .await
        .problem(400, "malformed");
    // A token of the future, which this database has not issued, costs a load and nothing else.
    let future = read_after(&api, "/products/production/1", &"9".repeat(18)).await.expect(200);
    assert_eq!(future.json()["id"], Value::from(1));
}
