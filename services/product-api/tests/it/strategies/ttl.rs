//! Strategy 1: entries expire.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, Service, Stores};

const TTL: Duration = Duration::from_millis(700);

#[tokio::test]
async fn a_read_is_stale_until_the_ttl_ends_and_fresh_after() {
    let stores = Stores::start().await;
    let settings =
        [("LANES__TTL__HARD_TTL", "700ms"), ("LANES__TTL__NEGATIVE_TTL", "700ms"), ("LANES__TTL__JITTER", "0")];
    let api = stores.api_with(&settings).await;
    // On a busy machine, the write and the next read may take longer than the TTL.
    for id in 1..=20 {
        if stale_reads(&api, id).await > 0 {
            return;
        }
    }
    panic!("the price of this strategy was not paid");
}

/// Fills an entry, writes, and reads until the new value is returned. Returns how many reads were stale.
async fn stale_reads(api: &Service, id: u32) -> u32 {
    let path = format!("/products/ttl/{id}");
    let before_the_fill = Instant::now();
    let first = api.get(&path).await.expect(200).version();
    let after_the_fill = Instant::now();

    let written = api.put(&path, &json!({ "stock": 5 })).await.expect(200);
    assert_eq!((written.source(), written.version()), ("fwd=method; detail=left", first + 1));

    let (mut stale, mut last) = (0, after_the_fill);
    eventually("the end of the TTL", SOON, async || {
        let begin = Instant::now();
        let read = api.get(&path).await.expect(200);
        if read.version() == first {
            (stale, last) = (stale + 1, begin);
            // In its last millisecond an entry may have expired by this process' clock, but not yet by that of Redis. The
            // read then finds it while it acquires the lease; it is stale if the TTL has ended by the time of the response.
            assert!(["hit", "fwd=miss; collapsed", "stale"].contains(&read.source()), "{}", read.source());
        }
        read.version() == first + 1
    })
    .await;
    assert!(before_the_fill.elapsed() >= TTL, "nothing but the TTL ends an entry");
    assert!(last < after_the_fill + TTL + Duration::from_millis(200), "a read found the entry after its TTL");
    stale
}

#[tokio::test]
async fn jitter_shortens_the_ttl_and_never_lengthens_it() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("LANES__TTL__HARD_TTL", "60s"), ("LANES__TTL__JITTER", "0.5")]).await;
    let mut ttls = Vec::new();
    for id in 1..=20 {
        api.get(&format!("/products/ttl/{id}")).await.expect(200);
        let stats = api.get(&format!("/cache/stats/product:ttl:{id}")).await.expect(200).json();
        ttls.push(stats["hard_ttl_ms"].as_u64().expect("it has a TTL"));
    }
    assert!(ttls.iter().all(|ttl| (30_000..=60_000).contains(ttl)), "{ttls:?}");
    ttls.dedup();
    assert!(ttls.len() > 10, "entries that were stored together would end together: {ttls:?}");
}
