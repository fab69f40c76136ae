//! Whether a system is idle: everything is relayed and applied.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use client::Metrics;
use reqwest::Client;
use testkit::private_system::Service;
use tokio::time::sleep;

use super::access::System;

/// If nothing changes for this time, the system counts as stuck: longer than all claim times, timeouts and retries
/// together.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time until the system is idle, however slow its progress is.
const LONGEST: Duration = Duration::from_secs(600);

/// Waits until everything is relayed and applied, as long as there is progress: the speed depends on the machine.
/// Returns the time that this took; the error lists the pending work.
pub(crate) async fn wait_until_idle(system: &impl System, http: &Client) -> Result<Duration> {
    let began = Instant::now();
    let (mut before, mut changed) = (Vec::new(), began);
    loop {
        let unsettled = pending_work(system, http).await;
        if unsettled.is_empty() {
            return Ok(began.elapsed());
        }
        if changed.elapsed() > TIMEOUT || began.elapsed() > LONGEST {
            bail!("still so after {:?}, and for {:?}: {}", began.elapsed(), changed.elapsed(), unsettled.join("; "));
        }
        if unsettled != before {
            (before, changed) = (unsettled, Instant::now());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Returns the pending work.
async fn pending_work(system: &impl System, http: &Client) -> Vec<String> {
    let mut under_way = Vec::new();
    for database in ["shop_db", "cart_db"] {
        let undone = system.sql(database, "SELECT count(*) FROM outbox WHERE done_at IS NULL").await;
        if undone.as_deref().ok() != Some("0") {
            under_way.push(format!("{database} has outbox rows that are not done: {undone:?}"));
        }
    }
    let head = head_of(system, "shop_db").await;
    for (stream, head) in [("product:events", head), ("cart:events", head_of(system, "cart_db").await)] {
        under_way.extend(groups_behind(system, stream, head).await);
    }
    let head = head.map(|head| head as f64);
    for service in Service::ALL {
        let metrics = match metrics(system, http, service).await {
            Ok(metrics) => metrics,
            Err(error) => {
                under_way.push(format!("{}: {error:#}", service.name()));
                continue;
            }
        };
        let busy = [
            "cache_breaker_open", "cache_repairs_pending", "events_lag", "search_invalidations_owed",
            "recommendation_learning_pending",
        ];
        for name in busy {
            under_way.extend(metrics.nonzero(name).map(|sample| format!("{}: {sample}", service.name())));
        }
        // An event is in the index a moment after it counts as applied.
        let position = metrics.sum("search_index_position", &[]);
        if service == Service::Search && Some(position) != head {
            under_way.push(format!("the index is at {position}, and the outbox at {head:?}"));
        }
        let consumers = match service {
            Service::ProductApi => 0.0,
            Service::Cart | Service::Search => 1.0,
            Service::Recommendation => 2.0,
        };
        if metrics.sum("events_connected", &[]) != consumers {
            under_way.push(format!("{} is not connected to its streams", service.name()));
        }
    }
    under_way
}

/// Returns the number of the last event of a database.
async fn head_of(system: &impl System, database: &str) -> Option<u64> {
    system.sql(database, "SELECT seq FROM outbox_head").await.ok()?.trim().parse().ok()
}

/// Returns the consumer groups of a stream that have not acknowledged every event up to `head`. Redis is asked, because the
/// metrics of a consumer lag behind: one that has just started has not measured its backlog yet.
async fn groups_behind(system: &impl System, stream: &str, head: Option<u64>) -> Vec<String> {
    let groups = "local lines = {} for _, pairs in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do local group = {} \
                  for i = 1, #pairs, 2 do group[pairs[i]] = pairs[i + 1] end \
                  lines[#lines + 1] = group.name .. ' ' .. group.pending .. ' ' .. group['last-delivered-id'] end return lines";
    let groups = match system.redis(&["EVAL", groups, "1", stream]).await {
        Ok(groups) => groups,
        // No event was appended, and no consumer has connected; the metrics say so.
        Err(error) if format!("{error:#}").contains("no such key") => return Vec::new(),
        Err(error) => return vec![format!("{stream} has no groups: {error:#}")],
    };
    let is_done = |group: &str| {
        let mut fields = group.split(' ').skip(1);
        let (pending, last) = (fields.next(), fields.next().and_then(|id| id.split('-').next()?.parse().ok()));
        pending == Some("0") && last == head
    };
    let behind = groups.lines().map(str::trim).filter(|group| !group.is_empty() && !is_done(group));
    behind.map(|group| format!("a group of {stream} is behind event {head:?}: {group}")).collect()
}

async fn metrics(system: &impl System, http: &Client, service: Service) -> Result<Metrics> {
    Metrics::fetch(http, &system.url(service).await?).await
}
