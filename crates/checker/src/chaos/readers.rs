//! Readers that keep the caches full, so that entries can become stale. Their responses are ignored.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use testkit::private_system::Service;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{CATEGORIES, Stage};

const READERS: usize = 4;

/// Words that occur in the catalogue.
pub(super) const QUERIES: [&str; 6] = ["keyboard", "wireless", "coffee", "steel", "light", "a"];

/// An id that no product and no category ever has.
const NEVER: i64 = 7_000_000_000;
const LANES: [&str; 3] = ["events", "tags", "production"];

/// Starts the readers. They end some time after the faults.
pub(super) fn start(stage: &Arc<Stage>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        readers.spawn(read(Arc::clone(stage)));
    }
    readers
}

async fn read(stage: Arc<Stage>) {
    let (all, mut turn) = (urls(&stage), 0_u32);
    let mut fleeting = Vec::new();
    while !stage.quiet.is_cancelled() {
        if turn.is_multiple_of(256) {
            fleeting = self::fleeting(&stage);
        }
        turn = turn.wrapping_add(1);
        let urls = if turn.is_multiple_of(4) { &fleeting } else { &all };
        let url = &urls[rand::rng().random_range(0..urls.len())];
        // The service may be down.
        let _ = stage.http.get(url).send().await;
        sleep(Duration::from_millis(2)).await;
    }
}

/// Returns all addresses whose responses come from a cache that events invalidate.
pub(super) fn urls(stage: &Stage) -> Vec<String> {
    let at = |service| stage.system.url(service);
    let (shop, cart, search, recommendation) =
        (at(Service::ProductApi), at(Service::Cart), at(Service::Search), at(Service::Recommendation));
    let products = 1..=stage.products;
    let mut urls = Vec::new();
    for lane in LANES {
        urls.extend(products.clone().map(|id| format!("{shop}/products/{lane}/{id}")));
    }
    urls.extend((1..=CATEGORIES).map(|id| format!("{shop}/products/by-category/{id}")));
    urls.extend(stage.carts.iter().map(|id| format!("{cart}/carts/{id}")));
    urls.extend(QUERIES.map(|query| format!("{search}/search?q={query}")));
    urls.extend((1..=CATEGORIES).map(|id| format!("{search}/search?q=&category={id}")));
    urls.extend(products.map(|id| format!("{recommendation}/recommendations/{id}")));
    urls.extend(stage.carts.iter().map(|id| format!("{recommendation}/recommendations?cart={id}")));
    urls
}

/// Returns the addresses of products that the run created, including those that were deleted since, and of ids that
/// never exist.
pub(super) fn fleeting(stage: &Stage) -> Vec<String> {
    let (shop, recommendation) = (stage.system.url(Service::ProductApi), stage.system.url(Service::Recommendation));
    let ids: Vec<i64> = stage.ledger.created().into_keys().chain([NEVER]).collect();
    let mut urls = vec![format!("{shop}/products/by-category/{NEVER}")];
    for id in ids {
        urls.extend(LANES.map(|lane| format!("{shop}/products/{lane}/{id}")));
        urls.push(format!("{recommendation}/recommendations/{id}"));
    }
    urls
}
