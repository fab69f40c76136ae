//! The seven strategies. One file each, with the same two functions: `read` and `write`.
//!
//! What differs between them is what the eye catches: which entry, with which tags, and what happens to it after
//! COMMIT. How they are stored, fenced and shared is the `cache` crate's business.

pub mod events;
pub mod explicit;
pub mod production;
pub mod swr;
pub mod tags;
pub mod ttl;
pub mod writethrough;

use std::str::FromStr;

use cache::{Cached, GetError};
use serde::Deserialize;
use utoipa::ToSchema;

use runtime::cache_control::Caching;
use runtime::conditions::Preconditions;

use crate::catalogue::{CatalogueError, ProductChange, ProductId};
use crate::products::{CacheWrite, ProductService};

/// The strategies, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// 1: entries expire.
    Ttl,
    /// 2: the writer deletes the entry.
    Explicit,
    /// 3: the writer stores the new value.
    Writethrough,
    /// 4: the change is announced, a listener deletes the entry.
    Events,
    /// 5: stale entries are served at once and refreshed behind.
    Swr,
    /// 6: entries carry tags, and are invalidated by tag.
    Tags,
    /// 7: all of them together.
    Production,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Ttl, Self::Explicit, Self::Writethrough, Self::Events, Self::Swr, Self::Tags, Self::Production];

    /// As it stands in paths and keys.
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

    /// What it allows other caches: staleness, where it allows it to its own.
    pub fn caching(self) -> Caching {
        match self {
            Self::Ttl => Caching::Ttl,
            Self::Swr => Caching::StaleWhileRevalidate,
            Self::Explicit | Self::Writethrough | Self::Events | Self::Tags | Self::Production => Caching::Validated,
        }
    }

    /// Reads a product by this strategy.
    pub async fn read(self, service: &ProductService, id: ProductId) -> Result<Cached, GetError> {
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

    /// Changes a product and does to its entry what this strategy does. Lists that it enters or leaves are invalidated in any
    /// case: an entry of one product is one strategy's, a list is everybody's.
    pub async fn write(
        self,
        service: &ProductService,
        id: ProductId,
        change: &ProductChange,
        expect: &Preconditions,
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
