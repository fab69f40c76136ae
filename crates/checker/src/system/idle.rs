//! Whether a system is idle: everything is relayed and applied.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use client::Metrics;
use reqwest::Client;
use testkit::private_system::Service;
use tokio::time::sleep;

use super::complete::System;

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
    match system.processes().await {
        Err(error) => under_way.push(format!("{error:#}")),
        Ok(processes) => {
            for (service, url) in processes {
                match Metrics::fetch(http, &url).await {
                    Ok(metrics) => under_way.extend(busy(service, &metrics, head)),
                    Err(error) => under_way.push(format!("{} at {url}: {error:#}", service.name())),
                }
            }
        }
    }
    under_way
}

/// Returns what a service still has to do, according to its metrics. A metric that it does not show says nothing, and
/// counts as pending work. `head` is the number of the last event of the product API.
fn busy(service: Service, metrics: &Metrics, head: Option<f64>) -> Vec<String> {
    let consumers = match service {
        Service::ProductApi => 0,
        Service::Cart | Service::Search => 1,
        Service::Recommendation => 2,
    };
    // The last two are shown only once there has been such work.
    let busy = [
        ("cache_breaker_open", 1),
        ("cache_repairs_pending", 1),
        ("events_lag", consumers),
        ("search_invalidations_owed", 0),
        ("recommendation_learning_pending", 0),
    ];
    let mut under_way = Vec::new();
    for (name, least) in busy {
        let series: Vec<_> = metrics.series(name).collect();
        if series.len() < least {
            under_way.push(format!("{} shows {} of {least} {name}", service.name(), series.len()));
        }
        let nonzero = series.into_iter().filter(|(_, value)| *value != 0.0);
        under_way.extend(nonzero.map(|(series, value)| format!("{}: {series} is {value}", service.name())));
    }
    // An event is in the index a moment after it counts as applied.
    let position = metrics.sum("search_index_position", &[]);
    if service == Service::Search && Some(position) != head {
        under_way.push(format!("the index is at {position}, and the outbox at {head:?}"));
    }
    if metrics.sum("events_connected", &[]) != consumers as f64 {
        under_way.push(format!("{} is not connected to its streams", service.name()));
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

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: &str = "cache_breaker_open{keyspace=\"search\"} 0
cache_repairs_pending{keyspace=\"search\"} 0
events_lag{stream=\"product:events\",group=\"search\"} 0
events_connected{stream=\"product:events\",group=\"search\"} 1
search_index_position 7
";

    fn of_search(metrics: &str) -> Vec<String> {
        busy(Service::Search, &Metrics::parse(metrics), Some(7.0))
    }

    #[test]
    fn service_is_idle_only_if_each_metric_says_so() {
        assert_eq!(of_search(IDLE), Vec::<String>::new());
        for line in IDLE.lines() {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let other = IDLE.replace(line, &format!("{series} {}", value.parse::<u32>().unwrap() + 1));
            assert_eq!(of_search(&other).len(), 1, "{other}");
            assert_eq!(of_search(&IDLE.replace(line, "")).len(), 1, "without {line}");
        }
        for pending in ["search_invalidations_owed 1", "recommendation_learning_pending 1"] {
            assert_eq!(of_search(&format!("{IDLE}{pending}\n")).len(), 1, "{pending}");
        }
    }
}
