//! A program without Redis: entries in its memory, with leases, tags and TTLs as in Redis.
//!
//! ```sh
//! cargo run --package cache --example memory
//! ```

mod common;

use std::time::Duration;

use cache::memory::Memory;
use cache::{CacheClient, Keyspace, NewEntry, Policy, Tag, with};

use common::{Database, DatabaseError, Post};

async fn load_post(database: &Database, id: u32) -> Result<NewEntry<Post>, DatabaseError> {
    let Some(post) = database.post(id).await? else { return Ok(NewEntry::absent()) };
    Ok(NewEntry::value(&post).tag(Tag::new("author", post.author)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::with_posts(10);
    // Beyond 16 MiB, the entries that end first are removed.
    let memory = Memory::new().with_limit(16 << 20);
    let client = CacheClient::in_memory(Keyspace::new("memory-example")?, &memory);
    let posts = client.cache::<Post>("post", Policy::ttl(Duration::from_secs(3_600)))?;

    for _ in 0..2 {
        let read = posts.read(1, with(&database, 1, load_post)).await?;
        println!("{}, {:?}", read.outcome(), read.value()?.map(|post| post.title));
    }
    database.rename(1, "Renamed").await?;
    let removed = client.invalidate_tag(Tag::new("author", 1)).await.acknowledged()?;
    println!("{removed} entry of author 1 is removed");
    let read = posts.read(1, with(&database, 1, load_post)).await?;
    println!("{}, {:?}", read.outcome(), read.value()?.map(|post| post.title));
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
