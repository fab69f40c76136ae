//! Readers: they keep the caches full, so that there is something to be stale. What they are told does not matter here.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Stage;
use crate::world::Service;

const READERS: usize = 4;

/// Words that the catalogue has.
pub(super) const QUERIES: [&str; 6] = ["keyboard", "wireless", "coffee", "steel", "light", "a"];

/// Starts them; they end a while after the faults.
pub(super) fn start(stage: &Arc<Stage>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        readers.spawn(read(Arc::clone(stage)));
    }
    readers
}

async fn read(stage: Arc<Stage>) {
    let all = urls(&stage);
    while !stage.quiet.is_cancelled() {
        let url = &all[rand::rng().random_range(0..all.len())];
        // Nobody may be there to answer.
        let _ = stage.http.get(url).send().await;
        sleep(Duration::from_millis(2)).await;
    }
}

/// Every answer that comes from a cache which events keep.
pub(super) fn urls(stage: &Stage) -> Vec<String> {
    let at = |service| stage.world.url(service);
    let (shop, cart, search, recommendation) =
        (at(Service::ProductApi), at(Service::Cart), at(Service::Search), at(Service::Recommendation));
    let products = 1..=stage.products;
    let mut urls = Vec::new();
    for lane in ["events", "tags", "production"] {
        urls.extend(products.clone().map(|id| format!("{shop}/products/{lane}/{id}")));
    }
    urls.extend((1..=12).map(|id| format!("{shop}/products/by-category/{id}")));
    urls.extend(stage.carts.iter().map(|id| format!("{cart}/carts/{id}")));
    urls.extend(QUERIES.map(|query| format!("{search}/search?q={query}")));
    urls.extend((1..=12).map(|id| format!("{search}/search?q=&category={id}")));
    urls.extend(products.map(|id| format!("{recommendation}/recommendations/{id}")));
    urls.extend(stage.carts.iter().map(|id| format!("{recommendation}/recommendations?cart={id}")));
    urls
}
