//! The parts of a relay, from the outbox through the hook to the stream.

use super::batch_size::BatchSize;
use super::health::RelayHealth;
use super::settings::RelaySettings;
use super::stream::StreamWriter;

pub(super) struct Pipeline<H> {
    pub(super) settings: RelaySettings,
    pub(super) hook: H,
    pub(super) stream: StreamWriter,
    pub(super) batch_size: BatchSize,
    pub(super) health: RelayHealth,
}
