//! Another crash point: the product API is killed while it removes the members of a tag. This requires a tag with many
//! members, so the fault creates and removes its own products in SQL.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testkit::private_system::Service;
use tokio::time::sleep;

use super::crash::{API, client, fill, until};
use super::target::Target;
use crate::system::{self, System};

/// The category whose tag is invalidated, and the set from which the members are removed, 128 per call.
const CATEGORY: u32 = 1;
const TAGGED: &str = "product:~tag:category:1";
const DRAINED: &str = "product:~drain:category:1";
/// The number of products: with two caches each, the tag needs 16 calls.
const PRODUCTS: u32 = 1_000;
/// The description by which the products are recognized.
const NAME_PREFIX: &str = "made for a tag with many members";
/// The number of attempts: a drain may be over before it is observed.
const TRIES: u64 = 5;

/// Returns the name of the category.
pub(super) async fn name(target: &Target) -> Result<String> {
    target.sql("shop_db", &format!("SELECT name FROM categories WHERE id = {CATEGORY}")).await
}

/// Creates the products, waits until all events are applied, and reads the products into the caches.
pub(super) async fn products(target: &Target) -> Result<Vec<String>> {
    let rows = format!(
        "INSERT INTO products (name, description, price_cents, category_id) \
         SELECT 'Shelf filler ' || n, '{NAME_PREFIX}', n, {CATEGORY} FROM generate_series(1, {PRODUCTS}) n RETURNING id"
    );
    let ids = target.sql("shop_db", &rows).await?;
    system::wait_until_idle(target, &client()?).await?;
    let url = target.url(Service::ProductApi).await?;
    let both = |id| ["tags", "production"].map(|strategy| format!("{url}/products/{strategy}/{id}"));
    let urls: Vec<_> = ids.lines().flat_map(both).collect();
    fill(&urls).await?;
    Ok(urls)
}

/// Removes the products, and restores the name of the category.
pub(super) async fn clear(target: &Target, name: Option<&str>) -> Result<()> {
    target.sql("shop_db", &format!("DELETE FROM products WHERE description = '{NAME_PREFIX}'")).await?;
    if let Some(name) = name {
        let name = name.replace('\'', "''");
        target.sql("shop_db", &format!("UPDATE categories SET name = '{name}' WHERE id = {CATEGORY}")).await?;
    }
    system::wait_until_idle(target, &client()?).await.map(drop)
}

/// Invalidates the tag, and kills the process when some members are removed and others are not.
pub(super) async fn interrupted(target: &Target, members: &[String]) -> Result<()> {
    let proxy = &target.proxies()?.redis;
    let (http, url) = (client()?, target.url(Service::ProductApi).await?);
    let mut redis = target.redis_cli()?;
    let mut count = async |set: &str| -> Result<u64> { Ok(redis.ask(&format!("SCARD {set}")).await?.parse()?) };
    for attempt in 0..TRIES {
        // The delay is long enough that the drain takes a while, and short enough that Redis does not count as down. It
        // grows when the drain was over too soon.
        proxy.delay(Duration::from_millis(8 + 4 * attempt));
        let all = count(TAGGED).await?;
        let name = format!("Shelf {}", rand::random::<u32>());
        let renaming =
            tokio::spawn(http.put(format!("{url}/categories/{CATEGORY}")).json(&json!({ "name": name })).send());
        let begun = until(async || Ok((1..all).contains(&count(DRAINED).await?) || renaming.is_finished())).await;
        // From here on, only the call that Redis may be executing removes members.
        proxy.hold_requests();
        begun.context("the category was not renamed")?;
        let mut left = count(DRAINED).await?;
        loop {
            sleep(Duration::from_millis(20)).await;
            let now = count(DRAINED).await?;
            if now == left {
                break;
            }
            left = now;
        }
        if left > 0 {
            target.kill(API).await?;
            drop(renaming.await?);
            let kept = count(DRAINED).await?;
            // A call that was on its way to Redis may have removed further members.
            ensure!((1..=left).contains(&kept), "{left} of {all} members were left, and {kept} after the kill");
            return Ok(());
        }
        proxy.release_requests();
        proxy.delay(Duration::ZERO);
        drop(renaming.await?);
        fill(members).await?;
    }
    anyhow::bail!("{TRIES} drains were over before they were seen")
}
