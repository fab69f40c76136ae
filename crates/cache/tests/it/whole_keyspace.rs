//! The whole keyspace: purging it, and listing it page by page.

use std::collections::BTreeSet;

use cache::inspect::{EntryCursor, EntryState};
use cache::outcome::{Fill, FillRefusal};
use cache::{Invalidated, Keyspace, Outcome};
use testkit::Redis;

use crate::both::whole_keyspace::listed;
use crate::support::{Node, Row, calls, existing, one_node, patient, redis, settings, shelf};

async fn neighbour(redis: &Redis) -> Node {
    Node::of(Keyspace::new("shopping").unwrap(), &settings(redis.url()), patient()).await
}

#[tokio::test]
async fn purge_removes_all_entries_of_its_keyspace_and_no_others() {
    let redis = redis().await;
    let (node, neighbour, row) = (Node::on(&redis).await, neighbour(&redis).await, Row::new([shelf(1)]));
    node.fill_many(0..300, &row).await;
    neighbour.fill(1, &row).await;
    row.commit();
    assert_eq!(node.client.purge().await, Invalidated::Done { entries: 300 });
    for id in (0..300).step_by(30) {
        assert_eq!(node.read(id, &row).await.version(), Some(2));
    }
    assert_eq!(neighbour.cached(1).await, Some(1));
}

/// Streams and other types may live under the keyspace's prefix; the cache must neither remove nor list them.
#[tokio::test]
async fn keys_of_other_types_are_neither_purged_nor_listed() {
    let (redis, node, row) = one_node([]).await;
    redis.cli(&["XADD", "shop:events", "1-0", "event", "{}"]).await.unwrap();
    redis.cli(&["SADD", "shop:item:2", "x"]).await.unwrap();
    redis.cli(&["EXPIRE", "shop:item:2", "1000"]).await.unwrap();
    node.fill(1, &row).await;
    assert_eq!(listed(&node.client, 1).await, ["shop:item:1"]);
    for name in ["shop:events", "shop:item:2"] {
        let key = node.client.keyspace().parse(name).unwrap();
        assert!(node.client.inspect(&key).await.unwrap().is_none(), "{name}");
    }
    assert_eq!(node.client.purge().await, Invalidated::Done { entries: 1 });
    assert_eq!(existing(&redis, &["shop:events", "shop:item:2", "shop:item:1"]).await, 2);
}

/// This fill comes after the scan has passed: its lease was acquired before the purge began, and the test restores it
/// after the purge, as if the scan had never found it. Only the generation refuses the fill.
#[tokio::test]
async fn load_that_the_scan_missed_is_refused_by_the_generation() {
    let (redis, node, row) = one_node([]).await;
    let (reading, load) = node.loading(1, &row).await;
    let lease = redis.cli(&["GET", "shop:item:1"]).await.unwrap();
    row.commit();
    assert!(matches!(node.client.purge().await, Invalidated::Done { .. }));
    redis.cli(&["SET", "shop:item:1", &lease, "PX", "60000"]).await.unwrap();
    load.finish();
    assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Generation)));
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 0);
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}

#[tokio::test]
async fn entries_are_listed_page_by_page_without_the_caches_own_keys() {
    let redis = redis().await;
    let (node, neighbour, row) = (Node::on(&redis).await, neighbour(&redis).await, Row::new([shelf(1)]));
    node.fill_many(0..120, &row).await;
    neighbour.fill(1, &row).await;
    node.remove_tag(shelf(9)).await;
    let wanted: BTreeSet<String> = (0..120).map(|id| node.key(id).to_string()).collect();
    for page in [0, 1, 7, 1_000_000] {
        assert_eq!(listed(&node.client, page).await.into_iter().collect::<BTreeSet<_>>(), wanted);
    }
    for bad in ["", "1", "0-0", "x-0-0", "0-x-0", "0-0-x", "1-0-0", "-1-0-0", "0-0-0-0", "0-0-99999999999999999999"] {
        assert!(node.client.parse_cursor(bad).is_err(), "{bad}");
    }
}

/// Redis holds many keys of others: a page examines a bounded number of them, and returns where to continue.
#[tokio::test]
async fn page_of_entries_costs_a_bounded_number_of_commands() {
    let (redis, node, row) = one_node([shelf(1)]).await;
    redis.cli(&["EVAL", "for id = 1, 60000 do redis.call('SET', 'other:' .. id, 'x') end", "0"]).await.unwrap();
    for (before, count) in [(0, 5), (5, 50)] {
        node.fill_many(before..count, &row).await;
        let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, EntryCursor::default());
        loop {
            redis.cli(&["CONFIG", "RESETSTAT"]).await.unwrap();
            let page = node.client.entries(cursor, 1).await.unwrap();
            assert!(calls(&redis, "scan").await <= 16 && calls(&redis, "evalsha").await <= 16);
            assert!(page.entries.len() <= 1, "{} entries on a page of 1", page.entries.len());
            seen.extend(page.entries.into_iter().map(|entry| entry.key));
            pages += 1;
            match page.next_cursor {
                Some(next) => cursor = node.client.parse_cursor(&next).unwrap(),
                None => break,
            }
        }
        // A page examines about 4,000 of the 60,000 names, so most pages of so few entries are empty and have a next
        // cursor.
        assert!(count > 5 || pages > 10, "{pages} pages");
        assert_eq!(seen.len(), count as usize, "each entry comes once while nothing is written");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), count as usize);
    }
}

#[tokio::test]
async fn inspect_returns_the_state_and_the_header_of_an_entry() {
    let (redis, node, row) = one_node([shelf(1), shelf(2)]).await;
    assert!(node.client.inspect(&node.key(1)).await.unwrap().is_none());
    let (reading, load) = node.loading(1, &row).await;
    let inspect = async || node.client.inspect(&node.key(1)).await.unwrap().unwrap();
    assert_eq!(inspect().await.state, EntryState::Leased);
    load.finish();
    let cached = reading.value().await;
    let entry = inspect().await;
    assert_eq!((entry.key.as_str(), entry.state, entry.version), ("shop:item:1", EntryState::Fresh, Some(1)));
    assert_eq!(entry.tags, ["shelf:1", "shelf:2"]);
    assert!(redis.cli(&["GET", "shop:item:1"]).await.unwrap().starts_with(&format!("V{}", cached.id().unwrap())));
    assert_eq!(node.client.tag_size(&shelf(1)).await.unwrap(), 1);
    node.expire(1).await;
    let entry = inspect().await;
    assert_eq!((entry.state, entry.soft_ttl_ms, entry.hard_ttl_ms), (EntryState::Stale, Some(0), Some(3_600_000)));
    assert_eq!(row.loads(), 1, "looking does not refresh");
}

#[tokio::test]
async fn cache_name_with_special_characters_is_refused() {
    let redis = redis().await;
    let client = Node::on(&redis).await.client;
    for name in ["", "my lane", "~tag", "a:b", "Ä"] {
        assert!(client.cache::<String>(name, patient()).is_err(), "{name:?}");
    }
}
