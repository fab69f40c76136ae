//! The handler of product events: it invalidates the outdated lists, and fetches the changed rows into the copy of the
//! catalogue.
//!
//! It works in two steps, so that the invalidation of an outdated list does not wait for the product API. The first
//! step invalidates the lists that the events name; until the rows arrive, such a list is not stored
//! ([`Catalogue::expect`]). The second step fetches and writes the rows. It invalidates the lists once more, because
//! one may have been built from the old rows in between, and also those that a product enters or leaves because it is
//! sold out or available again.
//!
//! A batch of events costs one request for products, one transaction and two invalidations. A deleted product is not
//! requested, so it is removed even while the product API is unavailable.
//!
//! [`Catalogue::expect`]: crate::catalogue::Catalogue::expect

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cache::{Cache, CacheClient, Invalidation, Tag};
use contract::product_api::CategoryRef;
use contract::{ProductChange, ProductChangeKind as Kind};
use outbox::consumer::{EventHandler, HandlerError, Position, Resync};
use outbox::log::LogPosition;
use service::events::{PRODUCT_EVENTS, ProductEvent, require_invalidated, require_purged};
use service::products_after::{categories_after, products_after};

use super::refused;
use crate::catalogue::{CatalogueSync, Changes};
use crate::error::RecommendationError;
use crate::keys;
use crate::lists::Recommendations;

/// Columns whose change does not let other products enter a list, unless the product becomes available or unavailable.
const COLUMNS_WITHOUT_ENTRY: [&str; 2] = ["stock", "featured"];

/// The handler of product events.
#[derive(Clone, Debug)]
pub struct ProductEventHandler {
    /// The cache whose lists are invalidated.
    pub cache: CacheClient,
    /// The cache of lists for products.
    pub lists: Cache<Recommendations>,
    /// The copy of the catalogue and its source.
    pub sync: CatalogueSync,
}

impl EventHandler for ProductEventHandler {
    type Data = ProductChange;

    async fn apply(&self, events: &[ProductEvent]) -> Result<(), HandlerError> {
        self.publish_to_feed(events);
        let named = outdated(events, &HashSet::new());
        self.sync.catalogue.expect(&named, in_doubt(events)).await.map_err(refused)?;
        require_invalidated(&self.cache, Invalidation::hard().tags(named)).await?;

        let deleted = deleted(events);
        let changes = match self.fetched(events, &deleted).await {
            Ok(changes) => changes,
            Err(failure) => {
                self.remove(deleted).await?;
                return Err(refused(failure));
            }
        };
        let positions: Vec<LogPosition> =
            events.iter().map(|event| LogPosition { seq: event.seq, epoch: event.epoch }).collect();
        let flipped = self.sync.catalogue.apply(&changes, &positions).await.map_err(refused)?;
        // Only now: a list that is built from here on uses the new rows.
        let appeared = appeared(events, &flipped).into_iter().map(|product| self.lists.key(product));
        let invalidation = appeared.fold(Invalidation::hard().tags(outdated(events, &flipped)), Invalidation::key);
        require_invalidated(&self.cache, invalidation).await?;
        self.sync.positions.mark_applied(PRODUCT_EVENTS.stream, &positions).await.map_err(refused)
    }

    async fn resync(&self, why: Resync) -> Result<Option<LogPosition>, HandlerError> {
        if matches!(why, Resync::RedisChanged | Resync::OtherHistory) {
            // The entries may be of any age or of another history, and the product API may be unavailable for long.
            require_purged(&self.cache).await?;
        }
        let filled = self.sync.fill().await.map_err(refused)?;
        require_purged(&self.cache).await?;
        self.sync.record(filled).await.map_err(refused)?;
        Ok(None)
    }

    async fn position(&self) -> Result<Option<Position>, HandlerError> {
        self.sync.positions.of(PRODUCT_EVENTS.stream).await.map_err(refused)
    }

    async fn skip(&self, until: u64) -> Result<(), HandlerError> {
        self.sync.positions.begin(PRODUCT_EVENTS.stream, until.into()).await.map_err(refused)
    }

    async fn skip_dead_letters(&self, numbers: &[u64]) -> Result<(), HandlerError> {
        self.sync.positions.skip_dead_letters(PRODUCT_EVENTS.stream, numbers).await.map_err(refused)
    }
}

impl ProductEventHandler {
    fn publish_to_feed(&self, events: &[ProductEvent]) {
        for ProductEvent { seq, change, .. } in events {
            self.cache.feed().event(change.kind.name(), Some(*seq), change.subject());
        }
    }

