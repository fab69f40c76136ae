//! TTLs: nothing that the cache stores lives forever, or longer than its policy allows.

use std::time::Duration;

use cache::Invalidation;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::eventually;

use crate::support::{Node, Row, SOON, existing, number, patient, redis, shelf};

#[tokio::test]
async fn every_entry_lease_and_lock_has_a_ttl() {
    let redis = redis().await;
    let node = Node::on(&redis).await.under(patient().soft_ttl(Duration::from_millis(20)));
    let row = Row::new([shelf(1), shelf(2)]);
    let mut sample = StdRng::seed_from_u64(7);
    // These leases are held until the test ends.
    let (_gate, hanging) = row.gated();
    for step in 0..600 {
        let id = sample.random_range(0..40);
        match sample.random_range(0..100) {
            0..10 => _ = node.remove(id).await,
            10..20 => _ = node.expire(id).await,
            20 => _ = node.remove_tag(shelf(1)).await,
            21 => _ = node.expire_tag(shelf(2)).await,
            // As when a writer is killed; otherwise the lease would be released.
            22..30 => std::mem::forget(node.cache.begin_write(id).await),
            30..40 => _ = node.cache.begin_write(id).await.publish(row.read()).await,
            40..42 => drop(node.start(1_000 + step, &hanging)),
            _ => _ = node.read(100 + id, &row).await,
        }
    }
    // The lock of this refresh is held until the test ends as well.
    node.fill(2_000, &row).await;
    node.expire(2_000).await;
    node.start(2_000, &hanging).value().await;
    eventually("the lock of the refresh", SOON, async || existing(&redis, &["shop:~refresh:item:2000"]).await == 1)
        .await;
    node.invalidate(Invalidation::hard().tag(shelf(3))).await;
    let mut immortal = Vec::new();
    let names = redis.cli(&["KEYS", "*"]).await.unwrap();
    for name in names.lines() {
        if number(&redis, &["PTTL", name]).await == -1 {
            immortal.push(name);
        }
    }
    let known = |name: &&str| {
        ["shop:~fence", "shop:~registered", "shop:~tag:", "shop:~drain:"].iter().any(|own| name.starts_with(own))
    };
    assert!(names.lines().count() > 20, "{names}");
    assert!(immortal.iter().all(known), "{immortal:?}");
}
