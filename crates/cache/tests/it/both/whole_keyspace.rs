//! The whole keyspace: purging it, and listing it page by page.

use cache::inspect::EntryCursor;
use cache::outcome::{Fill, FillRefusal};
use cache::{CacheClient, Invalidated, Outcome};

use crate::support::one_node;

pub(crate) async fn listed(client: &CacheClient, page: usize) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), EntryCursor::default());
    loop {
        let page = client.entries(cursor, page).await.unwrap();
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        match page.next_cursor {
            Some(next) => cursor = client.parse_cursor(&next).unwrap(),
            None => return keys,
        }
    }
}

/// Any text makes a key, so an entry with any text must be found again.
#[tokio::test]
async fn entries_with_escaped_names_are_purged_and_listed() {
    let (_redis, node, row) = one_node([]).await;
    for id in ["red shoes", "100%", "a\nb", "ü", "~x", "a:b", "{1}", "*"] {
        let key = node.cache.key(id);
        for _ in 0..2 {
            let load = row.loader();
            assert_eq!(node.cache.read(id, move || load()).await.unwrap().version(), Some(row.version()), "{id}");
            assert_eq!(listed(&node.client, 10).await, [key.as_str()]);
            row.commit();
            assert_eq!(node.client.purge().await, Invalidated::Done { entries: 1 }, "{id}");
        }
    }
}

#[tokio::test]
async fn late_fill_is_refused_after_a_purge() {
    let (_redis, node, row) = one_node([]).await;
    let (reading, load) = node.loading(1, &row).await;
    row.commit();
    assert!(matches!(node.client.purge().await, Invalidated::Done { .. }));
    load.finish();
    assert!(matches!(
        reading.value().await.outcome(),
        Outcome::Miss(Fill::Refused(FillRefusal::Generation | FillRefusal::LeaseLost))
    ));
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}
