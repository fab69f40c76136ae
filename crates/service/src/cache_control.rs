//! `Cache-Control`: what a cache between the client and this service may do with a response (RFC 9111, RFC 5861).
//!
//! | [`Caching`] | header | the response |
//! |---|---|---|
//! | `Validated` | `no-cache` | may be stored, and must be validated before every use |
//! | `Ttl` | `max-age=…` | may be used as long as its entry is fresh |
//! | `StaleWhileRevalidate` | `max-age=…, stale-while-revalidate=…` | … and then while the entry may be served stale |
//! | `Private` | `private, no-store` | belongs to one person, and must not be stored |
//! | `Never` | `no-store` | must not be stored |
//!
//! A value that was loaded without the cache has no entry with a remaining TTL: its header is `no-cache`. `max-age` is
//! the remaining TTL of the entry, although the response's `Age` counts from the fill. So a cache that honours `Age`
//! keeps the response for less time than it might, and no cache keeps it for longer than the strategy allows.

use actix_web::http::header::HeaderValue;
use cache::Cached;

/// What a strategy allows other caches to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// A response must be validated before every use: the strategy promises fresh reads.
    #[default]
    Validated,
    /// A response may be stale within the entry's TTL.
    Ttl,
    /// A response may be stale within the entry's hard TTL, while a refresh runs after the soft TTL.
    StaleWhileRevalidate,
    /// A response belongs to one person, and must not be stored.
    Private,
    /// A response describes one moment, and must not be stored.
    Never,
}

impl Caching {
    /// Returns the header of a response with the value `fetched`.
    pub(crate) fn of<T>(self, fetched: &Cached<T>) -> HeaderValue {
        self.header(fetched.ttl_ms(), fetched.hard_ttl_ms())
    }

    /// Returns the header of a response without an entry.
    pub(crate) fn without_entry(self) -> HeaderValue {
        self.header(0, 0)
    }

    fn header(self, soft_ms: i64, hard_ms: u64) -> HeaderValue {
        let (fresh, usable) = (seconds(u64::try_from(soft_ms).unwrap_or(0)), seconds(hard_ms));
        let text = match self {
            Self::Ttl if fresh > 0 => format!("max-age={fresh}"),
            Self::StaleWhileRevalidate if usable > fresh => {
                format!("max-age={fresh}, stale-while-revalidate={}", usable - fresh)
            }
            Self::StaleWhileRevalidate if fresh > 0 => format!("max-age={fresh}"),
            Self::Validated | Self::Ttl | Self::StaleWhileRevalidate => return HeaderValue::from_static("no-cache"),
            Self::Private => return HeaderValue::from_static("private, no-store"),
            Self::Never => return HeaderValue::from_static("no-store"),
        };
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("no-cache"))
    }
}

/// Returns the whole seconds that end before `ms` have passed: the response is in transit for a part of them.
fn seconds(ms: u64) -> u64 {
    ms.saturating_sub(1) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_never_exceeds_the_remaining_ttl_of_the_entry() {
        for (caching, soft, hard, header) in [
            (Caching::Validated, 10_000, 10_000, "no-cache"),
            (Caching::Private, 10_000, 10_000, "private, no-store"),
            (Caching::Never, 10_000, 10_000, "no-store"),
            (Caching::Ttl, 10_000, 10_000, "max-age=9"),
            (Caching::Ttl, 2_500, 2_500, "max-age=2"),
            (Caching::Ttl, 999, 999, "no-cache"),
            (Caching::Ttl, -5_000, 3_000, "no-cache"),
            (Caching::Ttl, 0, 0, "no-cache"),
            (Caching::StaleWhileRevalidate, 5_000, 60_000, "max-age=4, stale-while-revalidate=55"),
            (Caching::StaleWhileRevalidate, -4_000, 51_000, "max-age=0, stale-while-revalidate=50"),
            (Caching::StaleWhileRevalidate, 2_500, 2_500, "max-age=2"),
            (Caching::StaleWhileRevalidate, 0, 0, "no-cache"),
        ] {
            assert_eq!(caching.header(soft, hard), header, "{caching:?} {soft} {hard}");
        }
    }
}
