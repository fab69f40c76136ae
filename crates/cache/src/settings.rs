//! How the cache talks to Redis and how much it may ask of the database.

use std::time::Duration;

use serde::Deserialize;

/// Connection and limits. Every field has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// `redis://user:password@host:port/db`.
    pub url: String,
    /// The longest that one command may take. A slower Redis counts as down. Default 40 ms.
    #[serde(with = "humantime_serde")]
    pub command_timeout: Duration,
    /// Failures in a row after which Redis is left alone until a probe succeeds. Default 2.
    pub breaker_threshold: u32,
    /// Loads under way at once in this process; further ones queue. Default 32.
    pub max_loads: usize,
    /// The longest that a load queues for its turn. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub load_queue: Duration,
    /// How long the sweep of tag sets rests when it has found nothing more to remove. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub sweep_rest: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".to_owned(),
            command_timeout: Duration::from_millis(40),
            breaker_threshold: 2,
            max_loads: 32,
            load_queue: Duration::from_secs(2),
            sweep_rest: Duration::from_secs(1),
        }
    }
}
