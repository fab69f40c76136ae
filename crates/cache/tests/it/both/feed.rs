//! The feed: each event on an entry is emitted once, and only to current subscribers.

use std::time::Duration;

use cache::Invalidated;
use cache::feed::FeedSubscription;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Node, SOON, node, one_node, shelf};

/// Returns the next records as JSON, without times.
pub(crate) async fn next_records(subscription: &mut FeedSubscription) -> Vec<Value> {
    let records = timeout(SOON, subscription.next()).await.expect("no record arrived").expect("the cache is running");
    let bare = |record: &std::sync::Arc<cache::feed::FeedRecord>| {
        let mut record = serde_json::to_value(record).unwrap();
        assert!(record["at_ms"].is_u64());
        let fields = record.as_object_mut().unwrap();
        fields.remove("at_ms");
        if let Some(left) = fields.remove("ttl_ms") {
            assert!(left.is_i64());
        }
        record
    };
    records.iter().map(bare).collect()
}

/// Returns the kinds of the next records, up to `last`.
pub(crate) async fn kinds(subscription: &mut FeedSubscription, last: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != last) {
        kinds.extend(next_records(subscription).await.iter().map(|record| record["kind"].as_str().unwrap().to_owned()));
    }
    kinds
}

pub(crate) async fn listening(node: &Node) -> FeedSubscription {
    let mut subscription = node.client.feed().subscribe(None).unwrap();
    assert_eq!(next_records(&mut subscription).await, [json!({ "kind": "begin", "resumed": false })]);
    subscription
}

pub(crate) async fn next(subscription: &mut FeedSubscription) -> Value {
    let mut records = next_records(subscription).await;
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}

#[tokio::test]
async fn feed_emits_each_event_on_an_entry() {
    let (_redis, node, row) = one_node([shelf(1)]).await;
    let mut subscription = listening(&node).await;
    let (cache, key) = ("item", node.key(1).to_string());

    node.fill(1, &row).await;
    let fill = json!({ "kind": "fill", "lane": cache, "key": key, "version": 1, "tags": ["shelf:1"] });
    let miss = json!({ "kind": "miss", "lane": cache, "key": key });
    let mut told = next_records(&mut subscription).await;
    if told.len() == 1 {
        told.extend(next_records(&mut subscription).await);
    }
    assert_eq!(told, [miss.clone(), fill]);

    node.read(1, &row).await;
    assert_eq!(next(&mut subscription).await, json!({ "kind": "hit", "lane": cache, "key": key, "version": 1 }));

    node.expire(1).await;
    let soft = json!({
        "kind": "invalidate", "everything": false, "keys": [key], "tags": [], "more": 0, "soft": true, "entries": 1
    });
    assert_eq!(next(&mut subscription).await, soft);
    node.read(1, &row).await;
    assert_eq!(kinds(&mut subscription, "fill").await, ["stale", "fill"]);

    node.remove_tag(shelf(1)).await;
    let hard = json!({
        "kind": "invalidate", "everything": false, "keys": [], "tags": ["shelf:1"], "more": 0, "soft": false, "entries": 1
    });
    assert_eq!(next(&mut subscription).await, hard);

    let (reading, loading) = node.loading(1, &row).await;
    node.remove(1).await;
    loading.finish();
    reading.value().await;
    assert_eq!(kinds(&mut subscription, "refused").await, ["miss", "invalidate", "refused"]);

    node.client.feed().event("item.changed", Some(7), "item:1");
    assert_eq!(
        next(&mut subscription).await,
        json!({ "kind": "event", "name": "item.changed", "seq": 7, "about": "item:1" })
    );

    assert!(matches!(node.client.purge().await, Invalidated::Done { .. }));
    let everything = next(&mut subscription).await;
    assert_eq!((&everything["kind"], &everything["everything"]), (&json!("invalidate"), &json!(true)));
}

#[tokio::test]
async fn feed_omits_events_from_before_the_subscription() {
    let (_redis, node, row) = one_node([]).await;
    for _ in 0..10 {
        node.read(1, &row).await;
    }
    let mut subscription = listening(&node).await;
    assert!(timeout(Duration::from_millis(50), subscription.next()).await.is_err(), "nothing has happened since");
    node.read(1, &row).await;
    assert_eq!(next(&mut subscription).await["kind"], "hit");
}

#[tokio::test]
async fn slow_subscriber_receives_the_number_of_lost_records() {
    let (_redis, node) = node().await;
    let mut subscription = listening(&node).await;
    let feed = node.client.feed();
    for seq in 1..=10_000 {
        feed.event("item.changed", Some(seq), "item:1");
    }
    let told = next_records(&mut subscription).await;
    assert_eq!(told[0]["kind"], "lagged");
    let lost = told[0]["lost"].as_u64().unwrap();
    assert!(lost > 0 && lost < 10_000);
    let mut seqs: Vec<u64> = told[1..].iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    while seqs.last() != Some(&10_000) {
        seqs.extend(next_records(&mut subscription).await.iter().map(|event| event["seq"].as_u64().unwrap()));
    }
    assert_eq!(seqs, (lost + 1..=10_000).collect::<Vec<_>>(), "the rest is complete and in order");
}

#[tokio::test]
async fn dropped_subscription_frees_one_of_a_limited_number() {
    let (_redis, node) = node().await;
    let feed = node.client.feed();
    let mut subscribers = Vec::new();
    while let Ok(subscription) = feed.subscribe(None) {
        subscribers.push(subscription);
        assert!(subscribers.len() <= 1_000, "there is no limit");
    }
    subscribers.pop();
    assert!(feed.subscribe(None).is_ok());
}

#[tokio::test]
async fn feed_ends_when_the_client_shuts_down() {
    let (_redis, node) = node().await;
    let mut subscription = listening(&node).await;
    let ended = tokio::spawn(async move { subscription.next().await.is_none() });
    node.client.shutdown(SOON).await;
    assert!(timeout(SOON, ended).await.expect("it goes on").unwrap());
}
