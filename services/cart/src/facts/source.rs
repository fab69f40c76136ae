//! The source of product data: the product API, checked against the events, or the last known snapshot.

use std::collections::HashMap;

use tracing::debug;

use super::model::{ProductFields, ProductInfo, Snapshot, State};
use super::snapshots::ProductSnapshots;
use super::upstream::{Upstream, UpstreamDown};
use crate::error::CartError;

/// The product API and the snapshots. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) upstream: Upstream,
    pub(super) snapshots: ProductSnapshots,
}

impl Source {
    /// Returns the current knowledge about each of these products. The request begins after this call.
    ///
    /// The response of the product API is accepted if no received event is newer. An older response (from a lagging
    /// replica behind the product API, or from a caching proxy) is requested once more. If it is still older, it is
    /// shown, marked as stale, and must not be stored.
    pub(super) async fn product_infos(&self, ids: &[i64]) -> Result<HashMap<i64, ProductInfo>, CartError> {
        let Ok(mut fetched) = self.fetch(ids).await else {
            let mut snapshot = self.snapshots.of(ids).await?;
            let last = |id: &i64| (*id, snapshot.remove(id).unwrap_or_default().latest_known(None));
            return Ok(ids.iter().map(last).collect());
        };
        // The snapshots are read after the response, so that every event received until now takes precedence.
        let mut snapshot = self.snapshots.of(ids).await?;
        let behind = older_than_events(ids, &fetched, &snapshot);
        if !behind.is_empty() {
            if let Ok(again) = self.fetch(&behind).await {
                behind.iter().for_each(|id| drop(fetched.remove(id)));
                fetched.extend(again);
            }
            snapshot = self.snapshots.of(ids).await?;
        }
        let behind = older_than_events(ids, &fetched, &snapshot);
        self.store_new(ids, &behind, &fetched, &snapshot).await?;
        let info = |id: &i64| {
            let facts = fetched.remove(id);
            let snapshot = snapshot.remove(id).unwrap_or_default();
            let info = match facts {
                facts if behind.contains(id) => snapshot.latest_known(facts),
                Some(facts) => ProductInfo::fresh(State::Sold(facts)),
                None => ProductInfo::fresh(State::Gone(snapshot.facts)),
            };
            (*id, info)
        };
        Ok(ids.iter().map(info).collect())
    }

    async fn fetch(&self, ids: &[i64]) -> Result<HashMap<i64, ProductFields>, UpstreamDown> {
        let products = self.upstream.products(ids).await?;
        Ok(products.into_iter().map(|product| (product.id, ProductFields::from(product))).collect())
    }

    /// Stores accepted data that are new.
    async fn store_new(
        &self, ids: &[i64], behind: &[i64], fetched: &HashMap<i64, ProductFields>, snapshot: &HashMap<i64, Snapshot>,
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
            unless_transient(self.snapshots.store(&news).await)?;
        }
        if !gone.is_empty() {
            unless_transient(self.snapshots.mark_deleted(&gone).await)?;
        }
        Ok(())
    }
}

/// Fetched data can be shown without being stored: the stored data are only a fallback for later.
fn unless_transient(remembered: Result<(), CartError>) -> Result<(), CartError> {
    match remembered {
        Err(error) if error.is_transient() => {
            debug!(%error, "products that were fetched cannot be saved as last known products");
            Ok(())
        }
        remembered => remembered,
    }
}

/// Returns the products for which an event reported a newer version than the fetched one.
fn older_than_events(
    ids: &[i64], fetched: &HashMap<i64, ProductFields>, snapshot: &HashMap<i64, Snapshot>,
) -> Vec<i64> {
    let is_older = |id: &&i64| snapshot.get(id).is_some_and(|snapshot| snapshot.is_older_than_events(fetched.get(id)));
    ids.iter().filter(is_older).copied().collect()
}
