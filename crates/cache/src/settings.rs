//! The connection to Redis, and the limits on commands and loads.

use std::time::Duration;

use serde::Deserialize;

use crate::error::InvalidCache;

/// Connection and limits. Every field has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// `redis://user:password@host:port/db`, `redis+unix:///path/to/socket`, `redis-sentinel://…` or `redis-cluster://…`,
    /// and with the feature `tls` also `rediss://…`, `rediss-sentinel://…` and `rediss-cluster://…`. The parameters of
    /// [`RedisAddress`](crate::RedisAddress) name files with credentials and certificates.
    pub url: String,
    /// The longest time for one command, more than zero. A slower Redis counts as down. Default: 40 ms.
    #[serde(with = "crate::duration")]
    pub command_timeout: Duration,
    /// Consecutive failures that open the circuit breaker, at least 1; a successful probe closes it. Default: 2.
    pub breaker_threshold: u32,
    /// Concurrent loads in this process, at least 1; further loads queue. Default: 32.
    pub max_loads: usize,
    /// The longest time that a load queues for a permit. Default: 2 s.
    #[serde(with = "crate::duration")]
    pub load_queue: Duration,
    /// The pause of the sweep of tag sets when it has found nothing more to remove. Default: 1 s.
    #[serde(with = "crate::duration")]
    pub sweep_rest: Duration,
    /// The longest bound of any near cache ([`Near`](crate::Near)) in any process of the keyspace. All of them must set it,
    /// to the same value except while a new one is deployed: then, invalidations wait for the longest bound that a process
    /// has registered. `None`, the default, or zero: no process uses a near cache, and invalidations do not look for one.
    #[serde(with = "crate::duration")]
    pub near_bound: Option<Duration>,
    /// The weight of the entries that this process keeps in its memory, in bytes. Default: 64 MiB.
    pub near_weight: u64,
}

/// The shortest bound of a near cache: with a shorter one, barriers would do nothing but load Redis.
const SHORTEST_BOUND: Duration = Duration::from_millis(10);

/// The longest command timeout and near bound: a longer one is a mistake in a unit.
const LONGEST: Duration = Duration::from_secs(3_600);
/// The maximum number of concurrent loads.
const MAX_LOADS: usize = 1_000_000;

impl CacheSettings {
    /// Returns a sentence about a setting that cannot work, if there is one.
    pub(crate) fn mistake(&self) -> Option<&'static str> {
        let is_time = |time: Duration| !time.is_zero() && time <= LONGEST;
        if !is_time(self.command_timeout) {
            Some("`command_timeout` must be more than zero, and at most an hour")
        } else if self.breaker_threshold == 0 {
            Some("`breaker_threshold` must be at least 1")
        } else if !(1..=MAX_LOADS).contains(&self.max_loads) {
            Some("`max_loads` must be between 1 and 1,000,000")
        } else if self.near_bound.is_some_and(|bound| bound > LONGEST) {
            Some("`near_bound` must be at most an hour")
        } else {
            None
        }
    }

    /// Checks whether a near cache may have this bound.
    ///
    /// # Errors
    /// Returns an error when the keyspace has no near caches, or a shorter bound.
    pub fn check_near(&self, bound: Duration) -> Result<(), InvalidCache> {
        check_near_bound(bound, self.near_bound)
    }
}

pub(crate) fn check_near_bound(bound: Duration, longest: Option<Duration>) -> Result<(), InvalidCache> {
    let longest = longest.unwrap_or_default();
    match (SHORTEST_BOUND..=longest).contains(&bound) {
        true => Ok(()),
        false => Err(InvalidCache::NearBound { bound, longest }),
    }
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
            near_bound: None,
            near_weight: 64 * 1024 * 1024,
        }
    }
}
