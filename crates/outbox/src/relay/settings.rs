//! The configuration of the relay.

use std::time::Duration;

use serde::Deserialize;

/// The configuration of the relay. The `[relay]` section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySettings {
    /// The maximum number of rows that are numbered and appended at once; fewer after a failure. Default 500.
    pub batch: u32,
    /// The longest time of one call of the hook. After it, the hook counts as unavailable, and the rows are given to it
    /// again. Default 1 min.
    #[serde(with = "database::duration")]
    pub hook_timeout: Duration,
    /// How often the relay polls the outbox without a notification. Default 500 ms.
    #[serde(with = "database::duration")]
    pub poll: Duration,
    /// How long rows are kept after they are appended. Default 1 h.
    #[serde(with = "database::duration")]
    pub retention: Duration,
    /// How often older rows are deleted. Default 1 min.
    #[serde(with = "database::duration")]
    pub prune_every: Duration,
    /// The approximate number of events that the stream holds; older ones are trimmed. Default 100,000.
    pub stream_length: u64,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            batch: 500,
            hook_timeout: Duration::from_secs(60),
            poll: Duration::from_millis(500),
            retention: Duration::from_secs(3600),
            prune_every: Duration::from_secs(60),
            stream_length: 100_000,
        }
    }
}
