//! The state that every request shares, and what all strategies have in common: loading a product, and the effect of a
//! write on the cache.

use std::time::Duration;

use cache::loader::Loader;
use cache::write_through::Published;
use cache::{CacheClient, Invalidated, Invalidation, NewEntry, Tag, with};
use contract::ProductId;
use database::WriteError;
use outbox::relay::Outbox;
use service::conditions::Preconditions;

use crate::catalogue::{Catalogue, CatalogueError, ListMembership, NewProduct, Product, UpdatedProduct};
use crate::keys::{self, Caches};

/// The catalogue in Postgres, and its caches in Redis.
#[derive(Clone, Debug)]
pub struct ProductService {
    /// The queries and changes in Postgres.
    pub catalogue: Catalogue,
    /// The connection to Redis.
    pub cache: CacheClient,
    /// The caches of the strategies and lists.
    pub caches: Caches,
    /// The outbox, which `/events` reads.
    pub outbox: Outbox,
    /// The longest time for which an unacknowledged COMMIT can still take effect.
    pub commit_bound: Duration,
}

/// A committed write and its effect on the cache.
#[derive(Clone, Debug)]
pub struct CacheWrite {
    /// The product after the write, and the lists that it was on before.
    pub updated: UpdatedProduct,
    /// The effect on the product's entry.
    pub effect: WriteEffect,
}

/// The effect of a write on the entries that its writer is responsible for, before the write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteEffect {
    /// None: the entries stay until their TTL ends.
    None,
    /// The entries are removed: the next read loads.
    Invalidated,
    /// The new value is stored: the next read is a hit.
    Stored,
    /// The event is committed with the write, and the relay publishes it to the processes that hold entries.
    Announced,
    /// Redis has not acknowledged the invalidation. This process retries it until it succeeds. The relay, in any
    /// process, also makes it when it handles the event that was committed with the write.
    Deferred,
}

impl ProductService {
    /// Creates a product. When it returns, no entry says that the product does not exist, and no list lacks it.
    pub async fn create(&self, new: &NewProduct) -> Result<(Product, WriteEffect), CatalogueError> {
        let created = self.catalogue.create(new).await;
        let outdated = |product: &Product| {
            let absence = self.caches.all_entries_invalidation(product.id.into());
            self.caches.with_lists(absence, None, Some(product.list_membership()))
        };
        self.invalidate_after_write(created, outdated).await
    }

    /// Deletes a product. When it returns, no list shows it. The relay and the listener remove its entries.
    pub async fn delete(&self, id: ProductId, expect: &Preconditions) -> Result<WriteEffect, CatalogueError> {
        match self.catalogue.delete(id, expect).await {
            Ok(product) => {
                Ok(self.invalidate_lists(Some(product.list_membership()), None, WriteEffect::Announced).await)
            }
            Err(error) => Err(self
                .invalidate_if_in_doubt(error, |product| self.lists(Some(product.list_membership()), None))
                .await),
        }
    }

    /// Invalidates the lists that a product has entered or left by a committed write. `effect` is the effect of the
    /// write on the product's own entry. Returns `effect`, or `Deferred` if Redis did not acknowledge this
    /// invalidation.
    pub async fn invalidate_lists(
        &self, before: Option<ListMembership>, after: Option<ListMembership>, effect: WriteEffect,
    ) -> WriteEffect {
        if keys::collections(before, after).is_empty() {
            return effect;
        }
        match self.cache.invalidate(self.lists(before, after)).await {
            Invalidated::Done { .. } => effect,
            Invalidated::Deferred => WriteEffect::Deferred,
        }
    }

    fn lists(&self, before: Option<ListMembership>, after: Option<ListMembership>) -> Invalidation {
        self.caches.with_lists(Invalidation::hard(), before, after)
    }

    /// Returns the loader of a product. `tags` returns the tags that the entry carries.
    pub fn load_product(&self, id: ProductId, tags: fn(&Product) -> Vec<Tag>) -> impl Loader<Product> {
        with(&self.catalogue, (id, tags), load)
    }
}

