//! Events and their effects. Both consumers do the same in the same order: what is known is changed and committed, then the
//! lists that were made of it are removed, then the event is acknowledged. A list that is made in between is made of what
//! is known by then.

mod carts;
mod follower;
mod products;
mod rebuild;

pub use carts::CartEventHandler;
pub use follower::{BothProgress, Follower};
pub use products::ProductEventHandler;
pub use rebuild::BasketRebuild;

use cache::Invalidated;
use events::consumer::HandlerError;

use crate::error::RecommendationError;

/// The cache repeats a deferred one by itself; the events wait until it is certain.
fn require_done(invalidated: Invalidated) -> Result<(), HandlerError> {
    match invalidated {
        Invalidated::Done { .. } => Ok(()),
        Invalidated::Deferred => Err(HandlerError::Unavailable("Redis did not take the invalidation".to_owned())),
    }
}

fn refused(failure: RecommendationError) -> HandlerError {
    let reason = failure.to_string();
    if failure.is_transient() { HandlerError::Unavailable(reason) } else { HandlerError::Refused(reason) }
}
