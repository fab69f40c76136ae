//! Closes a service's cache.

use std::time::Duration;

use cache::CacheClient;
use tokio::time::Instant;
use tracing::warn;

/// The part of the grace period that is reserved for closing the connection to Redis.
const CLOSING: Duration = Duration::from_millis(100);

/// Closes `cache`, after its deferred invalidations have succeeded, or shortly before `deadline`. Remaining
/// invalidations are logged together with their consequence, which `pending_note` states.
pub async fn shut_down_cache(cache: &CacheClient, deadline: Instant, pending_note: &'static str) {
    let grace = deadline.saturating_duration_since(Instant::now()).saturating_sub(CLOSING);
    let pending = cache.shutdown(grace).await;
    if pending > 0 {
        warn!(pending, "the grace period is over; deferred invalidations {pending_note}");
    }
}
