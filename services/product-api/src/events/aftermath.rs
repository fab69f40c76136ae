//! What a committed change outdates in the lanes that events keep: done before the stream hears of the change.
//!
//! A writer of this process has done the same before it answered. This is for the others: psql, a writer that was killed
//! between COMMIT and its invalidation, a Redis that was away. The lanes of the strategies that know no events (`ttl`,
//! `explicit`, `writethrough`, `swr`) are left alone, and so is `events`, which hears of changes over Pub/Sub.

use std::collections::HashSet;

use cache::{Cache, Invalidated, Invalidation, Tag};
use events::consumer::ReactError;
use events::contract::{ProductChange, ProductEvent};
use events::relay::Hook;
use metrics::counter;

use crate::keys;

/// Repeats the invalidations that committed changes call for.
#[derive(Clone, Debug)]
pub struct Aftermath {
    cache: Cache,
}

impl Aftermath {
    /// For the entries of `cache`.
    pub fn new(cache: Cache) -> Self {
        Self { cache }
    }
}

impl Hook<ProductChange> for Aftermath {
    async fn before_append(&self, events: &[ProductEvent]) -> Result<(), ReactError> {
        let tags: HashSet<_> = events.iter().flat_map(|event| touched(&event.change)).collect();
        taken(self.cache.invalidate(Invalidation::hard().tags(tags)).await)
    }

    async fn redis_changed(&self) -> Result<(), ReactError> {
        counter!("product_events_total", "result" => "redis-changed").increment(1);
        taken(self.cache.invalidate_all().await)
    }
}

/// The cache repeats a deferred one by itself; the events wait until it is certain.
fn taken(invalidated: Invalidated) -> Result<(), ReactError> {
    match invalidated {
        Invalidated::Done { .. } => Ok(()),
        Invalidated::Deferred => Err(ReactError::Unavailable("Redis did not take the invalidation".to_owned())),
    }
}

/// The tags of what shows a changed row.
fn touched(change: &ProductChange) -> Vec<Tag> {
    let Some(product) = change.product_id else {
        return vec![keys::category(change.category_id.into())];
    };
    let lists = [Some(change.category_id), change.previous_category_id].into_iter().flatten();
    let lists = lists.map(|category| keys::products_of(category.into()));
    std::iter::once(keys::product(product.into())).chain(lists).collect()
}
