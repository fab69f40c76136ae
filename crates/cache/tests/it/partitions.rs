//! A keyspace with several partitions: operations on keys go to the partition of the key, those on tags or on the whole
//! keyspace to all.

use std::collections::BTreeSet;

use cache::health::{Health, Reason};
use cache::inspect::EntryCursor;
use cache::outcome::{Fill, FillRefusal};
use cache::{CacheSettings, Invalidated, Invalidation, Keyspace, Near, Outcome};
use testkit::{Redis, eventually};

use crate::near::{BOUND, near_settings, until_near};
use crate::support::{
    LONG, Node, Proxy, PushFilter, Row, SOON, calls, existing, node, number, patient, redis, settings, shelf, through,
};

const ENTRIES: u32 = 100;

async fn partitioned(redis: &Redis) -> Node {
    Node::of(Keyspace::partitioned("shop", 8).unwrap(), &settings(redis.url()), patient()).await
}

/// Fills entries in all eight partitions.
async fn filled(redis: &Redis, row: &Row) -> Node {
    let node = partitioned(redis).await;
    node.fill_many(0..ENTRIES, row).await;
    let prefixes: BTreeSet<_> = (0..ENTRIES).map(|id| node.key(id).as_str()[..8].to_owned()).collect();
    assert_eq!(prefixes.len(), 8, "{prefixes:?}");
    node
}

#[tokio::test]
async fn keys_of_several_partitions_are_removed_together() {
    let redis = redis().await;
    let row = Row::new([]);
    let node = filled(&redis, &row).await;
    row.commit();
    let removal = (0..50).fold(Invalidation::hard(), |all, id| all.key(node.key(id)));
    assert_eq!(node.invalidate(removal).await, 50);
    let expiring = (50..80).fold(Invalidation::soft(), |all, id| all.key(node.key(id)));
    assert_eq!(node.invalidate(expiring).await, 30);
    for id in 0..ENTRIES {
        let cached = node.read(id, &row).await;
        let expected = match id {
            0..50 => (Some(2), Outcome::Miss(Fill::Stored)),
            50..80 => (Some(1), Outcome::Stale),
            _ => (Some(1), Outcome::Hit),
        };
        assert_eq!((cached.version(), cached.outcome()), expected, "{id}");
    }
}

#[tokio::test]
async fn a_tag_is_removed_in_every_partition() {
    let redis = redis().await;
    let row = Row::new([shelf(1)]);
    let node = filled(&redis, &row).await;
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), u64::from(ENTRIES));
    assert_eq!(node.expire_tag(shelf(1)).await, u64::from(ENTRIES));
    row.commit();
    assert_eq!(node.remove_tag(shelf(1)).await, u64::from(ENTRIES));
    for id in 0..ENTRIES {
        assert_eq!(node.read(id, &row).await.version(), Some(2));
    }
}

#[tokio::test]
async fn late_fill_is_refused_after_tag_invalidation_in_any_partition() {
    let redis = redis().await;
    let (node, row) = (partitioned(&redis).await, Row::new([shelf(1)]));
    let (mut gate, load) = row.gated();
    let mut under_way = Vec::new();
    for id in 0..30 {
        let reading = node.start(id, &load);
        under_way.push((reading, gate.began().await));
    }
    row.commit();
    node.remove_tag(shelf(1)).await;
    for (reading, load) in under_way {
        load.finish();
        assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Fenced)));
    }
}

/// The first tag has no entries, the second has some in every partition, the third has one.
#[tokio::test]
async fn several_tags_are_removed_in_every_partition() {
    let redis = redis().await;
    let row = Row::new([shelf(2)]);
    let node = filled(&redis, &row).await;
    row.set_tags([shelf(3)]);
    node.fill(1_000, &row).await;
    let tags = || [shelf(1), shelf(2), shelf(3)];
    assert_eq!(node.invalidate(Invalidation::soft().tags(tags())).await, u64::from(ENTRIES) + 1);
    row.commit();
    assert_eq!(node.invalidate(Invalidation::hard().tags(tags())).await, u64::from(ENTRIES) + 1);
    for id in (0..ENTRIES).chain([1_000]) {
        assert_eq!(node.read(id, &row).await.version(), Some(2));
    }
}

