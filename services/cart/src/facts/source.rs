//! Where facts come from: the product API, checked against the events, and the last known ones where it is away.

use std::collections::HashMap;

use tracing::debug;

use super::model::{ProductFields, ProductInfo, Snapshot, State};
use super::snapshots::ProductSnapshots;
use super::upstream::{Upstream, UpstreamDown};
use crate::error::CartError;

/// The product API and the memory of it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) upstream: Upstream,
    pub(super) snapshots: ProductSnapshots,
}

impl Source {
    /// What can be said about each of these products just now. Never begins before it is called.
    ///
    /// The product API's answer counts if no event that was heard is newer. An older one (a lagging replica behind it,
    /// a proxy that caches) is asked for once more; still older, it is shown flagged, and must not be stored.
    pub(super) async fn product_infos(&self, ids: &[i64]) -> Result<HashMap<i64, ProductInfo>, CartError> {
        let Ok(mut fetched) = self.fetch(ids).await else {
            let mut snapshot = self.snapshots.of(ids).await?;
            let last = |id: &i64| (*id, snapshot.remove(id).unwrap_or_default().latest_known(None));
            return Ok(ids.iter().map(last).collect());
        };
        // After the answer: what is heard until here outranks it.
        let mut snapshot = self.snapshots.of(ids).await?;
        let behind = outranked(ids, &fetched, &snapshot);
        if !behind.is_empty() {
            if let Ok(again) = self.fetch(&behind).await {
                behind.iter().for_each(|id| drop(fetched.remove(id)));
                fetched.extend(again);
            }
            snapshot = self.snapshots.of(ids).await?;
        }
        let behind = outranked(ids, &fetched, &snapshot);
        self.store_new(ids, &behind, &fetched, &snapshot).await?;
        let word = |id: &i64| {
            let facts = fetched.remove(id);
            let snapshot = snapshot.remove(id).unwrap_or_default();
            let word = match facts {
                facts if behind.contains(id) => snapshot.latest_known(facts),
                Some(facts) => ProductInfo::fresh(State::Sold(facts)),
                None => ProductInfo::fresh(State::Gone(snapshot.facts)),
            };
            (*id, word)
        };
        Ok(ids.iter().map(word).collect())
    }

    async fn fetch(&self, ids: &[i64]) -> Result<HashMap<i64, ProductFields>, UpstreamDown> {
        let products = self.upstream.products(ids).await?;
        Ok(products.into_iter().map(|product| (product.id, ProductFields::from(product))).collect())
    }

    /// Remembers what is believed and was not known.
    async fn store_new(
        &self,
        ids: &[i64],
        behind: &[i64],
        fetched: &HashMap<i64, ProductFields>,
        snapshot: &HashMap<i64, Snapshot>,
    ) -> Result<(), CartError> {
        let (mut news, mut gone) = (Vec::new(), Vec::new());
        for id in ids.iter().filter(|id| !behind.contains(id)) {
            match (fetched.get(id), snapshot.get(id)) {
                (Some(facts), None) => news.push((*id, facts.clone(), 0)),
                (Some(facts), Some(snapshot)) if snapshot.should_store(facts) => {
                    news.push((*id, facts.clone(), snapshot.seq))
                }
                (None, Some(snapshot)) if !snapshot.deleted => gone.push((*id, snapshot.seq)),
                _ => {}
            }
        }
        if !news.is_empty() {
            unless_read_only(self.snapshots.store(&news).await)?;
        }
        if !gone.is_empty() {
            unless_read_only(self.snapshots.mark_deleted(&gone).await)?;
        }
        Ok(())
    }
}

/// What is fetched can be shown without being remembered: it is the fallback for another time.
fn unless_read_only(remembered: Result<(), CartError>) -> Result<(), CartError> {
    match remembered {
        Err(error) if error.is_read_only() => {
            debug!(%error, "products that were fetched cannot be saved as last known products");
            Ok(())
        }
        remembered => remembered,
    }
}

/// Those of which an event has told something newer than what was fetched.
fn outranked(ids: &[i64], fetched: &HashMap<i64, ProductFields>, snapshot: &HashMap<i64, Snapshot>) -> Vec<i64> {
    let is_outranked =
        |id: &&i64| snapshot.get(id).is_some_and(|snapshot| snapshot.is_older_than_events(fetched.get(id)));
    ids.iter().filter(is_outranked).copied().collect()
}
