//! An invalidation of the entries that carry all of several tags.

use cache::outcome::{Fill, FillRefusal};
use cache::{Invalidated, Invalidation, Outcome, Tag};

use crate::support::{Node, Row, node, one_node, shelf};

fn colour(name: &str) -> Tag {
    Tag::new("colour", name)
}

/// Entry 1 is red on shelf 1, entry 2 is red on shelf 2, entry 3 is blue on shelf 1, entry 4 is red on both shelves.
async fn fill(node: &Node) {
    for (id, tags) in [
        (1, vec![shelf(1), colour("red")]),
        (2, vec![shelf(2), colour("red")]),
        (3, vec![shelf(1), colour("blue")]),
        (4, vec![shelf(1), shelf(2), colour("red")]),
    ] {
        node.fill(id, &Row::new(tags)).await;
    }
}

async fn left(node: &Node) -> Vec<u32> {
    let mut left = Vec::new();
    for id in 1..=4 {
        if node.cached(id).await.is_some() {
            left.push(id);
        }
    }
    left
}

#[tokio::test]
async fn only_entries_that_carry_all_of_the_tags_are_removed() {
    let (_redis, node) = node().await;
    fill(&node).await;
    assert_eq!(node.invalidate(Invalidation::hard().tags_together([colour("red"), shelf(1)])).await, 2);
    assert_eq!(left(&node).await, [2, 3]);
    assert_eq!(node.invalidate(Invalidation::hard().tags_together([colour("red"), shelf(3)])).await, 0);
    assert_eq!(left(&node).await, [2, 3]);
}

#[tokio::test]
async fn one_tag_is_as_the_tag_alone_and_none_removes_nothing() {
    let (_redis, node) = node().await;
    fill(&node).await;
    assert_eq!(node.invalidate(Invalidation::hard().tags_together([])).await, 0);
    assert_eq!(node.invalidate(Invalidation::hard().tags_together([shelf(1)])).await, 3);
    assert_eq!(left(&node).await, [2]);
}

#[tokio::test]
async fn entries_are_marked_as_stale_by_a_soft_one() {
    let (_redis, node) = node().await;
    fill(&node).await;
    assert_eq!(node.invalidate(Invalidation::soft().tags_together([shelf(1), shelf(2)])).await, 1);
    assert_eq!(node.cache.get(4).await.unwrap().outcome(), Outcome::Stale);
    assert_eq!(node.cache.get(1).await.unwrap().outcome(), Outcome::Hit);
}

/// The entry is in no tag set yet.
#[tokio::test]
async fn load_in_flight_that_began_before_is_not_stored() {
    let (_redis, node, row) = one_node([shelf(1), colour("red")]).await;
    let (reading, load) = node.loading(1, &row).await;
    row.commit();
    assert_eq!(node.invalidate(Invalidation::hard().tags_together([shelf(1), colour("red")])).await, 0);
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Fenced)));
    assert_eq!(node.cached(1).await, None);
}

#[tokio::test]
async fn many_entries_are_looked_at_and_only_theirs_are_removed() {
    let (_redis, node) = node().await;
    node.fill_many(0..700, &Row::new([shelf(1), colour("red")])).await;
    node.fill_many(700..1_500, &Row::new([shelf(1), shelf(2), colour("red")])).await;
    let both = Invalidation::hard().tags_together([shelf(1), colour("red"), shelf(2)]);
    assert!(matches!(node.client.invalidate(both).await, Invalidated::Done { entries: 800 }));
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), 1_500 - removed_members(&node).await);
    assert_eq!((node.cached(0).await, node.cached(699).await, node.cached(700).await), (Some(1), Some(1), None));
}

/// Returns how many of the removed entries are in no tag set any more: all in memory; in Redis, the sweep removes them.
async fn removed_members(node: &Node) -> u64 {
    800 - node.client.tag_size(&shelf(2)).await.unwrap()
}
