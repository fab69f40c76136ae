//! The feed: each event on an entry is emitted once, and only to current subscribers.

use std::time::Duration;

use cache::{CacheSettings, Invalidated, Invalidation, Outcome};
use serde_json::json;

use crate::both::feed::{kinds, listening, next, next_records};
use crate::support::{Node, Row, one_node, patient, redis, settings};

/// A reader joins a load, whose value is too old for it, and then finds the entry that another process has filled.
#[tokio::test]
async fn read_that_finds_an_entry_after_a_miss_is_shown_once() {
    let redis = redis().await;
    let (node, other, row) = (Node::on(&redis).await, Node::on(&redis).await, Row::new([]));
    let mut subscription = listening(&node).await;
    let (mut gate, load) = row.gated();
    let early = node.start(1, &load);
    let old = gate.began().await;
    row.commit();
    node.remove(1).await;
    let late = node.start(1, &load);
    node.settle().await;
    other.fill(1, &row).await;
    old.finish();
    early.value().await;
    assert_eq!(late.value().await.outcome(), Outcome::Hit);
    node.client.feed().event("item.changed", None, "item:1");
    assert_eq!(kinds(&mut subscription, "event").await, ["miss", "invalidate", "miss", "refused", "event"]);
}

#[tokio::test]
async fn feed_reports_the_bypass_reason_and_deferred_invalidations() {
    let redis = redis().await;
    let short = CacheSettings { command_timeout: Duration::from_millis(100), ..settings(redis.url()) };
    let (node, row) = (Node::with(&short, patient()).await, Row::new([]));
    let mut subscription = listening(&node).await;
    redis.kill().await.unwrap();
    node.read(1, &row).await;
    let bypass = loop {
        // The first read may have met the broken connection in the middle of a miss.
        let told = next_records(&mut subscription).await;
        if let Some(bypass) = told.iter().find(|record| record["kind"] == "bypass") {
            break bypass.clone();
        }
    };
    assert_eq!(bypass, json!({ "kind": "bypass", "lane": "item", "key": "shop:item:1", "detail": "redis-down" }));
    let deferred = node.client.invalidate(Invalidation::hard().key(node.key(1))).await;
    assert_eq!(deferred, Invalidated::Deferred);
    assert_eq!(next(&mut subscription).await["entries"], json!(null));
}

#[tokio::test]
async fn subscriber_resumes_at_its_position() {
    let (redis, node, row) = one_node([]).await;
    let mut subscription = listening(&node).await;
    node.read(1, &row).await;
    kinds(&mut subscription, "fill").await;
    let known = subscription.position();
    drop(subscription);
    node.read(1, &row).await;
    node.remove(1).await;

    let feed = node.client.feed();
    let mut again = feed.subscribe(Some(&known)).unwrap();
    assert_eq!(kinds(&mut again, "invalidate").await, ["begin", "hit", "invalidate"]);
    let (name, _) = known.split_once('-').unwrap();
    for strange in ["", "x", "-", "000000000000-1", &format!("{name}-999999"), &format!("{name}-x")] {
        let mut anew = feed.subscribe(Some(strange)).unwrap();
        assert_eq!(next_records(&mut anew).await, [json!({ "kind": "begin", "resumed": false })], "{strange:?}");
    }
    let other = Node::on(&redis).await;
    let mut elsewhere = other.client.feed().subscribe(Some(&known)).unwrap();
    assert_eq!(next_records(&mut elsewhere).await, [json!({ "kind": "begin", "resumed": false })], "another process");
}
