//! The entries of a service's cache, as its operations routes show them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode};
use serde::Deserialize;

/// An entry, as `/cache/entries` and `/cache/stats/{key}` return it.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// Its full key.
    pub key: String,
    /// Fresh, stale, absent, leased or unreadable.
    pub state: String,
    /// Milliseconds until it becomes stale; negative if it is stale already.
    pub ttl_ms: Option<i64>,
    /// Milliseconds until it expires.
    pub expires_in_ms: i64,
    /// Its soft TTL in milliseconds.
    pub soft_ttl_ms: Option<u64>,
    /// Its hard TTL in milliseconds.
    pub hard_ttl_ms: Option<u64>,
    /// The version of the row, if the entry holds one.
    pub version: Option<u64>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The longest time for which a page is asked for again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

impl Entry {
    /// Returns all entries of the service at `base`; an entry may occur twice.
    ///
    /// # Errors
    /// Returns an error if the service does not respond with success, or without its Redis for longer than ten seconds.
    pub async fn all(http: &Client, base: &str) -> Result<Vec<Self>> {
        let (mut entries, mut cursor, deadline) = (Vec::new(), String::new(), Instant::now() + LONGEST_WAIT);
        loop {
            let answer = http.get(format!("{base}/cache/entries?limit=1000{cursor}")).send().await?;
            // Redis has not replied in time. The same page can be asked for again.
            if answer.status() == StatusCode::SERVICE_UNAVAILABLE && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let page: Page =
                answer.error_for_status()?.json().await.with_context(|| format!("the entries of {base}"))?;
            entries.extend(page.entries);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(entries),
            }
        }
    }

    /// Returns the key of an entry of the service at `base` that carries `tag`.
    ///
    /// # Errors
    /// Returns an error if the service does not respond with success.
    pub async fn key_with_tag(http: &Client, base: &str, tag: &str) -> Result<Option<String>> {
        let mut entries = Self::all(http, base).await?.into_iter();
        Ok(entries.find(|entry| entry.tags.iter().any(|its| its == tag)).map(|entry| entry.key))
    }
}

/// The location of the token. A stack whose services listen on loopback only needs none.
#[derive(Clone, Debug, Default, Args)]
pub struct Operations {
    /// The file with the token of the operations routes (/events, /cache/*, /metrics), if they require one
    #[arg(long = "operations-token-file", env = "OPERATIONS_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

impl Operations {
    /// Returns the headers that every request carries.
    pub fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.token_file {
            let token = std::fs::read_to_string(file).with_context(|| {
                format!("the token of the operations routes cannot be read from {}", file.display())
            })?;
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.trim()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(headers)
    }
}
