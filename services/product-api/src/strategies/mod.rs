//! The strategies. Each has a file with the same two functions, `read` and `write`, and a line in
//! [`for_each_strategy`](contract::for_each_strategy), from which this module makes the enum.
//!
//! The strategies differ in the cache that they use, in the tags of its entries, and in what the writer does after
//! COMMIT. The `cache` crate stores, fences and shares the entries.

use std::borrow::Cow;
use std::str::FromStr;

use cache::error::LoadError;
use cache::loader::Loader;
use cache::write_through::Published;
use cache::{Cache, Cached, Invalidated, Invalidation, NewEntry, Tag, with};
use contract::{ConsistencyToken, ProductId, STRATEGY_NAMES};
use database::WriteError;
use database::snapshot::TransactionSnapshot;
use serde::Deserialize;
use service::caching::Caching;
use service::loads::from_database;
use service::problem::Problem;
use utoipa::ToSchema;

use crate::catalogue::{Catalogue, CatalogueError, Committed, LoadedProduct, Product, ProductWrite, UpdatedProduct};
use crate::keys;
use crate::products::ProductService;

/// The result of `read`.
pub type ReadResult = Result<Cached<Product>, LoadError>;
/// The result of `write`.
pub type WriteResult = Result<(Committed<Product>, WriteEffect), CatalogueError>;

macro_rules! strategies {
    ($($number:literal, $name:ident, $variant:ident, $own:expr, $other:expr;)*) => {
        $(pub mod $name;)*

        /// The strategies, in the order of their numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        #[expect(missing_docs, reason = "the module of the same name explains the variant")]
        pub enum Strategy { $($variant),* }

        /// The name and the default policy of each strategy, for the section `[lanes]` of the settings.
        pub const POLICIES: [(&str, &str); Strategy::ALL.len()] = [$((stringify!($name), $name::POLICY)),*];

        impl Strategy {
            /// All strategies, in this order.
            pub const ALL: [Self; STRATEGY_NAMES.len()] = [$(Self::$variant),*];

            /// Returns what other caches may do with a response. They may serve it stale only where the strategy itself
            /// serves stale entries.
            pub fn caching(self) -> Caching {
                match self { $(Self::$variant => $name::CACHING),* }
            }

            /// Reads a product with this strategy. With `token`, an entry is returned only if it shows that write.
            pub async fn read(
                self, service: &ProductService, id: ProductId, token: Option<ConsistencyToken>,
            ) -> ReadResult {
                let cache = &*self.cache(service, token);
                match self { $(Self::$variant => $name::read(service, cache, id).await),* }
            }

            /// Changes a product, and treats its entry in the cache as this strategy does. Every strategy invalidates the
            /// lists that the product enters or leaves: each strategy has its own entry of a product, but all of them
            /// share the lists.
            pub async fn write(self, service: &ProductService, write: &ProductWrite) -> WriteResult {
                let cache = &service.caches.products[self as usize];
                match self { $(Self::$variant => $name::write(service, cache, write).await),* }
            }
        }
    };
}
contract::for_each_strategy!(strategies);

/// A name in a path that no strategy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStrategy;

impl Strategy {
    /// Returns the cache for one read. Ignores the token if the strategy lets other caches (browsers and proxies) serve
    /// a response without revalidation, because those caches do not check the token.
    fn cache(self, service: &ProductService, token: Option<ConsistencyToken>) -> Cow<'_, Cache<Product>> {
        let cache = &service.caches.products[self as usize];
        match token {
            Some(token) if self.caching() == Caching::Validated => Cow::Owned(cache.requiring(move |stamp| {
                stamp.and_then(TransactionSnapshot::parse).is_some_and(|snapshot| snapshot.sees(token.transaction()))
            })),
            _ => Cow::Borrowed(cache),
        }
    }

    /// Returns the name in paths, keys and settings.
    pub fn name(self) -> &'static str {
        STRATEGY_NAMES[self as usize]
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or(UnknownStrategy)
    }
}

