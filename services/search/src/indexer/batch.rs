//! What a batch of events is about: the products and their texts, before and now.

use std::collections::BTreeMap;

use events::contract::{ProductChange, ProductChangeKind, ProductEvent};
use events::product_api::Product;
use tokio::task::{JoinError, spawn_blocking};

use super::touched::{Change, ChangedTags};
use crate::index::{Categories, Row};

/// Events, and what has been fetched because of them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    by_product: BTreeMap<i64, Vec<ProductChange>>,
    of_categories: Vec<ProductChange>,
    /// The products as the index has them.
    pub(super) before: BTreeMap<i64, Row>,
    /// The products as they are now; without those that the index has already.
    pub(super) now: BTreeMap<i64, Product>,
    /// The names of categories in the index.
    pub(super) names_before: Categories,
    /// Their names now.
    pub(super) names_now: Categories,
}

impl Batch {
    /// What `events` are about; nothing is fetched yet.
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

    /// All products that have an event.
    pub(super) fn products(&self) -> Vec<i64> {
        self.by_product.keys().copied().collect()
    }

    /// Those of them that the index does not have as they are.
    pub(super) fn to_be_fetched(&self) -> Vec<i64> {
        let is_new = |(id, events): &(&i64, &Vec<ProductChange>)| !is_indexed(self.before.get(id), events);
        self.by_product.iter().filter(is_new).map(|(id, _)| *id).collect()
    }

    /// Those that were to be fetched and are not there any more.
    pub(super) fn gone(&self) -> Vec<i64> {
        self.to_be_fetched().into_iter().filter(|id| !self.now.contains_key(id)).collect()
    }

    /// Whether a category has changed.
    pub(super) fn has_categories(&self) -> bool {
        !self.of_categories.is_empty()
    }

    /// The tags of the pages that these events outdate. Splitting the texts into words takes long for many products, so
    /// that is done on a thread where it holds nothing up. The indexer does one batch at a time: it takes one such thread.
    pub(super) async fn with_tags(self) -> Result<(Self, Vec<cache::Tag>), JoinError> {
        spawn_blocking(move || {
            let tags = self.tags();
            (self, tags)
        })
        .await
    }

    fn tags(&self) -> Vec<cache::Tag> {
        let mut touched = ChangedTags::default();
        for change in &self.of_categories {
            touched.category(change);
        }
        for (id, events) in &self.by_product {
            if touched.is_everything() {
                break;
            }
            let before = self.before.get(id);
            let after = if is_indexed(before, events) { before.cloned() } else { self.now.get(id).map(Row::from) };
            let change = Change { before, after: after.as_ref(), events };
            touched.product(&change, (&self.names_before, &self.names_now));
        }
        touched.into_tags()
    }
}

/// Whether the index has what these events are about already: a walk has met it. A row that was deleted may have come
/// again, and its versions with it, so that a deletion is always looked into.
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

    /// The only thread for blocking work is held up: what waits for it is not done on the thread that polls.
    #[test]
    fn texts_are_split_on_a_thread_for_blocking_work() {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
        let (release, released) = channel::<()>();
        let tags = runtime.block_on(async {
            let holding = spawn_blocking(move || released.recv());
            let mut tags = Box::pin(batch().with_tags());
            assert!(poll!(&mut tags).is_pending(), "the texts were split by the thread that polls");
            release.send(()).expect("it is being waited for");
            holding.await.expect("it ends").expect("it was released");
            tags.await.expect("the texts are split").1
        });
        assert!(tags.iter().any(|tag| tag.as_str() == "word:lam"), "{tags:?}");
    }
}
