//! Where facts come from: the product API, checked against the events, and the last known ones where it is away.

use std::collections::HashMap;

use tracing::debug;

use super::known::Known;
use super::model::{Facts, Memory, State, Word};
use super::upstream::{Away, Upstream};
use crate::error::CartError;

/// The product API and the memory of it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) upstream: Upstream,
    pub(super) known: Known,
}

impl Source {
    /// What can be said about each of these products just now. Never begins before it is called.
    ///
    /// The product API's answer counts if no event that was heard is newer. An older one (a lagging replica behind it,
    /// a proxy that caches) is asked for once more; still older, it is shown flagged, and must not be stored.
    pub(super) async fn words(&self, ids: &[i64]) -> Result<HashMap<i64, Word>, CartError> {
        let Ok(mut fetched) = self.fetch(ids).await else {
            let mut memory = self.known.of(ids).await?;
            let last = |id: &i64| (*id, memory.remove(id).unwrap_or_default().last_word(None));
            return Ok(ids.iter().map(last).collect());
        };
        // After the answer: what is heard until here outranks it.
        let mut memory = self.known.of(ids).await?;
        let behind = outranked(ids, &fetched, &memory);
        if !behind.is_empty() {
            if let Ok(again) = self.fetch(&behind).await {
                behind.iter().for_each(|id| drop(fetched.remove(id)));
                fetched.extend(again);
            }
            memory = self.known.of(ids).await?;
        }
        let behind = outranked(ids, &fetched, &memory);
        self.note(ids, &behind, &fetched, &memory).await?;
        let word = |id: &i64| {
            let facts = fetched.remove(id);
            let memory = memory.remove(id).unwrap_or_default();
            let word = match facts {
                facts if behind.contains(id) => memory.last_word(facts),
                Some(facts) => Word::fresh(State::Sold(facts)),
                None => Word::fresh(State::Gone(memory.facts)),
            };
            (*id, word)
        };
        Ok(ids.iter().map(word).collect())
    }

    async fn fetch(&self, ids: &[i64]) -> Result<HashMap<i64, Facts>, Away> {
        let products = self.upstream.products(ids).await?;
        Ok(products.into_iter().map(|product| (product.id, Facts::from(product))).collect())
    }

    /// Remembers what is believed and was not known.
    async fn note(
        &self,
        ids: &[i64],
        behind: &[i64],
        fetched: &HashMap<i64, Facts>,
        memory: &HashMap<i64, Memory>,
    ) -> Result<(), CartError> {
        let (mut news, mut gone) = (Vec::new(), Vec::new());
        for id in ids.iter().filter(|id| !behind.contains(id)) {
            match (fetched.get(id), memory.get(id)) {
                (Some(facts), None) => news.push((*id, facts.clone(), 0)),
                (Some(facts), Some(memory)) if memory.lacks(facts) => news.push((*id, facts.clone(), memory.seq)),
                (None, Some(memory)) if !memory.deleted => gone.push((*id, memory.seq)),
                _ => {}
            }
        }
        if !news.is_empty() {
            unless_read_only(self.known.remember(&news).await)?;
        }
        if !gone.is_empty() {
            unless_read_only(self.known.forget(&gone).await)?;
        }
        Ok(())
    }
}

/// What is fetched can be shown without being remembered: it is the fallback for another time.
fn unless_read_only(remembered: Result<(), CartError>) -> Result<(), CartError> {
    match remembered {
        Err(error) if error.is_read_only() => {
            debug!(%error, "what was fetched is not remembered");
            Ok(())
        }
        remembered => remembered,
    }
}

/// Those of which an event has told something newer than what was fetched.
fn outranked(ids: &[i64], fetched: &HashMap<i64, Facts>, memory: &HashMap<i64, Memory>) -> Vec<i64> {
    let is_outranked = |id: &&i64| memory.get(id).is_some_and(|memory| memory.outranks(fetched.get(id)));
    ids.iter().filter(is_outranked).copied().collect()
}
