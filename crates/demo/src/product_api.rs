//! A client of the product API: reads, writes, the entries in Redis, the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use client::times::millis;
use client::{Entry, Metrics, Source};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// Timeout of a request; longer than any normal response.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The time in milliseconds that the service waits for one command of Redis: after a slower response, it may have given
/// up.
const SLOW: f64 = 40.0;

/// A product API. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ProductApiClient {
    http: Client,
    base: String,
    slow: Arc<AtomicU64>,
}

/// A response to a read or write.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The version of the row; `None` for lists.
    pub version: Option<u64>,
    /// Where the response came from.
    pub source: Source,
    /// The `Cache-Status` header, unchanged.
    pub cache_status: String,
    /// Milliseconds from the first byte of the request to the last byte of the response, measured by this client.
    pub ms: f64,
    /// The same within the service, from its `Server-Timing` header.
    pub server_ms: f64,
    pub body: Value,
}

/// A product, with the fields that the demos use.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Product {
    pub id: i64,
    pub name: String,
    pub price_cents: i64,
    pub category: Category,
}

/// A category, as a product shows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Category {
    pub id: i64,
    pub name: String,
}

impl ProductApiClient {
    /// Connects to the API at `base`. Fails if it does not respond.
    pub(crate) async fn open(base: &str, headers: HeaderMap) -> Result<Self> {
        let http = Client::builder().timeout(TIMEOUT).default_headers(headers).build()?;
        let shop = Self { http, base: base.trim_end_matches('/').to_owned(), slow: Arc::default() };
        shop.alive()
            .await
            .with_context(|| format!("the product API does not answer at {base}; `make up` starts it"))?;
        Ok(shop)
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Checks that the service responds. The request uses neither the database nor the cache.
    pub(crate) async fn alive(&self) -> Result<()> {
        self.send(Method::GET, "/livez", None).await?.error_for_status()?;
        Ok(())
    }

    /// Sends `GET path`.
    pub(crate) async fn read(&self, path: &str) -> Result<Answer> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends `PUT path` with the fields to change.
    pub(crate) async fn put(&self, path: &str, change: &Value) -> Result<Answer> {
        self.ask(Method::PUT, path, Some(change)).await
    }

    /// Returns the entry under `key`, or `None` if there is none, or only a lease.
    pub(crate) async fn entry(&self, key: &str) -> Result<Option<Entry>> {
        let (path, began) = (format!("/cache/stats/{key}"), Instant::now());
        loop {
            let answer = self.send(Method::GET, &path, None).await?;
            match answer.status() {
                StatusCode::NOT_FOUND => return Ok(None),
                StatusCode::OK => {
                    let entry: Entry = serde_json::from_slice(&answer.bytes().await?).context(path)?;
                    return Ok((entry.state != "leased").then_some(entry));
                }
                // Redis did not respond in time. Another look changes nothing.
                StatusCode::SERVICE_UNAVAILABLE if began.elapsed() < TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                status => bail!("GET {path} answered {status}: {}", answer.text().await?),
            }
        }
    }

    /// Returns how often the service may have been without its Redis so far: by its own count, and by its slow
    /// responses.
    pub(crate) async fn disturbances(&self) -> Result<u64> {
        Ok(self.metrics().await?.without_redis() + self.slow.load(Relaxed))
    }

    /// Reads until there is a fresh entry that lives for at least `life` more, so that it does not expire in the middle
    /// of what the demo shows. Returns the last read, and the entry that it left.
    pub(crate) async fn warm(&self, path: &str, key: &str, life: Duration) -> Result<(Answer, Entry)> {
        let deadline = Instant::now() + life + TIMEOUT;
        loop {
            let answer = self.read(path).await?;
            let entry = self.entry(key).await?;
            let left = entry.as_ref().and_then(|entry| entry.ttl_ms).unwrap_or(0).max(0).unsigned_abs();
            match entry {
                Some(entry) if left >= life.as_millis() as u64 => return Ok((answer, entry)),
                _ => ensure!(
                    Instant::now() < deadline,
                    "no entry under {key} lives for {life:?}; is the TTL of its cache shorter?"
                ),
            }
            tokio::time::sleep(Duration::from_millis(left + 20)).await;
        }
    }

    /// Returns the service's counters.
    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        let answer = self.send(Method::GET, "/metrics", None).await?.error_for_status()?;
        Ok(Metrics::parse(&answer.text().await?))
    }

    /// Waits until the listener has applied `count` events, so that a late event does not fall into the next step.
    pub(crate) async fn events_applied(&self, count: u64) -> Result<bool> {
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
            // This response does not belong to this request: the server closed a connection that had been idle from the
            // start, just when this request was sent on it. RFC 9110 (15.5.9) allows the client to repeat it on another
            // connection.
            if answer.status() != StatusCode::REQUEST_TIMEOUT || tries == 3 {
                return Ok(answer);
            }
            tries += 1;
        }
    }
}
