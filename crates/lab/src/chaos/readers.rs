//! Readers: they keep the caches full, so that there is something to be stale. What they are told does not matter here.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{CATEGORIES, Stage};
use crate::private_system::Service;

const READERS: usize = 4;

/// Words that the catalogue has.
pub(super) const QUERIES: [&str; 6] = ["keyboard", "wireless", "coffee", "steel", "light", "a"];

/// The id of a product and of a category that never are.
const NEVER: i64 = 7_000_000_000;
const LANES: [&str; 3] = ["events", "tags", "production"];

/// Starts them; they end a while after the faults.
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

/// What comes and goes: the products that were made, those that were deleted since among them; and what never was.
pub(super) fn fleeting(stage: &Stage) -> Vec<String> {
    let (shop, recommendation) = (stage.world.url(Service::ProductApi), stage.world.url(Service::Recommendation));
    let ids: Vec<i64> = stage.ledger.created().into_keys().chain([NEVER]).collect();
    let mut urls = vec![format!("{shop}/products/by-category/{NEVER}")];
    for id in ids {
        urls.extend(LANES.map(|lane| format!("{shop}/products/{lane}/{id}")));
        urls.push(format!("{recommendation}/recommendations/{id}"));
    }
    urls
}