impl From<UnknownStrategy> for Problem {
    fn from(UnknownStrategy: UnknownStrategy) -> Self {
        Self::not_found(format!("The strategy does not exist. Accepted strategies: {}.", STRATEGY_NAMES.join(", ")))
    }
}

/// Returns the tags of a product's entry; for `None`, those of the entry that says "not found".
type Tags = fn(Option<&Product>) -> Vec<Tag>;

/// Returns the loader of a product's entry.
fn load(service: &ProductService, id: ProductId, tags: Tags) -> impl Loader<Product> {
    with(&service.catalogue, (id, tags), load_product)
}

async fn load_product(
    catalogue: &Catalogue, (id, tags): (ProductId, Tags),
) -> Result<NewEntry<Product>, CatalogueError> {
    let load = async {
        let LoadedProduct { product, snapshot } = catalogue.product_with_snapshot(id).await?;
        let tags = tags(product.as_ref());
        Ok(product.map_or_else(NewEntry::absent, |product| entry(&product)).tags(tags).stamp(&snapshot))
    };
    from_database(catalogue.pool(), load).await
}

/// Returns the entry of a product, without tags: the JSON of the response, so that a hit does not decode it.
fn entry(product: &Product) -> NewEntry<Product> {
    NewEntry::value(product).version(product.version.unsigned_abs())
}

/// What a committed write has outdated, apart from lists. The writer removes it before it responds.
pub(crate) enum Outdated<'c> {
    /// Nothing to invalidate. The strategy has already determined the effect on the entry.
    Nothing(WriteEffect),
    /// The product's entry in this cache.
    EntryIn(&'c Cache<Product>),
    /// Everything with these names.
    Names(Invalidation),
}

/// Completes a write to a product: invalidates the entries that it has outdated, then the lists that the product has
/// entered or left. When this returns, the lists are current, with every strategy, unless the effect is
/// [`WriteEffect::Deferred`].
///
/// If the COMMIT is in doubt, the write fails, and everything that it may have outdated is invalidated, too.
pub(crate) async fn finish<'c>(
    service: &ProductService, updated: Result<UpdatedProduct, WriteError<UpdatedProduct, CatalogueError>>,
    outdated: impl FnOnce(&UpdatedProduct) -> Outdated<'c>,
) -> WriteResult {
    match updated {
        Ok(updated) => {
            service.crash.after_commit();
            let effect = match outdated(&updated) {
                Outdated::Nothing(effect) => effect,
                Outdated::EntryIn(cache) => cache.invalidate(updated.product.id).await.into(),
                Outdated::Names(names) => service.cache.invalidate(names).await.into(),
            };
            let (before, after) = (updated.previous, updated.product.list_membership());
            let product = Committed { value: updated.product, token: updated.token };
            if before == after {
                return Ok((product, effect));
            }
            let lists = service.caches.with_lists(Invalidation::hard(), Some(before), Some(after));
            match service.cache.invalidate(lists).await {
                Invalidated::Done { .. } => Ok((product, effect)),
                Invalidated::Deferred => Ok((product, WriteEffect::Deferred)),
            }
        }
        Err(WriteError { cause, in_doubt }) => {
            if let Some(updated) = in_doubt {
                let own = match outdated(&updated) {
                    Outdated::Nothing(_) => None,
                    Outdated::EntryIn(cache) => Some(Invalidation::hard().key(cache.key(updated.product.id))),
                    Outdated::Names(names) => Some(names),
                };
                let (before, after) = (updated.previous, updated.product.list_membership());
                let lists = service.caches.with_lists(Invalidation::hard(), Some(before), Some(after));
                for names in own.into_iter().chain([lists]) {
                    service.invalidate_in_doubt(names).await;
                }
            }
            Err(cause)
        }
    }
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

#[cfg(test)]
mod tests;
