//! What every request works with, and the two things all strategies share: how a product is loaded, and what a
//! write reports.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use cache::{CacheClient, Invalidated, Invalidation, NewEntry, Published, Tag};
use database::WriteError;
use events::relay::Outbox;
use runtime::conditions::Preconditions;

use crate::catalogue::{Catalogue, CatalogueError, ListMembership, NewProduct, Product, ProductId, UpdatedProduct};
use crate::keys::{self, Caches};

/// The shop: the truth, and the cache in front of it.
#[derive(Clone, Debug)]
pub struct ProductService {
    /// Postgres.
    pub catalogue: Catalogue,
    /// Redis.
    pub cache: CacheClient,
    /// The strategies' entries in it.
    pub caches: Caches,
    /// The log of changes.
    pub outbox: Outbox,
    /// The longest time for which a COMMIT that was not answered can still take effect.
    pub commit_bound: Duration,
}

/// A committed write, and what it did to the cache.
#[derive(Clone, Debug)]
pub struct CacheWrite {
    /// The product as it is now, and where it was before.
    pub updated: UpdatedProduct,
    /// What happened to its entry.
    pub effect: WriteEffect,
}

/// What a write did to the entries it is responsible for, before it was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteEffect {
    /// Nothing: they are left to their TTL.
    None,
    /// They are gone: the next read loads.
    Invalidated,
    /// The new value is there: the next read is a hit.
    Stored,
    /// Its event was committed with it, and is on its way to whoever holds them.
    Announced,
    /// Redis did not do it yet. This process repeats it until it succeeds, and so does the relay, in whatever process,
    /// when it carries out the event that was committed with the write.
    Deferred,
}

type Loading = Pin<Box<dyn Future<Output = Result<NewEntry, CatalogueError>> + Send>>;

impl ProductService {
    /// Creates a product. When it returns, no entry says that there is none, and no list lacks it.
    pub async fn create(&self, new: &NewProduct) -> Result<(Product, WriteEffect), CatalogueError> {
        let created = self.catalogue.create(new).await;
        let outdated = |product: &Product| {
            let absence = self.caches.all_entries_invalidation(product.id.into());
            self.caches.with_lists(absence, None, Some(product.list_membership()))
        };
        self.invalidate_after_write(created, outdated).await
    }

    /// Deletes a product. When it returns, no list has it; its entries are the business of who hears of it.
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

    /// Invalidates the lists that a product has entered or left by a committed write. `effect` is what the write did to the
    /// product's own entry, and stays what it was unless Redis did not do this.
    pub async fn invalidate_lists(
        &self,
        before: Option<ListMembership>,
        after: Option<ListMembership>,
        effect: WriteEffect,
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

    /// How a lane loads a product. `tags` says what the entry depends on beside its own key.
    pub fn load_product(
        &self,
        id: ProductId,
        tags: fn(&Product) -> Vec<Tag>,
    ) -> impl Fn() -> Loading + Send + Sync + 'static {
        let catalogue = self.catalogue.clone();
        move || {
            let catalogue = catalogue.clone();
            Box::pin(async move {
                match catalogue.product(id).await? {
                    Some(product) => entry(&product, tags(&product)),
                    // Without a tag, because a client can ask for any id: whoever creates the product, and the relay,
                    // removes this entry by its key.
                    None => Ok(NewEntry::absent()),
                }
            })
        }
    }
}

/// What follows a write whose COMMIT was sent.
impl ProductService {
    /// Invalidates what a write has outdated, before the write is acknowledged. A write in doubt fails, and what it may have
    /// outdated is invalidated too.
    pub async fn invalidate_after_write<T>(
        &self,
        written: Result<T, WriteError<T, CatalogueError>>,
        outdated: impl FnOnce(&T) -> Invalidation,
    ) -> Result<(T, WriteEffect), CatalogueError> {
        match written {
            Ok(written) => {
                let effect = self.cache.invalidate(outdated(&written)).await.into();
                Ok((written, effect))
            }
            Err(error) => Err(self.invalidate_if_in_doubt(error, outdated).await),
        }
    }

    /// The same for a change of a product, whose lists are invalidated by whoever called. Where the write is in doubt, they
    /// are invalidated here.
    pub async fn invalidate_after_update(
        &self,
        written: Result<UpdatedProduct, WriteError<UpdatedProduct, CatalogueError>>,
        outdated: impl FnOnce(&UpdatedProduct) -> Invalidation,
    ) -> Result<(UpdatedProduct, WriteEffect), CatalogueError> {
        match written {
            Ok(_) => self.invalidate_after_write(written, outdated).await,
            Err(error) => Err(self
                .invalidate_if_in_doubt(error, |updated| self.caches.with_lists_of(outdated(updated), updated))
                .await),
        }
    }

    /// A change of a product that leaves its entry alone. Where it is in doubt, the lists that the product may have entered or
    /// left are invalidated.
    pub async fn acknowledge_uncached(
        &self,
        written: Result<UpdatedProduct, WriteError<UpdatedProduct, CatalogueError>>,
    ) -> Result<UpdatedProduct, CatalogueError> {
        match written {
            Ok(updated) => Ok(updated),
            Err(error) => {
                let lists = |updated: &UpdatedProduct| self.caches.with_lists_of(Invalidation::hard(), updated);
                Err(self.invalidate_if_in_doubt(error, lists).await)
            }
        }
    }

    /// Invalidates what a write may have outdated whose COMMIT was not answered. Returns why it failed.
    pub async fn invalidate_if_in_doubt<T>(
        &self,
        error: WriteError<T, CatalogueError>,
        outdated: impl FnOnce(&T) -> Invalidation,
    ) -> CatalogueError {
        if let Some(written) = error.in_doubt {
            // The client hears of the failure; whether Redis has done it changes nothing for it.
            let _ = self.cache.invalidate_in_doubt(outdated(&written), self.commit_bound).await;
        }
        error.cause
    }
}

/// A product as the cache keeps it: the JSON of the answer, so that a hit need not decode it.
pub fn entry(product: &Product, tags: Vec<Tag>) -> Result<NewEntry, CatalogueError> {
    let loaded = NewEntry::json(product).map_err(|error| CatalogueError::Internal(error.to_string()))?;
    Ok(loaded.version(product.version.unsigned_abs()).tags(tags))
}

impl WriteEffect {
    /// As `Cache-Status` says it.
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
