//! Two processes with entries in their memory: a hit needs no command, and is never stale after an acknowledged
//! invalidation of the other process.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --package cache --example two_tier
//! ```

mod common;

use std::time::Duration;

use cache::{Cache, CacheClient, CacheSettings, Keyspace, Near, Outcome, Policy, with};

use common::{Database, Post, redis_url};

/// How long an invalidation waits at most for a process that does not answer. The same in every process.
const BOUND: Duration = Duration::from_millis(100);

/// What each of the two processes would do at its start.
async fn process() -> Result<(CacheClient, Cache<Post>), Box<dyn std::error::Error>> {
    let settings = CacheSettings { url: redis_url(), near_bound: Some(BOUND), ..CacheSettings::default() };
    let client = CacheClient::connect_with(Keyspace::new("two-tier-example")?, &settings).await?;
    let posts = client.cache("post", Policy::ttl(Duration::from_secs(3_600)).near(Near::Strict(BOUND)))?;
    Ok((client, posts))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::with_posts(10);
    let ((first, posts), (second, same_posts)) = (process().await?, process().await?);

    // Until the process has a lease for its memory, its hits come from Redis.
    let mut read = posts.read(1, with(&database, 1, Database::post)).await?;
    while read.outcome() != Outcome::NearHit {
        tokio::time::sleep(Duration::from_millis(1)).await;
        read = posts.read(1, with(&database, 1, Database::post)).await?;
    }
    println!("the first process: {}, {:?}", read.outcome(), read.value()?.map(|post| post.title));

    database.rename(1, "Renamed by the second process").await?;
    same_posts.invalidate(1).await.acknowledged()?;
    let read = posts.read(1, with(&database, 1, Database::post)).await?;
    println!("the first process: {}, {:?}", read.outcome(), read.value()?.map(|post| post.title));
    for client in [first, second] {
        client.shutdown(Duration::from_secs(5)).await;
    }
    Ok(())
}
