//! What a service does itself before its events are appended.

use std::future::Future;

use crate::consumer::HandlerError;
use crate::contract::{Event, EventData};

/// A committed event as its outbox row has it.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEvent<T> {
    /// What consumers are told.
    pub event: Event<T>,
    /// What the writing transaction called itself (`SET LOCAL shop.writer = '…'`), for the hook alone: a writer that is
    /// going to invalidate by itself, and may be killed before it does.
    pub writer: Option<String>,
}

/// The service's own reaction to its own events: it does not wait for the stream to tell it.
pub trait RelayHook<T: EventData>: Send + Sync + 'static {
    /// Called with each batch before it is appended; again, where anything failed afterwards.
    fn before_append(&self, events: &[OutboxEvent<T>]) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// The database was restored, or may have been: what Redis holds may be of a history that is lost.
    fn history_changed(&self) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Redis is another one than before: what it holds may be of any age.
    fn redis_changed(&self) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// For a service whose events concern others only.
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
