//! The event handlers and the consumers. Both handlers work in the same order: they commit the changed data, then
//! invalidate the lists that were built from the old data, and then the consumer acknowledges the event. A list that is
//! built in between uses the committed data.

mod carts;
mod follower;
mod products;
mod rebuild;

pub use carts::CartEventHandler;
pub use follower::{BothProgress, Follower};
pub use products::ProductEventHandler;
pub use rebuild::BasketRebuild;

use outbox::consumer::HandlerError;

use crate::error::RecommendationError;

fn refused(failure: RecommendationError) -> HandlerError {
    let reason = failure.to_string();
    if failure.is_transient() { HandlerError::Unavailable(reason) } else { HandlerError::Refused(reason) }
}
