//! `Cache-Status` (RFC 9211): where an answer came from, in a form that tools understand.
//!
//! | header | meaning |
//! |---|---|
//! | `product-api; hit; ttl=23` | from the cache, fresh for 23 s more |
//! | `product-api; hit; ttl=-4` | from the cache, stale for 4 s, a refresh is under way |
//! | `product-api; fwd=miss; stored` | loaded, and now in the cache |
//! | `product-api; fwd=miss; collapsed` | loaded once for several requests |
//! | `product-api; fwd=miss; detail=fenced` | loaded, not stored because of an invalidation meanwhile |
//! | `product-api; fwd=bypass; detail=redis-down` | loaded beside the cache |

use actix_web::http::header::HeaderValue;
use cache::{Bypass, Fetched, Fill, Outcome, Refusal};

/// The header's value for what `cache` (its name in the header) answered.
pub fn of(cache: &str, fetched: &Fetched) -> HeaderValue {
    let mut text = String::with_capacity(64);
    text.push_str(cache);
    match fetched.outcome() {
        Outcome::Hit | Outcome::Stale => {
            text.push_str("; hit; ttl=");
            // Rounded down, so that a stale answer never shows `ttl=0`.
            text.push_str(itoa::Buffer::new().format(fetched.ttl_ms().div_euclid(1000)));
        }
        Outcome::Collapsed => text.push_str("; fwd=miss; collapsed"),
        Outcome::Miss(Fill::Stored) => text.push_str("; fwd=miss; stored"),
        Outcome::Miss(Fill::Failed) => text.push_str("; fwd=miss; detail=redis-down"),
        Outcome::Miss(Fill::Refused(refusal)) => {
            text.push_str("; fwd=miss; detail=");
            text.push_str(match refusal {
                Refusal::Lost => "lease-lost",
                Refusal::Generation => "generation",
                Refusal::Floor => "floor",
                Refusal::Fenced => "fenced",
            });
        }
        Outcome::Bypass(why) => {
            text.push_str("; fwd=bypass; detail=");
            text.push_str(match why {
                Bypass::RedisDown => "redis-down",
                Bypass::LeaseHeld => "lease-held",
                Bypass::RepairPending => "repair-pending",
                Bypass::Contended => "contended",
            });
        }
    }
    value(text)
}

/// The header's value for a request that the cache never answers, with what became of the entry.
pub fn of_write(cache: &str, detail: &str) -> HeaderValue {
    value(format!("{cache}; fwd=method; detail={detail}"))
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("cache"))
}
