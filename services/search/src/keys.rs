//! Every key and every tag that the search owns, in one place.
//!
//! | key | holds |
//! |---|---|
//! | `search:page:{query}` | one page of results, under its normalised query |
//! | `search:~horizon` | for each tag the number of the last event that touched it; see [`watermarks`](crate::watermarks) |
//! | `search:~dead-letters` | events that could not be read |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `product:{id}` | pages that show the product | the product changes |
//! | `category:{id}` | pages that show the category's name, in a hit or in a facet | the category changes |
//! | `word:{abc}` | pages whose query has a word that begins so | the text of a product with such a word changes |
//! | `word:{ab}` | pages whose query has a run of letters that begins so | the text of a product with these letters changes |
//! | `typo:any` | pages whose query matched only approximately, or not at all | the text of any product changes |
//! | `in:any` | all pages without a query | a product with another text enters or leaves |
//! | `priced-…` | as each of the four above, where a price filter is set | a price changes |
//! | `page:any` | every page | it is not known what an event has touched |
//!
//! The tags of the upper two rows are for what a page shows. The others are for what it does not show yet: a product
//! enters a page (or changes a total) only if it has *all* words of the query, so one word's tag is enough, and a page
//! carries that of its longest word, and of what that word is part of in another spelling (`t-shirt`: `tshirt`). A page of
//! partial matches carries those of all words, and of all pairs of letters in runs.

use cache::{Cache, CacheClient, PolicyError, Tag};

use crate::settings::PolicySettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "search";

/// Where events go that cannot be read.
pub const DEAD_LETTERS: &str = "search:~dead-letters";

/// The sorted set of the horizon.
pub const HORIZON: &str = "search:~horizon";

/// The lane of result pages.
pub fn pages(cache: &CacheClient, lanes: &PolicySettings) -> Result<Cache, PolicyError> {
    cache.cache("page", lanes.page.policy())
}

/// What a page shows of a product.
pub fn product(id: i64) -> Tag {
    Tag::new("product", id)
}

/// What a page shows of a category: its name.
pub fn category(id: i64) -> Tag {
    Tag::new("category", id)
}

/// Every page.
pub fn every_page() -> Tag {
    Tag::new("page", "any")
}

/// Which products a page is made of: by text alone, or by price too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PageBasis {
    /// By text and category.
    ByText,
    /// By a price filter as well.
    ByPrice,
}

impl PageBasis {
    /// Pages with a word that begins so.
    pub fn word(self, beginning: &str) -> Tag {
        self.tag("word", "priced-word", beginning)
    }

    /// Pages that matched only approximately.
    pub fn typo(self) -> Tag {
        self.tag("typo", "priced-typo", "any")
    }

    /// Pages without a query. Their facets count products of all categories.
    pub fn anything(self) -> Tag {
        self.tag("in", "priced-in", "any")
    }

    fn tag(self, by_text: &str, by_price: &str, id: &str) -> Tag {
        match self {
            Self::ByText => Tag::new(by_text, id),
            Self::ByPrice => Tag::new(by_price, id),
        }
    }
}
