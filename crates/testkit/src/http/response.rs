//! An HTTP response, read to its end.

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Implementation details that no problem may reveal.
const INSIDE: [&str; 8] = ["SELECT", "INSERT", "diesel", "tantivy", "panicked", "src/", "postgres://", "redis://"];

/// Status, headers and body.
#[derive(Debug)]
pub struct TestResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl TestResponse {
    /// Reads the body of `response`.
    pub async fn read(response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// Returns this response, which must have `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}\n{}", self.text());
        self
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}: {self:?}", self.text()))
    }

    /// Returns a header's text, or an empty text if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("our headers are visible ASCII"))
    }

    /// Returns the version in the body.
    #[track_caller]
    pub fn version(&self) -> i64 {
        self.json()["version"].as_i64().unwrap_or_else(|| panic!("no version in {}", self.text()))
    }

    /// Returns whether it is a fresh entry, from Redis or from the memory of the process. The response may say that the
    /// data behind it may be old (`detail=index-stale`): on a busy machine, that is so for a moment.
    pub fn is_hit(&self) -> bool {
        let ttl = self.header("cache-status").split_once("; hit; ttl=").and_then(|(_, rest)| rest.split(';').next());
        ttl.and_then(|ttl| ttl.parse::<i64>().ok()).is_some_and(|ttl| ttl >= 0)
    }

    /// Returns `Cache-Status` without the cache's name: `hit` for a fresh hit, `near` for one from memory, and `stale` for
    /// a stale one, without parameters.
    pub fn source(&self) -> &str {
        let text = self.header("cache-status");
        let source = text.split_once("; ").map_or(text, |(_, source)| source);
        let ttl = source.strip_prefix("hit; ttl=");
        if ttl.is_some_and(|ttl| ttl.ends_with("; detail=near")) {
            return "near";
        }
        match ttl.and_then(|ttl| ttl.parse::<i64>().ok()) {
            Some(0..) => "hit",
            Some(_) => "stale",
            None => source,
        }
    }

    /// Returns the body, which must be a complete problem of that status and kind, and must not reveal implementation
    /// details.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> Value {
        let context = format!("{self:#?}\n{}", self.text());
        assert_eq!(self.status, status, "{context}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{context}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{kind}"), "{context}");
        assert_eq!(problem["status"], status, "{context}");
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {context}");
        }
        for inside in INSIDE {
            assert!(!self.text().contains(inside), "{inside} leaks: {context}");
        }
        problem
    }
}
