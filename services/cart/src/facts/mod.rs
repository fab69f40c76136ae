//! Facts of products: from the cache, else from the product API, else the last known ones.
//!
//! | who says it | fresh? | stored? |
//! |---|---|---|
//! | the cache | as fresh as the events | it is |
//! | the product API, of a version not below the last event's | yes | yes |
//! | the product API, of an older version, twice | no, flagged | no |
//! | `known_products`, while the product API is away | no, flagged | no |
//!
//! The cache is left out while it is not known that events are carried out.
//!
//! Nothing here is decided by a clock: an event removes the entry, which also ends the lease of a load under way, and
//! raises the floor below which an answer is not believed.

mod batch;
mod known;
mod model;
mod source;
mod upstream;

pub use known::Known;
pub use model::{Facts, Memory, State, Word};
pub use upstream::{Away, Upstream};

use std::collections::HashMap;

use cache::{Cache, Cached, GetError, NewEntry};
use events::consumer::EventProgress;
use futures_util::future::join_all;

use crate::error::CartError;
use crate::ids::ProductId;
use batch::Batch;
use source::Source;

/// Why the cache is left out, as `Cache-Status` says it.
pub const UNVERIFIED: &str = "events-unverified";

/// The way to facts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProductFacts {
    lane: Cache,
    progress: EventProgress,
    source: Source,
    batch: Batch,
}

impl ProductFacts {
    /// Facts cached in `lane`, which is as fresh as the `progress` of the events.
    pub fn new(lane: Cache, progress: EventProgress, upstream: Upstream, known: Known) -> Self {
        let source = Source { upstream, known };
        Self { lane, progress, batch: Batch::new(source.clone()), source }
    }

    /// Whether events are carried out, as far as it is known: else what lies in the cache may be outdated.
    pub fn are_verified(&self) -> bool {
        self.progress.verified().is_ok()
    }

    /// What can be said about one product, through the cache.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn one(&self, id: ProductId) -> Result<Word, GetError> {
        self.fetch(self.lane.clone(), None, id).await
    }

    /// One product, where `together` with others: its load waits until theirs have begun.
    async fn fetch(&self, lane: Cache, together: Option<cache::Batch>, id: ProductId) -> Result<Word, GetError> {
        let batch = self.batch.clone();
        let load = move || {
            // Registered before the future is polled.
            let word = batch.word(id.get(), together.clone());
            async move { entry(&word.await?) }
        };
        let key = lane.key(id);
        let fetched = match self.are_verified() {
            true => lane.get_or_load(&key, load).await?,
            false => lane.load_uncached(&key, UNVERIFIED, load).await?,
        };
        Ok(word(&fetched))
    }

    /// What is in the cache about these products, without a load.
    pub async fn cached(&self, ids: &[i64]) -> HashMap<i64, Word> {
        let look = |id: i64| async move { Some((id, word(&self.lane.get(&self.lane.key(id)).await?))) };
        join_all(ids.iter().copied().map(look)).await.into_iter().flatten().collect()
    }

    /// What can be said about these products, through the cache: each is loaded into it that is not there. All that no other
    /// reader loads already are asked for in one request, so their loads share one place in the bulkhead.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn through_cache(&self, ids: &[i64]) -> Result<HashMap<i64, Word>, GetError> {
        let together = self.lane.batch();
        let one = |id: i64| {
            let (lane, together) = (together.cache(), together.clone());
            async move { Ok((id, self.fetch(lane, Some(together), id.into()).await?)) }
        };
        join_all(ids.iter().copied().map(one)).await.into_iter().collect()
    }

    /// What can be said about these products, past the cache.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn asked(&self, ids: &[i64]) -> Result<HashMap<i64, Word>, CartError> {
        self.source.words(ids).await
    }
}

/// A word as the cache keeps it, if it may.
fn entry(word: &Word) -> Result<NewEntry, CartError> {
    Ok(match &word.product {
        State::Gone(None) if !word.stale => NewEntry::absent(),
        _ if word.stale => NewEntry::json(word)?.do_not_store(),
        State::Sold(facts) => NewEntry::json(word)?.version(facts.version.unsigned_abs()),
        State::Gone(_) | State::Unknown => NewEntry::json(word)?,
    })
}

/// What an entry says. One that cannot be read says nothing: whoever changes the form of [`Word`] renames the lane.
fn word(fetched: &Cached) -> Word {
    match fetched.json() {
        Ok(Some(word)) => word,
        Ok(None) => Word::fresh(State::Gone(None)),
        Err(_) => Word::unknown(),
    }
}
