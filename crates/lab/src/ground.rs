//! What any running system can be asked from outside: is it at rest, and do its caches hold what they would load now?

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;

use crate::cache_status::Source;
use crate::demo::metrics::Metrics;
use crate::world::{Service, World};

/// A system with four services, Postgres and Redis.
pub(crate) trait Ground {
    /// The address of a service.
    fn url(&self, service: Service) -> impl Future<Output = Result<String>>;
    /// Rows of one of the databases, their columns between bars.
    fn sql(&self, database: &str, sql: &str) -> impl Future<Output = Result<String>>;
    /// A command to Redis, as its admin.
    fn redis(&self, arguments: &[&str]) -> impl Future<Output = Result<String>>;
}

impl Ground for World {
    async fn url(&self, service: Service) -> Result<String> {
        Ok(Self::url(self, service))
    }

    async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        self.postgres.sql(database, sql).await
    }

    async fn redis(&self, arguments: &[&str]) -> Result<String> {
        self.redis.cli(arguments).await
    }
}

/// What is still under way.
pub(crate) async fn unsettled(ground: &impl Ground, http: &Client) -> Vec<String> {
    let mut under_way = Vec::new();
    for database in ["shop_db", "cart_db"] {
        let undone = ground.sql(database, "SELECT count(*) FROM outbox WHERE done_at IS NULL").await;
        if undone.as_deref().ok() != Some("0") {
            under_way.push(format!("{database} has outbox rows that are not done: {undone:?}"));
        }
    }
    let head = ground.sql("shop_db", "SELECT seq FROM outbox_head").await;
    let head: Option<f64> = head.ok().and_then(|head| head.parse().ok());
    for service in Service::ALL {
        let metrics = match metrics(ground, http, service).await {
            Ok(metrics) => metrics,
            Err(error) => {
                under_way.push(format!("{}: {error:#}", service.name()));
                continue;
            }
        };
        let busy = [
            "cache_breaker_open",
            "cache_repairs_pending",
            "events_lag",
            "search_invalidations_owed",
            "recommendation_learning_pending",
        ];
        for name in busy {
            under_way.extend(metrics.nonzero(name).map(|sample| format!("{}: {sample}", service.name())));
        }
        // An event is in the index a moment after it counts as carried out.
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

async fn metrics(ground: &impl Ground, http: &Client, service: Service) -> Result<Metrics> {
    let answer = http.get(format!("{}/metrics", ground.url(service).await?)).send().await?.error_for_status()?;
    Ok(Metrics::parse(&answer.text().await?))
}

/// What a comparison has found.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Answers that were compared.
    pub(crate) compared: u32,
    /// How many of them came from the cache of each service, in the order of [`Service::ALL`].
    pub(crate) hits: [u32; 4],
    /// Those that differ.
    pub(crate) wrong: Vec<String>,
}

/// An answer from beside a cache does not say what the cache holds; for so long in all it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Whatever comes from a cache is what would be loaded now: reads all these addresses, empties the caches, and reads again.
pub(crate) async fn compare(ground: &impl Ground, http: &Client, urls: &[String]) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    let mut at = Vec::new();
    for service in Service::ALL {
        at.push(ground.url(service).await?);
    }
    let mut cached = Vec::with_capacity(urls.len());
    let deadline = Instant::now() + ASK_AGAIN;
    for url in urls {
        let (status, source, body) = loop {
            let answer = read(http, url).await?;
            if answer.1 != Source::Bypass || Instant::now() > deadline {
                break answer;
            }
            sleep(Duration::from_millis(20)).await;
        };
        comparison.compared += 1;
        let from = at.iter().position(|base| url.starts_with(base)).context("an address of no service")?;
        comparison.hits[from] += u32::from(matches!(source, Source::Hit | Source::Stale));
        cached.push((status, body));
    }
    for service in Service::ALL {
        forget(ground, service).await?;
    }
    for (url, cached) in urls.iter().zip(cached) {
        let (status, _, body) = read(http, url).await?;
        if (status, &body) != (cached.0, &cached.1) {
            comparison.wrong.push(format!(
                "{url}\n    from its cache  {} {}\n    loaded          {status} {body}",
                cached.0, cached.1
            ));
        }
    }
    Ok(comparison)
}

async fn read(http: &Client, url: &str) -> Result<(u16, Source, Value)> {
    let answer = http.get(url).send().await?;
    let status = answer.status().as_u16();
    let header = answer.headers().get("cache-status").and_then(|value| value.to_str().ok());
    let source = Source::parse(header.unwrap_or_default());
    let mut body: Value = answer.json().await.with_context(|| format!("{url} is not JSON"))?;
    // How far the index or the copy of the catalogue was is not what the answer says.
    if let Some(body) = body.as_object_mut() {
        body.remove("index");
        body.remove("catalogue");
    }
    Ok((status, source, body))
}

/// Removes every entry of a service behind its back.
async fn forget(ground: &impl Ground, service: Service) -> Result<()> {
    let scan = "local cursor = '0' repeat local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000, 'TYPE', 'string') \
                cursor = page[1] for _, key in ipairs(page[2]) do redis.call('UNLINK', key) end until cursor == '0'";
    let pattern = format!("{}:[^~]*", service.name().trim_end_matches("-api"));
    ground.redis(&["EVAL", scan, "0", &pattern]).await.map(drop)
}
