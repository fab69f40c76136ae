//! Tags: one invalidation removes every entry that shows a row, that carries any of several tags, or all of them.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --package cache --example tags
//! ```

mod common;

use std::convert::Infallible;
use std::time::Duration;

use cache::{Cache, CacheClient, Invalidation, NewEntry, Policy, Tag};

use common::redis_url;

/// Stores a page, with tags for what it shows.
async fn store(
    pages: &Cache<String>, id: &'static str, tags: &'static [(&'static str, u32)],
) -> Result<(), cache::error::GetError> {
    let load = move || async move {
        let tags = tags.iter().map(|(kind, id)| Tag::new(kind, id));
        Ok::<_, Infallible>(tags.fold(NewEntry::value(&format!("page {id}")), NewEntry::tag))
    };
    pages.get_or_load(id, load).await.map(drop)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = CacheClient::connect(&redis_url(), "tags-example").await?;
    let pages = client.cache::<String>("page", Policy::ttl(Duration::from_secs(3_600)))?;
    let store_all = async || {
        store(&pages, "home", &[("author", 1), ("author", 2), ("topic", 7)]).await?;
        store(&pages, "about", &[("author", 1)]).await?;
        store(&pages, "news", &[("author", 2), ("topic", 7)]).await?;
        store(&pages, "archive", &[("topic", 8)]).await
    };

    store_all().await?;
    let removed = client.invalidate_tag(Tag::new("author", 1)).await.acknowledged()?;
    println!("{removed} pages show author 1");

    store_all().await?;
    let any = Invalidation::hard().tags([Tag::new("author", 1), Tag::new("topic", 8)]);
    println!("{} pages show author 1 or topic 8", client.invalidate(any).await.acknowledged()?);

    store_all().await?;
    let all = Invalidation::hard().tags_together([Tag::new("author", 2), Tag::new("topic", 7)]);
    println!("{} pages show author 2 and topic 7", client.invalidate(all).await.acknowledged()?);
    client.purge().await.acknowledged()?;
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
