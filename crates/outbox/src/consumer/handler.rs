//! What a service does with events.

use std::future::Future;

use crate::event::{Event, EventData, Unreadable};
use crate::log::LogPosition;

/// The effect of events on a service. The consumer may call every method again with the same events.
pub trait EventHandler: Send + Sync + 'static {
    /// The payload of the stream's events.
    type Data: EventData;

    /// Applies `events`, which are in the order of their numbers. After `Ok`, all of them are applied, and the consumer
    /// does not request them again.
    fn apply(&self, events: &[Event<Self::Data>]) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Drops or rebuilds all data that depends on events, because events may have been missed. Returns the event after
    /// which a [`Delivery::Log`](super::Delivery::Log) continues, if that has changed.
    fn resync(&self, why: Resync) -> impl Future<Output = Result<Option<LogPosition>, HandlerError>> + Send;

    /// Returns the position of a service that stores it with its effects. The consumer creates the group at this
    /// position: the first time, and when Redis has lost the group. It also compares the position with the group: the
    /// group is ahead if the service's database was restored.
    fn position(&self) -> impl Future<Output = Result<Option<Position>, HandlerError>> + Send {
        async { Ok(None) }
    }

    /// Advances the stored position of the service to `until`. The events up to `until` are unavailable, and a
    /// [`Resync::Gap`] has already compensated for them.
    fn skip(&self, _until: u64) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Advances the stored position of the service past these dead letters. A resync has already compensated for the
    /// effects that they lose.
    fn skip_dead_letters(&self, _numbers: &[u64]) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Notes that a message of the Pub/Sub channel cannot be read; the consumer skips it. Messages of a stream become
    /// dead letters instead.
    fn unreadable(&self, _why: &Unreadable) {}
}

/// Why the event handler did not apply an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// A dependency of the event handler is unavailable. The consumer retries until it is available again.
    #[error("not available: {0}")]
    Unavailable(String),
    /// The event cannot be applied, although all dependencies are available.
    #[error("refused: {0}")]
    Refused(String),
}

/// Why events may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resync {
    /// The group is new: no process has read for it before.
    NewGroup,
    /// Numbers are missing, and the log does not have them.
    Gap,
    /// An event could not be parsed or applied.
    LostEvent,
    /// Redis has restarted or was replaced: its data may be of any age.
    RedisChanged,
    /// The log has another history than the applied events: its database was restored, or is another one.
    OtherHistory,
    /// Messages of a Pub/Sub channel may have been missed: the subscription is new, or messages came too fast.
    Unsubscribed,
}

/// The position of a service that stores it with its effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Every event up to this number is applied.
    pub seq: u64,
    /// The newest applied event: `seq`, or a later one when several processes share the work. Its epoch identifies the
    /// history of the log that the effects belong to.
    pub newest: LogPosition,
}

impl Position {
    /// Returns the event up to which everything is applied. Its epoch is known only if the newest event determines it.
    pub fn log_position(&self) -> LogPosition {
        LogPosition { seq: self.seq, epoch: self.newest.epoch.filter(|_| self.seq <= self.newest.seq) }
    }
}

impl From<u64> for Position {
    fn from(seq: u64) -> Self {
        Self { seq, newest: seq.into() }
    }
}
