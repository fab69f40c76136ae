//! A batch of events with the affected products and their texts, before and after.

use std::collections::BTreeMap;

use contract::product_api::Product;
use contract::{ProductChange, ProductChangeKind};
use service::events::ProductEvent;
use tokio::task::{JoinError, spawn_blocking};

use super::changed_tags::{Change, ChangedTags};
use crate::index::{Categories, Row};

/// A batch of events, and the rows that were fetched for it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    by_product: BTreeMap<i64, Vec<ProductChange>>,
    of_categories: Vec<ProductChange>,
    /// The affected products as they are in the index.
    pub(super) before: BTreeMap<i64, Row>,
    /// The current products, without those whose current version the index already has.
    pub(super) now: BTreeMap<i64, Product>,
    /// The category names in the index.
    pub(super) names_before: Categories,
    /// The current category names.
    pub(super) names_now: Categories,
}

impl Batch {
    /// Groups `events` by product and category. Nothing is fetched yet.
    pub(super) fn new(events: &[ProductEvent]) -> Self {
        let mut batch = Self::default();
        for event in events {
            match event.change.product_id {
                Some(id) => batch.by_product.entry(id).or_default().push(event.change.clone()),
                None => batch.of_categories.push(event.change.clone()),
            }
        }
        batch
    }

    pub(super) fn products(&self) -> Vec<i64> {
        self.by_product.keys().copied().collect()
    }

    /// Returns those products whose current version the index may lack.
    pub(super) fn to_be_fetched(&self) -> Vec<i64> {
        let is_new = |(id, events): &(&i64, &Vec<ProductChange>)| !is_indexed(self.before.get(id), events);
        self.by_product.iter().filter(is_new).map(|(id, _)| *id).collect()
    }

    /// Returns the products that were to be fetched and no longer exist.
    pub(super) fn gone(&self) -> Vec<i64> {
        self.to_be_fetched().into_iter().filter(|id| !self.now.contains_key(id)).collect()
    }

    pub(super) fn has_categories(&self) -> bool {
        !self.of_categories.is_empty()
    }

    /// Computes the tags of the pages that these events outdate.
    ///
    /// Splitting the texts of many products into words takes long, so this runs on a thread for blocking work. The
    /// indexer processes one batch at a time, so it takes only one such thread.
    pub(super) async fn with_tags(self) -> Result<(Self, Vec<cache::Tag>), JoinError> {
        spawn_blocking(move || {
            let tags = self.tags();
            (self, tags)
        })
        .await
    }

    fn tags(&self) -> Vec<cache::Tag> {
        let mut tags = ChangedTags::default();
        for change in &self.of_categories {
            tags.category(change);
        }
        for (id, events) in &self.by_product {
            if tags.is_everything() {
                break;
            }
            let before = self.before.get(id);
            let after = if is_indexed(before, events) { before.cloned() } else { self.now.get(id).map(Row::from) };
            let change = Change { before, after: after.as_ref(), events };
            tags.product(&change, (&self.names_before, &self.names_now));
        }
        tags.into_tags()
    }
}

/// Returns whether the index already includes these events, because a reindex has read the row. A deletion is always
/// looked up: a deleted row may have been inserted again, and its versions may repeat.
fn is_indexed(row: Option<&Row>, events: &[ProductChange]) -> bool {
    let is_old = |row: &Row, event: &ProductChange| {
        event.kind != ProductChangeKind::ProductDeleted && event.version <= row.version
    };
    row.is_some_and(|row| events.iter().all(|event| is_old(row, event)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use futures_util::poll;
    use tokio::runtime::Builder;

    use super::*;

    fn batch() -> Batch {
        let change = ProductChange {
            kind: ProductChangeKind::ProductCreated,
            product_id: Some(7),
            version: 1,
            category_id: 2,
            previous_category_id: None,
            changed: Vec::new(),
        };
        let product = serde_json::from_value(serde_json::json!({
            "id": 7, "name": "Lamp", "description": "It shines.", "price_cents": 5, "stock": 1, "featured": false,
            "category": { "id": 2, "name": "Light" }, "version": 1, "updated_at": "2026-11-22T10:00:00Z"
        }))
        .expect("a product");
        Batch { by_product: [(7, vec![change])].into(), now: [(7, product)].into(), ..Batch::default() }
    }

    /// The test blocks the only thread for blocking work, so a pending future proves that the polling thread does not
    /// split the texts itself.
    #[test]
    fn texts_are_split_on_a_thread_for_blocking_work() {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
        let (release, released) = channel::<()>();
        let tags = runtime.block_on(async {
            let holding = spawn_blocking(move || released.recv());
            let mut tags = Box::pin(batch().with_tags());
            assert!(poll!(&mut tags).is_pending(), "the texts were split by the thread that polls");
            release.send(()).expect("the blocking task waits");
            holding.await.expect("it ends").expect("it was released");
            tags.await.expect("the texts are split").1
        });
        assert!(tags.iter().any(|tag| tag.as_str() == "word:lam"), "{tags:?}");
    }
}
