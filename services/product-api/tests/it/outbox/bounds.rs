//! The retention of events, and the length of the stream.

use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, STREAM, Stores, seq};

const SHORT: [(&str, &str); 3] =
    [("RELAY__RETENTION", "1s"), ("RELAY__PRUNE_EVERY", "100ms"), ("RELAY__POLL", "100ms")];

async fn until_pruned(stores: &Stores) {
    eventually("the end of the retention", SOON, async || stores.sql("SELECT count(*) FROM outbox").await == "0").await;
}

#[tokio::test]
async fn log_query_for_pruned_events_is_410() {
    let stores = Stores::start().await;
    let api = stores.api_with(&SHORT).await;
    until_pruned(&stores).await;
    for after in [0, 1, 141] {
        let gone = api.get(&format!("/events?after={after}")).await.problem(410, "gone");
        assert!(gone["detail"].as_str().is_some_and(|detail| detail.contains(&after.to_string())), "{gone}");
    }
    let page = api.get("/events?after=142").await.expect(200).json();
    assert_eq!((&page["events"], &page["head"]), (&json!([]), &json!(142)));
    stores.sql("UPDATE products SET stock = 777 WHERE id = 1").await;
    stores.until_published().await;
    let page = api.get("/events?after=142").await.expect(200).json();
    assert_eq!((seq(&page["events"][0]), &page["head"]), (143, &json!(143)));
    api.get("/events?after=141").await.problem(410, "gone");
    assert_eq!(stores.stream().await.len(), 143, "the stream has its own bound");
}

#[tokio::test]
async fn unpublished_events_are_kept_at_any_age() {
    let stores = Stores::start().await;
    let api = stores.api_with(&SHORT).await;
    until_pruned(&stores).await;
    stores.redis.pause();
    stores.sql("UPDATE products SET stock = 777 WHERE id < 4").await;
    stores.until_numbered_and_waiting(3).await;
    stores.sql("UPDATE outbox SET occurred_at = occurred_at - interval '1 day'").await;
    let page = api.get("/events?after=142").await.expect(200).json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(3));
    stores.redis.resume();
    eventually("the stream", SOON, async || stores.stream().await.last().map(seq) == Some(145)).await;
    until_pruned(&stores).await;
}

/// There is nothing to replay: the stream begins with the next event, under its number.
#[tokio::test]
async fn empty_redis_without_recent_events_begins_with_the_next_number() {
    let stores = Stores::start().await;
    let api = stores.api_with(&SHORT).await;
    until_pruned(&stores).await;
    stores.redis.restart().await.expect("it starts");
    eventually("an event to arrive", SOON, async || {
        api.put("/products/1", &json!({ "stock": stores.head().await })).await.expect(200);
        stores.stream().await.last().map(seq) > Some(142)
    })
    .await;
    assert_eq!(stores.stream().await.first().map(seq), Some(143));
}

#[tokio::test]
async fn the_stream_keeps_about_as_many_events_as_it_may() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("RELAY__STREAM_LENGTH", "100"), ("SEED_PRODUCTS", "1000")]).await;
    stores.sql("UPDATE products SET stock = stock + 1").await;
    stores.until_published().await;
    let stream = stores.stream().await;
    assert!((100..=300).contains(&stream.len()), "{}", stream.len());
    assert_eq!(stream.last().map(seq), Some(2_012));
    // The log still has the trimmed events, and a new stream receives no more than it may hold.
    assert_eq!(seq(&api.get("/events?limit=1").await.expect(200).json()["events"][0]), 1);
    stores.redis(&["DEL", STREAM]).await;
    stores.sql("UPDATE products SET stock = stock + 1 WHERE id = 1").await;
    stores.until_published().await;
    let stream = stores.stream().await;
    assert!((100..=300).contains(&stream.len()), "{}", stream.len());
    assert_eq!(stream.last().map(seq), Some(2_013));
}