async fn load(
    catalogue: &Catalogue, (id, tags): (ProductId, fn(&Product) -> Vec<Tag>),
) -> Result<NewEntry<Product>, CatalogueError> {
    // An absent product has no tag, because a client can ask for any id: the writer that creates the product, and the
    // relay, remove this entry by its key.
    Ok(catalogue.product(id).await?.map_or_else(NewEntry::absent, |product| entry(&product, tags(&product))))
}

/// The invalidations that follow a COMMIT.
impl ProductService {
    /// Invalidates what a write has outdated, before the write is acknowledged. If the write is in doubt, it fails, and
    /// what it may have outdated is invalidated too.
    pub async fn invalidate_after_write<T>(
        &self, written: Result<T, WriteError<T, CatalogueError>>, outdated: impl FnOnce(&T) -> Invalidation,
    ) -> Result<(T, WriteEffect), CatalogueError> {
        match written {
            Ok(written) => {
                let effect = self.cache.invalidate(outdated(&written)).await.into();
                Ok((written, effect))
            }
            Err(error) => Err(self.invalidate_if_in_doubt(error, outdated).await),
        }
    }

    /// Does the same for a change of a product whose lists the caller invalidates. If the write is in doubt, this
    /// function invalidates the lists.
    pub async fn invalidate_after_update(
        &self, written: Result<UpdatedProduct, WriteError<UpdatedProduct, CatalogueError>>,
        outdated: impl FnOnce(&UpdatedProduct) -> Invalidation,
    ) -> Result<(UpdatedProduct, WriteEffect), CatalogueError> {
        match written {
            Ok(_) => self.invalidate_after_write(written, outdated).await,
            Err(error) => Err(self
                .invalidate_if_in_doubt(error, |updated| self.caches.with_lists_of(outdated(updated), updated))
                .await),
        }
    }

    /// Acknowledges a change of a product that does not touch its entry. If the write is in doubt, invalidates the
    /// lists that the product may have entered or left.
    pub async fn acknowledge_uncached(
        &self, written: Result<UpdatedProduct, WriteError<UpdatedProduct, CatalogueError>>,
    ) -> Result<UpdatedProduct, CatalogueError> {
        match written {
            Ok(updated) => Ok(updated),
            Err(error) => {
                let lists = |updated: &UpdatedProduct| self.caches.with_lists_of(Invalidation::hard(), updated);
                Err(self.invalidate_if_in_doubt(error, lists).await)
            }
        }
    }

    /// Invalidates what a write with an unacknowledged COMMIT may have outdated. Returns why the write failed.
    pub async fn invalidate_if_in_doubt<T>(
        &self, error: WriteError<T, CatalogueError>, outdated: impl FnOnce(&T) -> Invalidation,
    ) -> CatalogueError {
        if let Some(written) = error.in_doubt {
            // The client receives the error of the write. It is the same whether or not Redis has made the
            // invalidation.
            let _ = self.cache.invalidate_in_doubt(outdated(&written), self.commit_bound).await;
        }
        error.cause
    }
}

/// Returns the cached form of a product: the JSON of the response, so that a hit does not decode it.
pub fn entry(product: &Product, tags: Vec<Tag>) -> NewEntry<Product> {
    NewEntry::value(product).version(product.version.unsigned_abs()).tags(tags)
}

impl WriteEffect {
    /// Returns the word for `Cache-Status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "left",
            Self::Invalidated => "invalidated",
            Self::Stored => "stored",
            Self::Announced => "announced",
            Self::Deferred => "deferred",
        }
    }
}

impl From<Invalidated> for WriteEffect {
    fn from(invalidated: Invalidated) -> Self {
        match invalidated {
            Invalidated::Done { .. } => Self::Invalidated,
            Invalidated::Deferred => Self::Deferred,
        }
    }
}

impl From<Published> for WriteEffect {
    fn from(published: Published) -> Self {
        match published {
            Published::Stored => Self::Stored,
            Published::Invalidated => Self::Invalidated,
            Published::Deferred => Self::Deferred,
        }
    }
}
