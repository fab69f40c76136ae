//! Posts on a Redis Cluster: the keyspace is divided into partitions, each of which is in one hash slot. Only the URL and
//! the keyspace differ from a program for one Redis.
//!
//! ```sh
//! REDIS_URL='redis-cluster://127.0.0.1:7000?nodes=127.0.0.1:7001' cargo run --package cache --example cluster
//! ```

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use cache::{CacheClient, CacheSettings, Keyspace, NewEntry, Policy, Tag, with};

use common::{Database, DatabaseError, Post, redis_url};

async fn load_post(database: &Database, id: u32) -> Result<NewEntry<Post>, DatabaseError> {
    let Some(post) = database.post(id).await? else { return Ok(NewEntry::absent()) };
    Ok(NewEntry::value(&post).tag(Tag::new("author", post.author)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::with_posts(30);
    // More partitions than `CacheClient::connect` makes, for more primaries. This program can wait longer for Redis than a server.
    let keyspace = Keyspace::partitioned("cluster-example", 64)?;
    let long = Duration::from_secs(5);
    let settings = CacheSettings { url: redis_url(), command_timeout: long, ..CacheSettings::default() };
    let client = CacheClient::connect_with(keyspace, &settings).await?;
    let posts = client.cache::<Post>("post", Policy::ttl(Duration::from_secs(3_600)))?;

    for id in 1..=30 {
        posts.get_or_load(id, with(&database, id, load_post)).await?;
    }
    // `{cluster-example:7}:post:1`: Redis hashes only what is between the braces.
    let partition = |id| posts.key(id).to_string().split_once('}').map(|(partition, _)| partition.to_owned());
    let partitions: BTreeSet<_> = (1..=30).filter_map(partition).collect();
    println!("30 posts are stored in {} partitions", partitions.len());

    // The entries of an author are in many partitions, and are removed in each.
    let removed = client.invalidate_tag(Tag::new("author", 1)).await.acknowledged()?;
    println!("{removed} entries of author 1 are removed");
    for id in [1, 2] {
        let read = posts.read(id, with(&database, id, load_post)).await?;
        println!("post {id}: {}", read.outcome());
    }
    client.purge().await.acknowledged()?;
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
