//! The work that a service does itself before its events are appended.

use std::future::Future;

use crate::consumer::HandlerError;
use crate::contract::{Event, EventData};

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
pub trait RelayHook<T: EventData>: Send + Sync + 'static {
    /// Handles a batch before it is appended. The relay calls it again with the same events if a later step fails.
    fn before_append(&self, events: &[OutboxEvent<T>]) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Handles a database that was restored, or may have been: the data in Redis may be of a lost history.
    fn history_changed(&self) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Handles a Redis that has restarted or was replaced: its data may be of any age.
    fn redis_changed(&self) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// A hook that does nothing, for a service whose events concern only other services.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRelayHook;

impl<T: EventData> RelayHook<T> for NoRelayHook {
    async fn before_append(&self, _: &[OutboxEvent<T>]) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn history_changed(&self) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn redis_changed(&self) -> Result<(), HandlerError> {
        Ok(())
    }
}