#[tokio::test]
async fn several_tags_are_removed_from_the_memory_of_another_process() {
    let redis = redis().await;
    let (keyspace, policy) = (Keyspace::partitioned("shop", 8).unwrap(), patient().near(Near::Strict(BOUND)));
    let near = async || Node::of(keyspace.clone(), &near_settings(redis.url()), policy.clone()).await;
    let (writer, peer, row) = (near().await, near().await, Row::new([shelf(2)]));
    for _ in 0..30 {
        until_near(&peer, 1, &row).await;
        let version = row.commit();
        assert_eq!(writer.invalidate(Invalidation::hard().tags([shelf(1), shelf(2)])).await, 1);
        assert_eq!(peer.read(1, &row).await.version(), Some(version));
    }
}

/// The process registers after Redis has listed the processes, together with the fences, and before the entry is removed.
/// So it is in no list, and it receives no push either.
#[tokio::test]
async fn process_that_registers_during_the_removal_of_several_tags_is_waited_for() {
    let redis = redis().await;
    let (proxy, filter) = (Proxy::to(redis.port()).await.unwrap(), PushFilter::to(&redis).await);
    // The lease outlasts what happens after the last push, and each reply of the writer may take as long as the test.
    let bound = 20 * BOUND;
    let node = async |url: String, near: Near| {
        let settings = CacheSettings { near_bound: Some(bound), command_timeout: LONG, ..settings(url) };
        Node::of(Keyspace::partitioned("shop", 8).unwrap(), &settings, patient().near(near)).await
    };
    let (writer, row) = (node(through(&proxy), Near::Off).await, Row::new([shelf(1)]));
    // Afterwards, Redis knows the scripts.
    writer.invalidate(Invalidation::hard().tags([shelf(3), shelf(4)])).await;
    writer.fill(1, &row).await;
    let fences = format!("{}:~fence", &writer.key(1).as_str()[..8]);
    proxy.delay_replies();
    let version = row.commit();
    let removing = {
        let writer = writer.clone();
        tokio::spawn(async move { writer.invalidate(Invalidation::hard().tags([shelf(1), shelf(2)])).await })
    };
    let is_fenced = async || redis.cli(&["HEXISTS", &fences, "t:shelf:1"]).await.unwrap() == "1";
    eventually("the tag is fenced", SOON, is_fenced).await;
    let peer = node(filter.url(), Near::Strict(bound)).await;
    until_near(&peer, 1, &row).await;
    filter.drop_pushes();
    proxy.release_replies();
    assert_eq!(removing.await.unwrap(), 1);
    assert_eq!(peer.read(1, &row).await.version(), Some(version));
}

#[tokio::test]
async fn late_fill_is_refused_after_the_invalidation_of_several_tags() {
    let redis = redis().await;
    let (node, row) = (partitioned(&redis).await, Row::new([shelf(2)]));
    for (id, invalidation) in (0..).zip([Invalidation::hard(), Invalidation::soft()]) {
        let (reading, load) = node.loading(id, &row).await;
        row.commit();
        node.invalidate(invalidation.tags([shelf(1), shelf(2)])).await;
        load.finish();
        assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Fenced)));
    }
}

#[tokio::test]
async fn rest_of_a_crashed_invalidation_is_removed_by_that_of_several_tags() {
    let redis = redis().await;
    let (node, row) = (partitioned(&redis).await, Row::new([shelf(2)]));
    node.fill(1, &row).await;
    let prefix = partition_of(&node, 1);
    redis.cli(&["RENAME", &format!("{prefix}~tag:shelf:2"), &format!("{prefix}~drain:shelf:2")]).await.unwrap();
    let tags = [shelf(1), shelf(2)];
    assert_eq!(node.invalidate(Invalidation::soft().tags(tags.clone())).await, 1);
    assert_eq!(node.invalidate(Invalidation::hard().tags(tags)).await, 1);
    assert_eq!(node.cached(1).await, None);
}

