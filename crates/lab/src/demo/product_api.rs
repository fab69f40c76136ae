//! The product API as its client sees it: reads, writes, the entries in Redis, the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::metrics::Metrics;
use super::times::millis;
use crate::cache_status::Source;

/// Longer than any honest answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Within the service, as long as it waits for one command of Redis: an answer that took this long may have given up.
const SLOW: f64 = 40.0;

/// A product API. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ProductApiClient {
    http: Client,
    base: String,
    slow: Arc<AtomicU64>,
}

/// One answer to a read or write.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The version of the row; `None` for lists.
    pub version: Option<u64>,
    /// Where it came from.
    pub source: Source,
    /// The `Cache-Status` header as it came.
    pub cache_status: String,
    /// From the request's first byte to the answer's last, at this client.
    pub ms: f64,
    /// The same within the service, by its `Server-Timing`.
    pub server_ms: f64,
    /// The JSON.
    pub body: Value,
}

/// A product, as far as the demos need to know it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Product {
    /// Its id.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// What it costs, in cents.
    pub price_cents: i64,
    /// The category it is in.
    pub category: Category,
}

/// A category, as a product shows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Category {
    /// Its id.
    pub id: i64,
    /// What it is called.
    pub name: String,
}

/// An entry as it lies in Redis, by `GET /cache/stats/{key}`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    pub state: String,
    pub ttl_ms: Option<i64>,
    pub expires_in_ms: i64,
    pub soft_ttl_ms: Option<u64>,
    pub hard_ttl_ms: Option<u64>,
    pub version: Option<u64>,
    pub tags: Vec<String>,
}

impl ProductApiClient {
    /// The API at `base`, if it answers.
    pub(super) async fn open(base: &str, headers: HeaderMap) -> Result<Self> {
        let http = Client::builder().timeout(TIMEOUT).default_headers(headers).build()?;
        let shop = Self { http, base: base.trim_end_matches('/').to_owned(), slow: Arc::default() };
        shop.alive()
            .await
            .with_context(|| format!("the product API does not answer at {base}; `make up` starts it"))?;
        Ok(shop)
    }

    /// Where it answers.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether it answers at all; this asks neither database nor cache.
    pub(super) async fn alive(&self) -> Result<()> {
        self.send(Method::GET, "/livez", None).await?.error_for_status()?;
        Ok(())
    }

    /// `GET path`.
    pub(super) async fn read(&self, path: &str) -> Result<Answer> {
        self.ask(Method::GET, path, None).await
    }

    /// `PUT path` with the fields to change.
    pub(super) async fn put(&self, path: &str, change: &Value) -> Result<Answer> {
        self.ask(Method::PUT, path, Some(change)).await
    }

    /// The entry under `key`; `None` when there is none, or only somebody's lease.
    pub(super) async fn entry(&self, key: &str) -> Result<Option<Entry>> {
        let (path, began) = (format!("/cache/stats/{key}"), Instant::now());
        loop {
            let answer = self.send(Method::GET, &path, None).await?;
            match answer.status() {
                StatusCode::NOT_FOUND => return Ok(None),
                StatusCode::OK => {
                    let entry: Entry = serde_json::from_slice(&answer.bytes().await?).context(path)?;
                    return Ok((entry.state != "leased").then_some(entry));
                }
                // Redis did not answer in time. To look again changes nothing.
                StatusCode::SERVICE_UNAVAILABLE if began.elapsed() < TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                status => bail!("GET {path} answered {status}: {}", answer.text().await?),
            }
        }
    }

    /// How often, so far, the service may have been without its Redis: by its own count, and by its slow answers.
    pub(super) async fn disturbances(&self) -> Result<u64> {
        Ok(self.metrics().await?.without_redis() + self.slow.load(Relaxed))
    }

    /// Reads until there is a fresh entry with at least `life` to go: one that is about to end would end in the
    /// middle of what is to be shown. Returns the last read, and the entry that it left.
    pub(super) async fn warm(&self, path: &str, key: &str, life: Duration) -> Result<(Answer, Entry)> {
        let deadline = Instant::now() + life + TIMEOUT;
        loop {
            let answer = self.read(path).await?;
            let entry = self.entry(key).await?;
            let left = entry.as_ref().and_then(|entry| entry.ttl_ms).unwrap_or(0).max(0).unsigned_abs();
            match entry {
                Some(entry) if left >= life.as_millis() as u64 => return Ok((answer, entry)),
                _ => ensure!(
                    Instant::now() < deadline,
                    "no entry under {key} lives for {life:?}; is the TTL of its lane shorter?"
                ),
            }
            tokio::time::sleep(Duration::from_millis(left + 20)).await;
        }
    }

    /// The service's counters.
    pub(super) async fn metrics(&self) -> Result<Metrics> {
        let answer = self.send(Method::GET, "/metrics", None).await?.error_for_status()?;
        Ok(Metrics::parse(&answer.text().await?))
    }

    /// Waits until the listener has acted on `count` events: a late one must not fall into the next step.
    pub(super) async fn events_applied(&self, count: u64) -> Result<bool> {
        for _ in 0..200 {
            if self.metrics().await?.events_applied() >= count {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(false)
    }

    async fn ask(&self, method: Method, path: &str, change: Option<&Value>) -> Result<Answer> {
        let began = Instant::now();
        let response = self.send(method.clone(), path, change).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        let ms = millis(began.elapsed());
        ensure!(status.is_success(), "{method} {path} answered {status}: {}", String::from_utf8_lossy(&body));
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).with_context(|| format!("{method} {path} is not JSON"))?;
        let server_ms = header("server-timing").rsplit('=').next().and_then(|ms| ms.parse().ok()).unwrap_or(f64::NAN);
        self.slow.fetch_add(u64::from(server_ms >= SLOW), Relaxed);
        Ok(Answer {
            version: body.get("version").and_then(Value::as_u64),
            source: Source::parse(header("cache-status")),
            cache_status: header("cache-status").to_owned(),
            ms,
            server_ms,
            body,
        })
    }

    async fn send(&self, method: Method, path: &str, change: Option<&Value>) -> Result<Response> {
        let mut tries = 0;
        loop {
            let request = self.http.request(method.clone(), format!("{}{path}", self.base));
            let request = match change {
                Some(change) => request.json(change),
                None => request,
            };
            let answer = request.send().await.with_context(|| format!("{method} {}{path}", self.base))?;
            // Not this request's answer: the server gave up on a connection that had been idle from the start, just
            // when this request was sent on it. RFC 9110 (15.5.9) has it repeated on another one.
            if answer.status() != StatusCode::REQUEST_TIMEOUT || tries == 3 {
                return Ok(answer);
            }
            tries += 1;
        }
    }
}
