//! The work that a service does itself before its events are appended.

use std::future::Future;

use crate::consumer::HandlerError;
use crate::event::{Event, EventData};

/// A committed event and its writer, as stored in the outbox row.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEvent<T> {
    /// The event that consumers receive.
    pub event: Event<T>,
    /// The name that the writing transaction set (`SET LOCAL shop.writer = '…'`), only for the hook: such a writer is
    /// going to invalidate by itself, and may be killed before it does.
    pub writer: Option<String>,
}

/// The service's handling of its own events, before they reach the stream.
pub trait RelayHook: Send + Sync + 'static {
    /// The payload of the outbox's events.
    type Data: EventData;

    /// Handles a batch before it is appended. The relay calls it again with the same events if a later step fails.
    fn before_append(
        &self, events: &[OutboxEvent<Self::Data>],
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Handles a database that was restored, or may have been: the data in Redis may be of a lost history.
    fn history_changed(&self) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Handles a Redis that has restarted or was replaced: its data may be of any age.
    fn redis_changed(&self) -> impl Future<Output = Result<(), HandlerError>> + Send;
}
