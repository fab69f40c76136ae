//! The parts of a relay, from the outbox through the hook to the stream.

use tokio::time::timeout;

use super::batch_size::BatchSize;
use super::health::RelayHealth;
use super::hook::{OutboxEvent, RelayHook};
use super::settings::RelaySettings;
use super::stream::StreamWriter;
use crate::consumer::HandlerError;

pub(super) struct Pipeline<H> {
    pub(super) settings: RelaySettings,
    pub(super) hook: H,
    pub(super) stream: StreamWriter,
    pub(super) batch_size: BatchSize,
    pub(super) health: RelayHealth,
}

impl<H: RelayHook> Pipeline<H> {
    /// Calls the hook before `events` are appended.
    pub(super) async fn before_append(&self, events: &[OutboxEvent<H::Data>]) -> Result<(), HandlerError> {
        let limit = self.settings.hook_timeout;
        let late = |_| Err(HandlerError::Unavailable(format!("no answer within {limit:?}")));
        timeout(limit, self.hook.before_append(events)).await.unwrap_or_else(late)
    }
}
