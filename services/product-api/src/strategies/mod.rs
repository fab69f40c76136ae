//! The seven strategies. Each has a file with the same two functions, `read` and `write`.
//!
//! The strategies differ in the cache that they use, in the tags of its entries, and in what the writer does after
//! COMMIT. The `cache` crate stores, fences and shares the entries.

pub mod events;
pub mod explicit;
pub mod production;
pub mod swr;
pub mod tags;
pub mod ttl;
pub mod writethrough;

use std::str::FromStr;

use cache::Cached;
use cache::error::LoadError;
use contract::ProductId;
use serde::Deserialize;
use utoipa::ToSchema;

use service::cache_control::Caching;
use service::conditions::Preconditions;

use crate::catalogue::{CatalogueError, Product, ProductChange};
use crate::products::{CacheWrite, ProductService};

/// The strategies, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// 1: entries expire.
    Ttl,
    /// 2: the writer deletes the entry.
    Explicit,
    /// 3: the writer stores the new value.
    Writethrough,
    /// 4: the relay publishes the change, a listener deletes the entry.
    Events,
    /// 5: a stale entry is served at once and refreshed in the background.
    Swr,
    /// 6: entries carry tags, and the writer invalidates by tag.
    Tags,
    /// 7: TTLs, explicit invalidation, stale-while-revalidate, tags and the relay together.
    Production,
}

impl Strategy {
    /// All strategies, in this order.
    pub const ALL: [Self; 7] =
        [Self::Ttl, Self::Explicit, Self::Writethrough, Self::Events, Self::Swr, Self::Tags, Self::Production];

    /// Returns the name in paths and keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Explicit => "explicit",
            Self::Writethrough => "writethrough",
            Self::Events => "events",
            Self::Swr => "swr",
            Self::Tags => "tags",
            Self::Production => "production",
        }
    }

    /// Returns what other caches may do with a response. They may serve it stale only where the strategy itself serves
    /// stale entries.
    pub fn caching(self) -> Caching {
        match self {
            Self::Ttl => Caching::Ttl,
            Self::Swr => Caching::StaleWhileRevalidate,
            Self::Explicit | Self::Writethrough | Self::Events | Self::Tags | Self::Production => Caching::Validated,
        }
    }

    /// Reads a product with this strategy.
    pub async fn read(self, service: &ProductService, id: ProductId) -> Result<Cached<Product>, LoadError> {
        match self {
            Self::Ttl => ttl::read(service, id).await,
            Self::Explicit => explicit::read(service, id).await,
            Self::Writethrough => writethrough::read(service, id).await,
            Self::Events => events::read(service, id).await,
            Self::Swr => swr::read(service, id).await,
            Self::Tags => tags::read(service, id).await,
            Self::Production => production::read(service, id).await,
        }
    }

    /// Changes a product, and treats its entry in the cache as this strategy does. Every strategy invalidates the lists
    /// that the product enters or leaves: each strategy has its own entry of a product, but all of them share the
    /// lists.
    pub async fn write(
        self, service: &ProductService, id: ProductId, change: &ProductChange, expect: &Preconditions,
    ) -> Result<CacheWrite, CatalogueError> {
        let written = match self {
            Self::Ttl => ttl::write(service, id, change, expect).await,
            Self::Explicit => explicit::write(service, id, change, expect).await,
            Self::Writethrough => writethrough::write(service, id, change, expect).await,
            Self::Events => events::write(service, id, change, expect).await,
            Self::Swr => swr::write(service, id, change, expect).await,
            Self::Tags => tags::write(service, id, change, expect).await,
            Self::Production => production::write(service, id, change, expect).await,
        }?;
        let (before, after) = (written.updated.previous, written.updated.product.list_membership());
        let effect = service.invalidate_lists(Some(before), Some(after), written.effect).await;
        Ok(CacheWrite { effect, ..written })
    }
}

impl FromStr for Strategy {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or(())
    }
}
