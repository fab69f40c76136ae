//! The configuration of a session, and why a session ends.

use std::time::Duration;

use fred::clients::SubscriberClient;
use fred::error::{Error, ErrorKind};
use tokio_util::sync::CancellationToken;

use super::reactor::Stopped;
use super::scripts::Scripts;
use super::stream::Stream;
use crate::redis::{self, RedisUrlError};

/// The configuration of a session.
pub(super) struct Session {
    pub(super) url: String,
    pub(super) stream: &'static str,
    pub(super) scripts: Scripts,
    pub(super) dead_letters: String,
    pub(super) batch: u64,
    pub(super) claim_after: Duration,
}

/// Why a session has ended.
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

impl Session {
    /// Returns the error that every later connection would return, if the URL cannot be used.
    pub(super) fn check(&self) -> Result<(), RedisUrlError> {
        redis::builder(&self.url, Duration::ZERO).map(drop)
    }

    /// Starts to connect.
    pub(super) fn open(&self) -> Result<Stream, SessionEnd> {
        Stream::open(&self.url, self.stream, &self.scripts).map_err(unusable)
    }

    /// Returns a client for the channel; not connected yet.
    pub(super) fn subscriber(&self) -> Result<SubscriberClient, SessionEnd> {
        let mut builder = redis::builder(&self.url, redis::COMMAND_TIMEOUT).map_err(unusable)?;
        // The buffer for a burst of messages. Each client with this setting reserves memory for nine such queues: 7 MB.
        builder.with_performance_config(|performance| performance.broadcast_channel_capacity = 8_192);
        Ok(builder.build_subscriber_client()?)
    }

    /// Connects, and waits for Redis without a time limit.
    pub(super) async fn connect(&self, stop: &CancellationToken) -> Result<Stream, SessionEnd> {
        let stream = self.open()?;
        tokio::select! {
            connected = stream.connected() => connected?,
            () = stop.cancelled() => return Err(SessionEnd::Stopped),
        }
        Ok(stream)
    }
}

fn unusable(error: RedisUrlError) -> SessionEnd {
    SessionEnd::Redis(Error::new(ErrorKind::Config, error.to_string()))
}
