//! The status of a consumer.

use std::time::Instant;

/// The status of a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Whether the consumer has a connection and reads.
    pub connected: bool,
    /// The highest applied number (with `Log`: the number up to which every event is applied).
    pub position: u64,
    /// The number of events in the stream that no consumer of the group has applied yet.
    pub lag: u64,
    /// Every event from before this moment is applied. `None` until this is known for the first time.
    pub verified: Option<Instant>,
    /// Whether Redis responds and refuses reads, or the last subscription failed. Only set for a group and for a
    /// listener, which have no other source of events.
    pub refused: bool,
}
