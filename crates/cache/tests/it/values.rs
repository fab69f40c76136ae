//! Values over time: their bytes in Redis, and copies of them in the memory of a process.

use cache::{Cache, Near, Outcome, Policy, Values};
use testkit::{Redis, eventually};

use crate::both::values::{New, Old, Program, deploy, pages, programs, texts, texts_are_read_as_they_were_loaded};
use crate::near::{BOUND, strict};
use crate::support::{DatabaseError, SOON, node, number, patient, redis};

fn near() -> Policy {
    patient().near(Near::Strict(BOUND))
}

async fn near_programs(schemas: [u32; 2]) -> (Redis, Program<Old>, Program<New>) {
    let redis = redis().await;
    let nodes = [strict(&redis).await, strict(&redis).await];
    let (old, new) = programs(nodes.each_ref(), &near(), schemas);
    (redis, old, new)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_deployment_with_near_caches_causes_no_error_and_no_stale_read() {
    let (_redis, old, new) = near_programs([0, 1]).await;
    deploy(&old, &new).await;
}

#[tokio::test]
async fn entry_in_memory_that_cannot_be_decoded_is_replaced() {
    let (redis, old, new) = near_programs([0, 0]).await;
    let version = old.write().await;
    assert_eq!(old.read().await.unwrap(), version);
    eventually("a hit from memory", SOON, async || new.items.get(1).await.unwrap().outcome() == Outcome::NearHit).await;
    assert_eq!(new.read().await.unwrap(), version);
    let held = redis.cli(&["GET", "shop:item:1"]).await.unwrap();
    assert!(held.contains("stock"), "{held}");
}

#[tokio::test]
async fn large_values_are_compressed_in_redis_and_not_in_memory() {
    let redis = redis().await;
    let client = strict(&redis).await.client;
    let pages = pages(&client, near());
    texts_are_read_as_they_were_loaded(&pages).await;
    for (id, text) in texts() {
        let held = eventually("a hit from memory", SOON, async || {
            pages.get(id).await.filter(|cached| cached.outcome() == Outcome::NearHit)
        })
        .await;
        assert_eq!(held.value().unwrap(), Some(text));
    }
    assert!(client.near_weight() > 17_000, "{} bytes in memory", client.near_weight());
    let length = number(&redis, &["STRLEN", "shop:page:1"]).await;
    assert!(length < 1_000, "{length} bytes");
    let header = redis.cli(&["GETRANGE", "shop:page:2", "0", "300"]).await.unwrap();
    assert!(header.contains(" schema=4 stamp=9:9\n") && !header.contains(" zip="), "{header}");
}

#[tokio::test]
async fn damaged_compressed_value_is_removed_and_loaded_again() {
    let (redis, node) = node().await;
    let values = Values::new().compress_above(100);
    let pages: Cache<String> = node.client.cache_with("page", patient(), values).unwrap();
    let text = "a page of a shop ".repeat(100);
    let stored = text.clone();
    let load = move || {
        let stored = stored.clone();
        async move { Ok::<_, DatabaseError>(stored) }
    };
    pages.get_or_load(1, load.clone()).await.unwrap();
    let end = number(&redis, &["STRLEN", "shop:page:1"]).await - 9;
    // Once in the compressed bytes, and once in the length before them.
    let start: i64 = redis
        .cli(&["EVAL", "return string.find(redis.call('GET', KEYS[1]), '\\n')", "1", "shop:page:1"])
        .await
        .unwrap()
        .parse()
        .unwrap();
    for place in [end, start + 2] {
        redis.cli(&["SETRANGE", "shop:page:1", &place.to_string(), "\u{7f}"]).await.unwrap();
        assert_eq!(pages.get_or_load(1, load.clone()).await.unwrap().as_deref(), Some(text.as_str()));
    }
}
