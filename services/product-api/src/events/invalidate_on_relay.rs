//! Invalidates the entries that a committed change outdates, before the relay appends the event to the stream.
//!
//! The writer has usually made the same invalidation before its response. The relay repeats it for changes made
//! directly in psql, for a writer that was killed between COMMIT and its invalidation, and for an invalidation that
//! Redis did not acknowledge (`detail=deferred`).
//!
//! | event | invalidated |
//! |---|---|
//! | product created | its entry in every cache ("no such product"), its category's list, and the featured list |
//! | product updated or deleted | entries with its tag (`tags`, `production`), and the lists that it is or was on |
//! | product deleted, or its flag changed | the featured list |
//! | … by `explicit` or `writethrough` | also its entry there: after an update if it is older, after a deletion always |
//! | category created, updated or deleted | what carries the category's tag, in every cache that shows its name |
//!
//! An updated or deleted product is removed from `explicit` and `writethrough` only if it was written through that
//! strategy. A change made elsewhere leaves these entries, because such a writer does not know their keys. A change of
//! a category removes its products from both caches, independent of its writer. The entries of `ttl` and `swr` expire,
//! and the listener of `events` receives changes over Pub/Sub.
//!
//! The relay often invalidates first, or after a reader or the writer has already stored the new value. An update
//! therefore removes only what is older than the committed version ([`Invalidation::key_older_than`]). A value that
//! write-through has stored, or is about to store, stays.

use std::collections::{HashMap, HashSet};

use cache::{CacheClient, Invalidation, Key, Tag};
use contract::{CategoryId, ProductChange, ProductChangeKind as Kind};
use metrics::counter;
use outbox::consumer::HandlerError;
use outbox::relay::{OutboxEvent, RelayHook};
use service::events::{require_invalidated, require_purged};

use crate::keys::{self, Caches};
use crate::strategies::Strategy;

/// Repeats the invalidations that committed changes require.
#[derive(Clone, Debug)]
pub struct InvalidateOnRelay {
    cache: CacheClient,
    caches: Caches,
}

/// The tags and keys that a batch of events outdates, each once.
#[derive(Debug, Default)]
struct Names {
    tags: HashSet<Tag>,
    keys: HashSet<Key>,
    older: HashMap<Key, u64>,
}

impl InvalidateOnRelay {
    /// Creates the hook for `caches`, whose entries `cache` stores.
    pub fn new(cache: CacheClient, caches: Caches) -> Self {
        Self { cache, caches }
    }

    fn invalidation_for(&self, events: &[OutboxEvent<ProductChange>]) -> Invalidation {
        let mut outdated = Names::default();
        for committed in events {
            self.add(committed, &mut outdated);
        }
        let named = Invalidation::hard().tags(outdated.tags);
        let named = outdated.keys.into_iter().fold(named, Invalidation::key);
        outdated.older.into_iter().fold(named, |named, (key, version)| named.key_older_than(key, version))
    }

    /// Returns the key of a category's list. It is invalidated by key as well as by tag, because "there is no such
    /// category" carries no tag.
    fn list_of(&self, category: i64) -> Key {
        self.caches.by_category.key(CategoryId::from(category))
    }

    fn add(&self, OutboxEvent { event, writer }: &OutboxEvent<ProductChange>, outdated: &mut Names) {
        let change = &event.change;
        let Some(product) = change.product_id else {
            outdated.tags.insert(keys::category(change.category_id.into()));
            outdated.keys.insert(self.list_of(change.category_id));
            return;
        };
        let lists = [Some(change.category_id), change.previous_category_id].into_iter().flatten();
        for category in lists {
            outdated.tags.insert(keys::products_of(category.into()));
            outdated.keys.insert(self.list_of(category));
        }
        if change.kind != Kind::ProductUpdated || change.changed.iter().any(|column| column == "featured") {
            outdated.tags.insert(keys::featured());
        }
        if change.kind == Kind::ProductCreated {
            outdated.keys.extend(self.caches.keys_of(product.into()));
            return;
        }
        outdated.tags.insert(keys::product(product.into()));
        let Some(writer) = writer.as_deref().and_then(|name| name.parse::<Strategy>().ok()) else { return };
        let key = self.caches.products[writer as usize].key(product);
        if change.kind == Kind::ProductDeleted {
            outdated.keys.insert(key);
        } else {
            let latest = outdated.older.entry(key).or_default();
            *latest = change.version.unsigned_abs().max(*latest);
        }
    }
}

impl RelayHook for InvalidateOnRelay {
    type Data = ProductChange;

    async fn before_append(&self, events: &[OutboxEvent<ProductChange>]) -> Result<(), HandlerError> {
        require_invalidated(&self.cache, self.invalidation_for(events)).await
    }

    async fn history_changed(&self) -> Result<(), HandlerError> {
        counter!("product_events_total", "result" => "history-changed").increment(1);
        require_purged(&self.cache).await
    }

    async fn redis_changed(&self) -> Result<(), HandlerError> {
        counter!("product_events_total", "result" => "redis-changed").increment(1);
        require_purged(&self.cache).await
    }
}
