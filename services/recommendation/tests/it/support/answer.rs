//! An HTTP answer, read to its end.

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, headers and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    /// This answer, which must have `status`.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}\n{}", self.text());
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}: {self:?}", self.text()))
    }

    /// A header's text; empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("our headers are visible ASCII"))
    }

    /// `Cache-Status` without the cache's name; `hit` for any fresh hit.
    pub(crate) fn source(&self) -> &str {
        let text = self.header("cache-status");
        let source = text.strip_prefix("recommendation; ").unwrap_or(text);
        match source.strip_prefix("hit; ttl=") {
            Some(ttl) if ttl.parse::<u64>().is_ok() => "hit",
            _ => source,
        }
    }

    /// The body, which must be a whole problem of that status and kind.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        let context = format!("{self:#?}\n{}", self.text());
        assert_eq!(self.status, status, "{context}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{context}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{kind}"), "{context}");
        assert_eq!(problem["status"], status, "{context}");
        for leak in ["SELECT", "INSERT", "diesel", "panicked", "src/", "postgres://", "redis://", "http://"] {
            assert!(!self.text().contains(leak), "{leak} leaks: {context}");
        }
        problem
    }
}
