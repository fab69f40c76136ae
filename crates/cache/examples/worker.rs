//! A plain worker: it reads posts in batches, and removes what has a tag.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --package cache --example worker
//! ```

mod common;

use std::collections::HashMap;
use std::time::Duration;

use cache::{CacheClient, CacheSettings, Keyspace, NewEntry, Policy, Tag};

use common::{Database, DatabaseError, Post, redis_url};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::with_posts(100);
    // No user waits for this program, so it waits longer for Redis than a server would.
    let long = Duration::from_secs(5);
    let settings = CacheSettings { url: redis_url(), command_timeout: long, ..CacheSettings::default() };
    let client = CacheClient::connect_with(Keyspace::new("worker-example")?, &settings).await?;
    let posts = client.cache::<Post>("post", Policy::ttl(Duration::from_secs(3_600)))?;

    // One call for all posts that are missing; each entry has its own tag.
    let load = {
        let database = database.clone();
        move |ids: Vec<u32>| {
            let database = database.clone();
            async move {
                println!("the database is asked for {} posts", ids.len());
                let entry = |(id, post): (u32, Post)| (id, NewEntry::value(&post).tag(Tag::new("author", post.author)));
                let found = database.posts(&ids).await?.into_iter().map(entry);
                Ok::<HashMap<_, _>, DatabaseError>(found.collect())
            }
        }
    };
    for _ in 0..2 {
        let found = posts.get_or_load_many(1..=101, load.clone()).await;
        let titles: Vec<Option<String>> = found
            .into_iter()
            .map(|post| Ok(post?.map(|post| post.title)))
            .collect::<Result<_, cache::error::GetError>>()?;
        println!(
            "{} posts, {} of them do not exist",
            titles.len(),
            titles.iter().filter(|title| title.is_none()).count()
        );
    }

    // Everything that shows author 1 is gone when this returns: the next batch loads only those posts.
    match client.invalidate_tag(Tag::new("author", 1)).await.acknowledged() {
        Ok(entries) => println!("{entries} entries of author 1 are removed"),
        Err(deferred) => println!("{deferred}"),
    }
    posts.get_or_load_many(1..=101, load).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    client.purge().await.acknowledged()?;
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
