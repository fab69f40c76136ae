//! Faults of the connection on which the second process of the product API receives invalidations for its near cache.
//! The near cache is in use before each fault.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use client::{Source, cache_status};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use tokio::time::sleep;

use super::crash;
use super::list::{FAULT_DURATION, NearFault};
use super::stack::SECOND;
use super::target::Target;
use crate::system::System;

/// The delay of each piece that Redis sends to a slow process. One delay is shorter than a lease; several together
/// are not.
const PUSH_DELAY: Duration = Duration::from_millis(40);
/// The entries that are invalidated in a burst.
const MIN_REMOVED: usize = 5_000;
/// The entries that are filled for a round of the burst.
const ENTRIES_PER_ROUND: usize = 2_000;
/// A product of the catalogue, which the checker does not write.
const PROBE: i64 = 3;

/// Makes the fault and waits for its duration. If this returns without an error, the fault has happened.
pub(super) async fn make(target: &Target, fault: NearFault) -> Result<()> {
    let (http, proxy) = (crash::client()?, &target.proxies()?.redis_of_second);
    let url = format!("{}/products/production", target.url_of(SECOND));
    crash::until(async || is_near_hit(&http, &url).await)
        .await
        .context("the near cache was not in use before the fault")?;
    let before = proxy.tracked();
    match fault {
        NearFault::Stalled => {
            proxy.hold_tracked();
            sleep(FAULT_DURATION).await;
            ensure!(!is_near_hit(&http, &url).await?, "the process uses its near cache although it receives no pushes");
        }
        NearFault::Closed => {
            // The connection is refused for longer than a lease, then accepted until the near cache is used again.
            for _ in 0..5 {
                proxy.refuse_tracked();
                sleep(FAULT_DURATION / 8).await;
                proxy.accept_tracked();
                crash::until(async || is_near_hit(&http, &url).await).await?;
                sleep(FAULT_DURATION / 8).await;
            }
            ensure!(proxy.tracked() >= before + 5, "the process has reconnected {} times", proxy.tracked() - before);
        }
        NearFault::NotTracked => {
            proxy.turn_tracking_off();
            proxy.close_tracked();
            sleep(FAULT_DURATION).await;
            ensure!(proxy.tracked() > before, "the process has not reconnected");
            ensure!(
                !is_near_hit(&http, &url).await?,
                "the process uses its near cache although Redis does not track it"
            );
        }
        NearFault::Slow => {
            proxy.delay(PUSH_DELAY);
            sleep(FAULT_DURATION).await;
        }
        NearFault::Burst => burst(target, &http, &url).await?,
    }
    Ok(())
}

/// Ends the fault. The process is not notified.
pub(super) fn end(target: &Target, fault: NearFault) -> Result<()> {
    let proxy = &target.proxies()?.redis_of_second;
    match fault {
        NearFault::Stalled => proxy.release_tracked(),
        NearFault::NotTracked => {
            proxy.leave_tracking_on();
            proxy.close_tracked();
        }
        NearFault::Slow => proxy.delay(Duration::ZERO),
        NearFault::Closed => proxy.accept_tracked(),
        NearFault::Burst => {}
    }
    Ok(())
}

async fn is_near_hit(http: &Client, url: &str) -> Result<bool> {
    let answer = http.get(format!("{url}/{PROBE}")).send().await?;
    Ok(Source::parse(cache_status(answer.headers())) == Source::Near)
}

/// Removes thousands of entries that are in the near cache of the process, as fast as Redis can.
async fn burst(target: &Target, http: &Client, url: &str) -> Result<()> {
    let ids = target.sql("shop_db", &format!("SELECT id FROM products ORDER BY id LIMIT {ENTRIES_PER_ROUND}")).await?;
    let urls: Vec<String> = ids.lines().map(|id| format!("{url}/{}", id.trim())).collect();
    let keys: Vec<String> = ids.lines().map(|id| format!("product:production:{}", id.trim())).collect();
    let mut remove = vec!["UNLINK"];
    remove.extend(keys.iter().map(String::as_str));
    let mut removed = 0;
    while removed < MIN_REMOVED {
        // Other programs delete products meanwhile; the entries of these products count too.
        let reads = stream::iter(urls.iter().map(|url| http.get(url).send())).buffer_unordered(8);
        reads.try_for_each(|_| std::future::ready(Ok(()))).await?;
        let count = target.redis(&remove).await?;
        let count: usize = count.trim().parse().with_context(|| format!("not a number: {count:?}"))?;
        ensure!(count > keys.len() / 2, "only {count} of {} entries were in the cache", keys.len());
        removed += count;
    }
    Ok(())
}
