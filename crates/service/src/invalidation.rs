//! Invalidations in event handlers and relay hooks.

use cache::Invalidated;
use outbox::consumer::HandlerError;

/// Requires a completed invalidation. The cache retries a deferred one by itself, but the events stay unacknowledged
/// until one is complete.
///
/// # Errors
/// Returns an error if the invalidation is deferred, so that the events are delivered again.
pub fn require_done(invalidated: Invalidated) -> Result<(), HandlerError> {
    match invalidated {
        Invalidated::Done { .. } => Ok(()),
        Invalidated::Deferred => Err(HandlerError::Unavailable("Redis did not take the invalidation".to_owned())),
    }
}