/// Each script that fences advances the clock of its partition once.
#[tokio::test]
async fn several_tags_without_entries_cost_one_script_for_each_partition() {
    let redis = redis().await;
    let node = partitioned(&redis).await;
    for invalidation in [Invalidation::hard(), Invalidation::soft()] {
        let before = calls(&redis, "hincrby").await;
        assert_eq!(node.invalidate(invalidation.tags((0..64).map(shelf))).await, 0);
        assert_eq!(calls(&redis, "hincrby").await - before, 8);
    }
}

/// Its share of 10,000 fences is 1,250. One call adds 64.
#[tokio::test]
async fn fence_table_of_a_partition_is_bounded() {
    let redis = redis().await;
    let node = partitioned(&redis).await;
    let table = format!("{}~fence", partition_of(&node, 1));
    let mut most = 0;
    for call in 0..25 {
        node.invalidate(Invalidation::hard().tags((0..64).map(|tag| shelf(64 * call + tag)))).await;
        most = most.max(number(&redis, &["HLEN", &table]).await);
    }
    assert!((1_000..=1_251).contains(&most), "{most} fields");
}

/// The keys of a partition begin with this.
fn partition_of(node: &Node, id: u32) -> String {
    let key = node.key(id);
    key.as_str().split_inclusive(':').take(2).collect()
}

#[tokio::test]
async fn entries_are_listed_and_purged_in_every_partition() {
    let redis = redis().await;
    let row = Row::new([shelf(1)]);
    let node = filled(&redis, &row).await;
    let (reading, load) = node.loading(1_000, &row).await;
    let (mut keys, mut cursor) = (BTreeSet::new(), EntryCursor::default());
    loop {
        let page = node.client.entries(cursor, 10).await.unwrap();
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        let Some(next) = page.next_cursor else { break };
        cursor = node.client.parse_cursor(&next).unwrap();
    }
    let wanted: BTreeSet<_> = (0..ENTRIES).chain([1_000]).map(|id| node.key(id).to_string()).collect();
    assert_eq!(keys, wanted);
    row.commit();
    assert_eq!(node.client.purge().await, Invalidated::Done { entries: u64::from(ENTRIES) + 1 });
    load.finish();
    assert!(matches!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(_))));
    let names: Vec<_> = (0..ENTRIES).map(|id| node.key(id).to_string()).collect();
    assert_eq!(existing(&redis, &names.iter().map(String::as_str).collect::<Vec<_>>()).await, 0);
}

/// Each of them would invalidate names that the other one does not use.
#[tokio::test]
async fn process_with_one_partition_stops_when_another_has_several() {
    let (redis, node) = node().await;
    let row = Row::new([]);
    node.fill(1, &row).await;
    let several = Keyspace::partitioned("shop", 8).unwrap();
    let peer = Node::of(several, &settings(redis.url()), patient()).await;
    assert_eq!(peer.client.health(), Health::Up);
    let is_refused = async || matches!(node.client.health(), Health::Down(Reason::Partitions(_)));
    eventually("the first process does not use Redis any more", SOON, is_refused).await;
    redis.cli(&["DEL", "shop:~partitions"]).await.unwrap();
    eventually("it is written down again", SOON, async || existing(&redis, &["shop:~partitions"]).await == 1).await;
}

#[tokio::test]
async fn entries_of_all_partitions_are_compared_with_their_own_versions() {
    let redis = redis().await;
    let keyspace = cache::Keyspace::partitioned("shop", 4).unwrap();
    let node = Node::of(keyspace, &crate::support::settings(redis.url()), patient()).await;
    let row = Row::new([]);
    node.fill_many(0..200, &row).await;
    let named =
        (0..200).fold(Invalidation::hard(), |named, id| named.key_older_than(node.key(id), 1 + u64::from(id % 2)));
    assert_eq!(node.invalidate(named).await, 100);
    for id in 0..200 {
        assert_eq!(node.cached(id).await, (id % 2 == 0).then_some(1), "entry {id}");
    }
}
