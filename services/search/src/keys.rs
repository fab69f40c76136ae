//! Every key and every tag that the search service owns.
//!
//! | key | holds |
//! |---|---|
//! | `search:page:{query}` | one page of results, under its normalised query |
//! | `search:~horizon` | the number of the latest event of each tag; see [`watermarks`](crate::watermarks) |
//! | `search:~dead-letters` | events that could not be parsed or applied |
//!
//! | tag | carried by | invalidated when |
//! |---|---|---|
//! | `product:{id}` | pages that show the product | the product changes |
//! | `category:{id}` | pages that show the category's name, in a hit or in a facet | the category changes |
//! | `word:{abc}` | pages whose longest query word has this beginning; pages of partial matches: any word | the text of a product with such a word changes |
//! | `word:{ab}` | pages whose query has these letters, in a script without spaces or in Korean | such a text changes |
//! | `typo:any` | pages whose query matched only approximately, or not at all | the text of any product changes |
//! | `in:any` | all pages without a query | the text of any product changes, or a product is created or deleted |
//! | `priced-…` | as each of the four above, where a price filter is set | a price changes |
//! | `page:any` | every page | it is unknown which pages an event has outdated |
//!
//! The first two tags cover what a page shows. The others cover what a page does not show yet. A product enters a page
//! (or changes a total) only if it has *all* words of the query, so the tag of one word is enough. A page carries the
//! tag of its longest word, and of each joined spelling that contains this word (`t-shirt`: `tshirt`, `power bank`:
//! `powerbank`). A page of partial matches carries the tags of all words, and of all pairs of letters in runs.

use cache::error::InvalidCache;
use cache::{Cache, CacheClient, Tag};

use crate::query::page::Page;
use crate::settings::PolicySettings;

/// The keyspace in Redis.
pub const KEYSPACE: &str = "search";

/// The key of the dead letters: events that cannot be parsed or applied.
pub const DEAD_LETTERS: &str = "search:~dead-letters";

/// The key of the sorted set of watermarks.
pub const WATERMARKS: &str = "search:~horizon";

/// Returns the cache of result pages.
pub fn pages(client: &CacheClient, policies: &PolicySettings) -> Result<Cache<Page>, InvalidCache> {
    client.cache("page", policies.page.policy())
}

/// Returns the tag of pages that show the product.
pub fn product(id: i64) -> Tag {
    Tag::new("product", id)
}

/// Returns the tag of pages that show the name of the category.
pub fn category(id: i64) -> Tag {
    Tag::new("category", id)
}

/// Returns the tag that every page carries.
pub fn every_page() -> Tag {
    Tag::new("page", "any")
}

/// How the products of a page are selected: by text alone, or also by price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PageBasis {
    /// By text and category.
    ByText,
    /// By a price filter as well.
    ByPrice,
}

impl PageBasis {
    /// Returns the tag of pages whose query has a word with this beginning.
    pub fn word(self, beginning: &str) -> Tag {
        self.tag("word", "priced-word", beginning)
    }

    /// Returns the tag of pages that matched only approximately.
    pub fn typo(self) -> Tag {
        self.tag("typo", "priced-typo", "any")
    }

    /// Returns the tag of pages without a query. Their facets count products of all categories.
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
