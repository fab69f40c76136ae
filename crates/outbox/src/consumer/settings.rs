//! How a service consumes events, and which.

use std::time::Duration;

use serde::Deserialize;

use crate::event::EventSource;
use crate::log::{EventLog, LogPosition};

/// How a service consumes events. The `[events]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerSettings {
    /// The stream, or Pub/Sub, which loses every event that is published while the service is not subscribed.
    pub transport: Transport,
    /// The maximum number of events that one call of the event handler receives. Default 1,000.
    pub batch: usize,
    /// A pending entry that a peer has not acknowledged for this long is claimed. Default 5 s.
    #[serde(with = "database::duration")]
    pub claim_after: Duration,
    /// The longest time of one call of the event handler. After it, the handler counts as unavailable, and the events are
    /// given to it again. Without effect with [`Transport::Pubsub`], which would lose them. Default 5 min.
    #[serde(with = "database::duration")]
    pub handler_timeout: Duration,
    /// The number of attempts for a refused event before it becomes a dead letter. Default 5. The consumer pauses for up to
    /// two seconds between two of them, and applies nothing else meanwhile: a service should refuse a value above
    /// [`ConsumerSettings::MOST_ATTEMPTS`].
    pub max_attempts: u32,
    /// Data that depends on events counts as outdated when the consumer has not applied all events up to the newest for
    /// longer than this. Default 5 s. The consumer checks once a second, so a value below
    /// [`ConsumerSettings::LEAST_STALE_AFTER`] makes no sense.
    #[serde(with = "database::duration")]
    pub stale_after: Duration,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            transport: Transport::Stream,
            batch: 1_000,
            claim_after: Duration::from_secs(5),
            handler_timeout: Duration::from_secs(300),
            max_attempts: 5,
            stale_after: Duration::from_secs(5),
        }
    }
}

impl ConsumerSettings {
    /// The smallest useful `stale_after`: a status query and a hanging log take up to two seconds.
    pub const LEAST_STALE_AFTER: Duration = Duration::from_secs(3);

    /// The largest useful `max_attempts`: one refused event holds up its consumer for about a minute.
    pub const MOST_ATTEMPTS: u32 = 30;
}

/// How events reach the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The stream: missed events are delivered later.
    Stream,
    /// The Pub/Sub channel only, to show its cost: missed events are lost and never backfilled. For a source without a
    /// channel, the stream.
    Pubsub,
}

/// Which events a process receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All processes with this group name share its events: Redis delivers each event to one of them. The effect is on
    /// something that these processes also share. A new group begins with the next event, after a resync.
    ///
    /// If the service stores its position ([`EventHandler::position`](super::EventHandler::position)), a new group
    /// begins there, without a resync.
    Group(&'static str),
    /// Every event, in order and without gaps, starting after this position; nothing is acknowledged. For a process
    /// that owns its effect and stores its position with it.
    Log(LogPosition),
}

/// What a consumer reads, and where it fetches missing events.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The stream and channel of the events.
    pub source: EventSource,
    /// Which events this process receives.
    pub delivery: Delivery,
    /// The stream for dead letters, such as `shipping:~dead-letters`.
    pub dead_letters: String,
    /// The log from which missing events are fetched.
    pub log: EventLog,
}

/// The channel that a process listens to.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSubscription {
    /// The stream whose events the channel carries.
    pub stream: &'static str,
    /// The Pub/Sub channel.
    pub channel: &'static str,
    /// The values of `type` that this process knows.
    pub types: &'static [&'static str],
    /// The timeout of a Redis command.
    pub command_timeout: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Backoff;

    #[test]
    fn pauses_between_the_most_attempts_take_at_most_a_minute() {
        let pauses = Backoff::LONGEST * (ConsumerSettings::MOST_ATTEMPTS - 1);
        assert!(pauses <= Duration::from_secs(60), "{pauses:?}");
        assert!(ConsumerSettings::default().max_attempts <= ConsumerSettings::MOST_ATTEMPTS);
    }
}
