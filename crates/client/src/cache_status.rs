//! `Cache-Status` (RFC 9211) as a client reads it: the source of a response, and what became of its entry.

use std::fmt;

use reqwest::header::HeaderMap;
use serde::Serialize;
use sfv::{BareItem, Item, List, ListEntry, Parameters, Parser};

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
///
/// Of several lines, it is the last: each cache appends to those of the caches before it.
pub fn cache_status(headers: &HeaderMap) -> &str {
    let nearest = headers.get_all("cache-status").iter().next_back();
    nearest.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What the header says of the cache nearest to the client, which is the last of several caches.
#[derive(Clone, Debug, Default)]
pub struct CacheStatus(Parameters);

impl CacheStatus {
    /// Parses the header. A value that is not a structured field (RFC 9651) says nothing about a cache.
    pub fn parse(header: &str) -> Self {
        match Parser::new(header).parse::<List>().unwrap_or_default().pop() {
            Some(ListEntry::Item(nearest)) => Self(nearest.params),
            Some(ListEntry::InnerList(_)) | None => Self::default(),
        }
    }

    /// Parses the header of a response.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::parse(cache_status(headers))
    }

    /// Returns the source of the response.
    pub fn source(&self) -> Source {
        if self.is_set("hit") {
            let ttl = self.value("ttl").and_then(|ttl| ttl.as_integer()).map(i64::from);
            return match ttl.is_some_and(|ttl| ttl < 0) {
                true => Source::Stale,
                false if self.detail() == Some("near") => Source::Near,
                false => Source::Hit,
            };
        }
        match self.value("fwd").and_then(|forwarded| forwarded.as_token()).map(|forwarded| forwarded.as_str()) {
            Some("miss" | "uri-miss" | "vary-miss" | "stale") if self.is_set("collapsed") => Source::Collapsed,
            Some("miss" | "uri-miss" | "vary-miss" | "stale") => Source::Miss,
            Some("bypass") => Source::Bypass,
            _ => Source::Uncached,
        }
    }

    /// Returns the detail: after a write, the state of the entry, such as `invalidated` or `deferred`.
    pub fn detail(&self) -> Option<&str> {
        match self.value("detail")? {
            BareItem::Token(detail) => Some(detail.as_str()),
            BareItem::String(detail) => Some(detail.as_str()),
            _ => None,
        }
    }

    /// Returns whether the cache has stored the response.
    pub fn is_stored(&self) -> bool {
        self.is_set("stored")
    }

    /// Returns whether the header has all these parameters, such as `detail=deferred`. A text that is not a list of
    /// parameters is never there.
    pub fn has(&self, parameters: &str) -> bool {
        let wanted = format!("wanted;{parameters}");
        Parser::new(&wanted).parse::<Item>().is_ok_and(|wanted| {
            wanted.params.iter().all(|(name, value)| self.value(name.as_str()).is_some_and(|it| it == value))
        })
    }

    fn value(&self, name: &str) -> Option<&BareItem> {
        self.0.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
    }

    fn is_set(&self, name: &str) -> bool {
        self.value(name).and_then(|value| value.as_boolean()).unwrap_or(false)
    }
}

impl Source {
    /// Parses the header and returns its [source](CacheStatus::source).
    pub fn parse(header: &str) -> Self {
        CacheStatus::parse(header).source()
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

    #[test]
    fn detail_is_a_token_or_a_string_of_the_nearest_cache() {
        for (header, detail) in [
            ("product-api; fwd=method; detail=deferred", Some("deferred")),
            ("product-api;fwd=method;detail=\"deferred\"", Some("deferred")),
            ("origin; detail=deferred, edge; fwd=method; detail=invalidated", Some("invalidated")),
            ("edge; note=\"detail=deferred\"", None),
            ("edge; detail=7", None),
            ("edge; detail", None),
            ("edge; detail=deferred;;", None),
            ("", None),
        ] {
            assert_eq!(CacheStatus::parse(header).detail(), detail, "{header:?}");
        }
    }

    #[test]
    fn stored_is_a_parameter_and_no_part_of_another_one() {
        for (header, is_stored) in [
            ("product-api; fwd=miss; stored", true),
            ("product-api; fwd=miss; stored=?1; detail=index-stale", true),
            ("product-api; fwd=miss; stored=?0", false),
            ("product-api; fwd=method; detail=stored", false),
            ("product-api; fwd=miss; detail=not-stored", false),
            ("stored; fwd=miss", false),
            ("edge; fwd=miss; detail=\"x; stored\"", false),
        ] {
            assert_eq!(CacheStatus::parse(header).is_stored(), is_stored, "{header:?}");
        }
    }

    #[test]
    fn parameters_are_compared_as_a_whole() {
        let status = CacheStatus::parse("product-api; fwd=method; detail=deferred; stored");
        for (parameters, is_there) in [
            ("detail=deferred", true),
            ("stored; detail=deferred", true),
            ("stored", true),
            ("detail=defer", false),
            ("tail=deferred", false),
            ("detail=\"deferred\"", false),
            ("detail=deferred; hit", false),
            ("detail=", false),
            ("", false),
        ] {
            assert_eq!(status.has(parameters), is_there, "{parameters:?}");
        }
        assert!(!CacheStatus::parse("").has("detail=deferred"));
    }

    #[test]
    fn last_of_several_header_lines_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(CacheStatus::of(&headers).source(), Source::Uncached);
        for line in ["origin; fwd=miss; stored", "edge; hit; ttl=3"] {
            headers.append("cache-status", line.parse().unwrap());
        }
        assert_eq!(CacheStatus::of(&headers).source(), Source::Hit);
    }
}
