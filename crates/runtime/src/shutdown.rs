//! The end of a service's cache.

use std::time::Duration;

use cache::CacheClient;
use tokio::time::Instant;
use tracing::warn;

/// What is kept of the grace time for closing the connection to Redis.
const CLOSING: Duration = Duration::from_millis(100);

/// Closes `cache`, after deferred invalidations have been repeated until they succeeded, or until shortly before `deadline`.
/// Those that are left are logged with what becomes of them, which `pending_note` says.
pub async fn shut_down_cache(cache: &CacheClient, deadline: Instant, pending_note: &'static str) {
    let grace = deadline.saturating_duration_since(Instant::now()).saturating_sub(CLOSING);
    let pending = cache.shutdown(grace).await;
    if pending > 0 {
        warn!(pending, "the grace time is over; deferred invalidations {pending_note}");
    }
}
