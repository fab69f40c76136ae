//! What a caller of a typed cache sees: decoded values, their lifetime, and the result of an invalidation.

use std::time::Duration;

use cache::error::Deferred;
use cache::{CacheClient, Keyspace, Outcome, Policy, Tag, with};

use crate::support::{DatabaseError, existing, node, patient, redis, settings};

async fn post(title: &&'static str, id: u32) -> Result<Option<String>, DatabaseError> {
    Ok((id == 42).then(|| format!("{title} {id}")))
}

#[tokio::test]
async fn value_and_its_absence_are_cached_decoded() {
    let redis = redis().await;
    let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings(redis.url())).await.unwrap();
    let posts = client.cache::<String>("post", patient()).unwrap();
    for _ in 0..2 {
        let found = posts.get_or_load(42, with(&"On leases", 42, post)).await.unwrap();
        assert_eq!(found.as_deref(), Some("On leases 42"));
        assert_eq!(posts.get_or_load(1, || post(&"", 1)).await.unwrap(), None);
    }
    let held = posts.get(42).await.unwrap();
    assert_eq!((held.outcome(), held.body().unwrap().as_ref()), (Outcome::Hit, b"\"On leases 42\"".as_slice()));
    assert_eq!(posts.invalidate(42).await.acknowledged(), Ok(1));
    assert_eq!(existing(&redis, &["shop:post:42", "shop:post:1"]).await, 1);
}

#[tokio::test]
async fn deferred_invalidation_is_no_acknowledgement() {
    let (redis, node) = node().await;
    let pages = node.client.cache::<String>("page", Policy::ttl(Duration::from_secs(60))).unwrap();
    redis.kill().await.unwrap();
    assert_eq!(pages.invalidate(1).await.acknowledged(), Err(Deferred));
    assert_eq!(node.client.invalidate_tag(Tag::new("author", 7)).await.acknowledged(), Err(Deferred));
}