    /// Fetches the current rows that these events affect.
    async fn fetched(
        &self, events: &[ProductEvent], deleted: &BTreeMap<i64, (i64, u64)>,
    ) -> Result<Changes, RecommendationError> {
        let mut products: BTreeMap<i64, (i64, u64)> = BTreeMap::new();
        let mut categories: BTreeMap<i64, u64> = BTreeMap::new();
        let mut may_be_new_row = HashSet::new();
        for ProductEvent { seq, change, .. } in events {
            match change.product_id {
                Some(id) => drop(products.insert(id, (change.version, *seq))),
                None => drop(categories.insert(change.category_id, *seq)),
            }
            if matches!(change.kind, Kind::ProductCreated | Kind::ProductDeleted) {
                may_be_new_row.extend(change.product_id);
            }
        }
        products.retain(|id, _| !deleted.contains_key(id));
        let ids: Vec<i64> = products.keys().copied().collect();
        let CatalogueSync { api, log, .. } = &self.sync;
        let answered = if ids.is_empty() { Vec::new() } else { products_after(events, &ids, api, log).await? };
        // Names are requested after the products, so that a name that came with a product is not newer. They are not
        // taken from the products of the category, because every known product may have left it by now.
        let names = if categories.is_empty() { Vec::new() } else { categories_after(events, api, log).await? };
        let named = |name: CategoryRef| categories.get(&name.id).map(|number| (name.id, name.name, *number));
        let gone = deleted.iter().map(|(id, (version, seq))| (*id, *version, *seq));
        let names = names.into_iter().filter_map(named).collect();
        let mut changes = Changes { gone: gone.collect(), may_be_new_row, names, ..Changes::default() };
        for product in answered {
            // The product was requested after all of these events were received.
            if let Some((_, number)) = products.remove(&product.id) {
                changes.live.push((product, number));
            }
        }
        changes.gone.extend(products.into_iter().map(|(id, (version, seq))| (id, version, seq)));
        Ok(changes)
    }

    /// Removes deleted products without marking their events as applied.
    async fn remove(&self, deleted: BTreeMap<i64, (i64, u64)>) -> Result<(), HandlerError> {
        if deleted.is_empty() {
            return Ok(());
        }
        let tags: Vec<Tag> = deleted.keys().map(|id| keys::product(*id)).collect();
        let gone = deleted.into_iter().map(|(id, (version, seq))| (id, version, seq)).collect();
        let changes = Changes { gone, ..Changes::default() };
        self.sync.catalogue.apply(&changes, &[]).await.map_err(refused)?;
        require_invalidated(&self.cache, Invalidation::hard().tags(tags)).await
    }
}

/// Returns the products whose last event in the batch is their deletion, with version and event number.
fn deleted(events: &[ProductEvent]) -> BTreeMap<i64, (i64, u64)> {
    let mut last = BTreeMap::new();
    for ProductEvent { seq, change, .. } in events {
        if let Some(id) = change.product_id {
            last.insert(id, (change.kind, change.version, *seq));
        }
    }
    let deleted = last.into_iter().filter(|(_, (kind, ..))| *kind == Kind::ProductDeleted);
    deleted.map(|(id, (_, version, seq))| (id, (version, seq))).collect()
}

/// Returns the products that may be sold out after these events.
fn in_doubt(events: &[ProductEvent]) -> HashSet<i64> {
    let may =
        |change: &ProductChange| change.changed.is_empty() || change.changed.iter().any(|column| column == "stock");
    events.iter().filter(|event| may(&event.change)).filter_map(|event| event.change.product_id).collect()
}

/// Returns the products that may have been unknown until these events. The negative entry of an unknown product has no
/// tag, so it is removed by its key.
fn appeared(events: &[ProductEvent], flipped: &HashSet<i64>) -> BTreeSet<i64> {
    let created =
        events.iter().filter(|event| event.change.kind == Kind::ProductCreated || event.change.changed.is_empty());
    created.filter_map(|event| event.change.product_id).chain(flipped.iter().copied()).collect()
}

/// Returns the tags of the lists that were built from the old rows.
fn outdated(events: &[ProductEvent], flipped: &HashSet<i64>) -> HashSet<Tag> {
    let mut tags = HashSet::new();
    for ProductEvent { change, .. } in events {
        let Some(product) = change.product_id else {
            tags.insert(keys::category(change.category_id));
            continue;
        };
        tags.insert(keys::product(product));
        let is_elsewhere = |column: &String| !COLUMNS_WITHOUT_ENTRY.contains(&column.as_str());
        let others_may_enter = change.changed.is_empty() || change.changed.iter().any(is_elsewhere);
        if others_may_enter || flipped.contains(&product) {
            let categories = [Some(change.category_id), change.previous_category_id];
            tags.extend(categories.into_iter().flatten().map(keys::products_of));
        }
    }
    tags
}

#[cfg(test)]
mod tests;
