//! `Cache-Status` (RFC 9211) as a client reads it: the source of a response.

use std::fmt;

use reqwest::header::HeaderMap;
use serde::Serialize;
use sfv::{List, ListEntry, Parser};

/// The source of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// From the cache, fresh.
    Hit,
    /// From the memory of the process, fresh.
    Near,
    /// From the cache, after its soft TTL.
    Stale,
    /// From the database, because the cache did not have it.
    Miss,
    /// From another request's load of the same entry.
    Collapsed,
    /// From the database, because the cache was bypassed.
    Bypass,
    /// No cache is involved: a write, or the plain catalogue.
    Uncached,
}

/// Returns the `Cache-Status` of a response; empty if it has none.
pub fn cache_status(headers: &HeaderMap) -> &str {
    headers.get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Source {
    /// Parses the header. Of several caches, the one nearest to the client counts, which is the last.
    ///
    /// A value that is not a structured field (RFC 9651) says nothing about a cache.
    pub fn parse(header: &str) -> Self {
        let Ok(caches) = Parser::new(header).parse::<List>() else { return Self::Uncached };
        let Some(ListEntry::Item(nearest)) = caches.last() else { return Self::Uncached };
        let value = |name: &str| nearest.params.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value);
        let is_set = |name: &str| value(name).and_then(|value| value.as_boolean()).unwrap_or(false);
        if is_set("hit") {
            let is_near =
                value("detail").and_then(|detail| detail.as_token()).is_some_and(|detail| detail.as_str() == "near");
            let ttl = value("ttl").and_then(|ttl| ttl.as_integer()).map(i64::from);
            return match ttl.is_some_and(|ttl| ttl < 0) {
                true => Self::Stale,
                false if is_near => Self::Near,
                false => Self::Hit,
            };
        }
        match value("fwd").and_then(|forwarded| forwarded.as_token()).map(|forwarded| forwarded.as_str()) {
            Some("miss" | "uri-miss" | "vary-miss" | "stale") if is_set("collapsed") => Self::Collapsed,
            Some("miss" | "uri-miss" | "vary-miss" | "stale") => Self::Miss,
            Some("bypass") => Self::Bypass,
            _ => Self::Uncached,
        }
    }

    /// Returns whether it is an entry of a cache, fresh or stale.
    pub fn is_cached(self) -> bool {
        matches!(self, Self::Hit | Self::Near | Self::Stale)
    }

    /// Returns whether it is a fresh entry of a cache.
    pub fn is_fresh(self) -> bool {
        matches!(self, Self::Hit | Self::Near)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hit => "hit",
            Self::Near => "near",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Collapsed => "collapsed",
            Self::Bypass => "bypass",
            Self::Uncached => "-",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_form_maps_to_its_source() {
        for (header, source) in [
            ("product-api; hit; ttl=23", Source::Hit),
            ("product-api; hit; ttl=0", Source::Hit),
            ("product-api; hit", Source::Hit),
            ("product-api; hit; ttl=23; detail=near", Source::Near),
            ("product-api; hit; ttl=-4", Source::Stale),
            ("product-api; fwd=miss; stored", Source::Miss),
            ("product-api; fwd=miss; detail=fenced", Source::Miss),
            ("product-api; fwd=miss; collapsed", Source::Collapsed),
            ("product-api;fwd=bypass;detail=redis-down", Source::Bypass),
            ("product-api; fwd=method; detail=invalidated", Source::Uncached),
            ("origin; fwd=miss; stored, edge; hit; ttl=3", Source::Hit),
            ("hit; fwd=miss", Source::Miss),
            // A semicolon and a comma inside a string are not separators.
            ("edge; detail=\"x; hit, y\"; fwd=miss; stored", Source::Miss),
            ("edge; hit=?0; fwd=bypass", Source::Bypass),
            ("edge; hit;;", Source::Uncached),
            ("product-api", Source::Uncached),
            ("", Source::Uncached),
        ] {
            assert_eq!(Source::parse(header), source, "{header:?}");
        }
    }
}
