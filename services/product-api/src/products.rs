//! The state that every request shares, and the writes that create and delete products.

use std::time::Duration;

use cache::{CacheClient, Invalidation};
use contract::{ConsistencyToken, ProductId};
use database::WriteError;
use outbox::relay::Outbox;
use service::caching::Preconditions;

use crate::catalogue::{Catalogue, CatalogueError, Committed, NewProduct, Product};
use crate::faults::CrashSwitch;
use crate::keys::Caches;
use crate::strategies::{Strategy, WriteEffect};
use crate::uncached_reads::UncachedReads;

/// The catalogue in Postgres, and its caches in Redis.
#[derive(Clone, Debug)]
pub struct ProductService {
    /// The queries and changes in Postgres.
    pub catalogue: Catalogue,
    /// The connection to Redis.
    pub cache: CacheClient,
    /// The caches of the strategies and lists.
    pub caches: Caches,
    /// The limit of the reads that use no cache.
    pub uncached_reads: UncachedReads,
    /// The outbox, which `/events` reads.
    pub outbox: Outbox,
    /// The longest time for which an unacknowledged COMMIT can still take effect.
    pub commit_bound: Duration,
    /// How long a write guard of strategy 7 lasts if its writer dies; `None` without guards.
    pub guard_lease: Option<Duration>,
    /// Whether the next committed change kills the process: a fault of the console.
    pub crash: CrashSwitch,
}

impl ProductService {
    /// Creates a product. When it returns, no entry says that the product does not exist, and no list lacks it, unless
    /// the effect is [`WriteEffect::Deferred`].
    pub async fn create(&self, new: &NewProduct) -> Result<(Committed<Product>, WriteEffect), CatalogueError> {
        let created = self.catalogue.create(new).await;
        let outdated = |Committed { value: product, .. }: &Committed<Product>| {
            let absence = self.caches.all_entries_invalidation(product.id.into());
            self.caches.with_lists(absence, None, Some(product.list_membership()))
        };
        self.invalidate_after_write(created, outdated).await
    }

    /// Deletes a product, and its entry in the cache of `strategy`, if one is given. When it returns, no list shows the
    /// product. The relay and the listener remove its other entries.
    pub async fn delete(
        &self, id: ProductId, expect: &Preconditions, strategy: Option<Strategy>,
    ) -> Result<(ConsistencyToken, WriteEffect), CatalogueError> {
        let own = strategy.map(|strategy| self.caches.products[strategy as usize].key(id));
        let deleted = self.catalogue.as_writer(strategy.map_or("", Strategy::name)).delete(id, expect).await;
        let outdated = |Committed { value: product, .. }: &Committed<Product>| {
            let own = own.into_iter().fold(Invalidation::hard(), Invalidation::key);
            self.caches.with_lists(own, Some(product.list_membership()), None)
        };
        match self.invalidate_after_write(deleted, outdated).await? {
            (deleted, WriteEffect::Invalidated) if strategy.is_none() => Ok((deleted.token, WriteEffect::Announced)),
            (deleted, effect) => Ok((deleted.token, effect)),
        }
    }

    /// Invalidates what a write has outdated, before the write is acknowledged. If the write is in doubt, it fails, and
    /// what it may have outdated is invalidated, too.
    pub async fn invalidate_after_write<T>(
        &self, written: Result<T, WriteError<T, CatalogueError>>, outdated: impl FnOnce(&T) -> Invalidation,
    ) -> Result<(T, WriteEffect), CatalogueError> {
        match written {
            Ok(written) => {
                let effect = self.cache.invalidate(outdated(&written)).await.into();
                Ok((written, effect))
            }
            Err(WriteError { cause, in_doubt }) => {
                if let Some(written) = in_doubt {
                    self.invalidate_in_doubt(outdated(&written)).await;
                }
                Err(cause)
            }
        }
    }

    /// Invalidates what a write with an unacknowledged COMMIT may have outdated.
    pub async fn invalidate_in_doubt(&self, outdated: Invalidation) {
        // The client receives the error of the write. It is the same whether or not Redis has made the invalidation.
        let _ = self.cache.invalidate_in_doubt(outdated, self.commit_bound).await;
    }
}
