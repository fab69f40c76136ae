//! What the sessions of a consumer have in common: a session is one pair of connections to one Redis.

use std::time::Duration;

use fred::clients::SubscriberClient;
use fred::error::Error;
use redis_connect::{RedisAddress, RedisClients, address_of_primary};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::monitor::ConsumerMonitor;
use super::stream::{Scripts, StreamReader};
use crate::backoff::Backoff;
use crate::redis::COMMAND_TIMEOUT;

/// The number of messages that the client of a channel buffers. Each client reserves memory for nine such queues, about
/// 7 MB.
const CHANNEL_BUFFER: usize = 8_192;

/// The configuration of the sessions, and the state that outlives them.
pub(super) struct SessionContext {
    pub(super) redis: RedisAddress,
    pub(super) stream: &'static str,
    pub(super) scripts: Scripts,
    pub(super) batch: u64,
    pub(super) claim_after: Duration,
    pub(super) monitor: ConsumerMonitor,
    pub(super) stop: CancellationToken,
}

impl SessionContext {
    /// Returns a reader, which connects in the background.
    pub(super) fn open(&self) -> StreamReader {
        StreamReader::open(&self.redis, self.stream, &self.scripts)
    }

    /// Returns a client for the channel that carries the events of `stream`; not connected yet. Of a cluster, it uses the
    /// server that publishes the events.
    pub(super) async fn subscriber(&self, stream: &str, timeout: Duration) -> Result<SubscriberClient, Error> {
        Ok(address_of_primary(&self.redis, stream, COMMAND_TIMEOUT).await?.subscriber(timeout, CHANNEL_BUFFER))
    }

    /// Connects, and waits for Redis without a time limit.
    pub(super) async fn connect(&self) -> Result<StreamReader, SessionEnd> {
        let stream = self.open();
        tokio::select! {
            connected = stream.connected() => connected?,
            () = self.stop.cancelled() => return Err(SessionEnd::Stopped),
        }
        Ok(stream)
    }
}

/// The consumer was stopped before the operation was complete.
#[derive(Debug)]
pub(super) struct Stopped;

#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The consumer was stopped.
    Stopped,
    /// A Redis error; the next session may succeed.
    Redis(Error),
}

impl From<Stopped> for SessionEnd {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Error> for SessionEnd {
    fn from(error: Error) -> Self {
        Self::Redis(error)
    }
}

/// Sleeps for the next pause of `backoff`. Returns an error if the consumer is stopped.
pub(super) async fn pause(stop: &CancellationToken, backoff: &mut Backoff) -> Result<(), Stopped> {
    tokio::select! {
        () = sleep(backoff.pause()) => Ok(()),
        () = stop.cancelled() => Err(Stopped),
    }
}
