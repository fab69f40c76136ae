//! `Cache-Status` (RFC 9211): the origin of a response, in a standard form.
//!
//! | header | meaning |
//! |---|---|
//! | `product-api; hit; ttl=23` | from the cache, fresh for 23 s more |
//! | `product-api; hit; ttl=-4` | from the cache, stale for 4 s, a refresh is running |
//! | `product-api; fwd=miss; stored` | loaded, and now in the cache |
//! | `product-api; fwd=miss; collapsed` | loaded once for several requests |
//! | `product-api; fwd=miss; detail=fenced` | loaded, not stored because of an invalidation in the meantime |
//! | `product-api; fwd=miss; detail=not-stored` | loaded, valid for this response only, as the loader requested |
//! | `product-api; fwd=bypass; detail=redis-down` | loaded without the cache |

use actix_web::http::header::HeaderValue;
use cache::{Cached, Outcome};

/// Returns the header for the result `fetched` of `cache` (its name in the header).
pub fn of<T>(cache: &str, fetched: &Cached<T>) -> HeaderValue {
    value(text(cache, fetched, None))
}

/// Returns the header as [`of`], with `detail` if the result has none.
pub(crate) fn with_detail<T>(cache: &str, fetched: &Cached<T>, detail: Option<&str>) -> HeaderValue {
    value(text(cache, fetched, detail))
}

fn text<T>(cache: &str, fetched: &Cached<T>, detail: Option<&str>) -> String {
    let outcome = fetched.outcome();
    let mut text = String::with_capacity(64);
    for part in [cache, "; ", outcome.cache_status()] {
        text.push_str(part);
    }
    if let Outcome::Hit | Outcome::Stale = outcome {
        text.push_str("; ttl=");
        // Rounded down, so that a stale response never shows `ttl=0`.
        text.push_str(itoa::Buffer::new().format(fetched.ttl_ms().div_euclid(1000)));
    }
    if let Some(detail) = outcome.detail().or(detail) {
        text.push_str("; detail=");
        text.push_str(detail);
    }
    text
}

/// Returns the header for a request that the cache never answers, with the effect on the entry.
pub fn of_write(cache: &str, detail: &str) -> HeaderValue {
    value(format!("{cache}; fwd=method; detail={detail}"))
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("cache"))
}
