//! The lifetime of entries: the only source of TTLs.
//!
//! ```text
//! t=0          soft            hard             hard + stale_if_error
//! |--- fresh ---|--- stale -----|--- fallback ---|  removed
//!         |       served at once, load first;
//!    early        refreshed in    served if the
//!    refresh      the background  load fails
//! ```
//!
//! An invalidation removes an entry in any of these states, so nothing that was invalidated is served as a fallback.

use std::time::Duration;

const LEASE: Duration = Duration::from_secs(8);

/// The lifetime of a cache's entries. Create it with [`Policy::ttl`] and the setters. [`Policy::validate`] checks it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) hard_ttl: Duration,
    pub(crate) soft_ttl: Option<Duration>,
    pub(crate) negative_ttl: Duration,
    pub(crate) jitter: f64,
    lease: Option<Duration>,
    load_timeout: Option<Duration>,
    pub(crate) wait: Duration,
    pub(crate) commit_bound: Duration,
    pub(crate) near: Near,
    pub(crate) near_in_outage: bool,
    pub(crate) early_refresh: EarlyRefresh,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) soft_load_timeout: Option<Duration>,
}

/// When a hit starts a refresh of an entry that is still fresh, so that popular entries do not expire.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum EarlyRefresh {
    /// Never.
    #[default]
    Off,
    /// In the last part of the time for which the entry is fresh: with 0.2, in the last fifth.
    Share(f64),
    /// At random, with a probability that is higher the nearer the end is, and the longer loads take: XFetch (Vattani,
    /// Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). 1.0 is the optimum
    /// of that paper if the load times are distributed exponentially; a higher value refreshes earlier.
    Probabilistic(f64),
}

/// Whether a cache also keeps its entries in the memory of the process, and what a read from there promises.
///
/// The bound must lie between 10 ms and [`CacheSettings::near_bound`](crate::CacheSettings::near_bound).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Near {
    /// Every hit comes from Redis.
    #[default]
    Off,
    /// A process may return an invalidated entry from its memory for at most this long after the invalidation was
    /// acknowledged, no matter which connection or process stalls. A write does not wait for other processes. After
    /// Redis starts or loses its data, the first writes wait until the register of processes is older than the longest
    /// registered lease.
    Bounded(Duration),
    /// Never stale after an acknowledged invalidation. A write waits until the other processes have dropped the entry:
    /// about two round trips, or at most the longest `near_bound` of any process and a tenth more if one of them does
    /// not answer.
    Strict(Duration),
}

impl Near {
    pub(crate) fn bound(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Bounded(bound) | Self::Strict(bound) => Some(bound),
        }
    }
}

/// An invalid value in a policy, or a contradiction between two values.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// An entry must expire, after a year at the latest.
    #[error("the hard TTL must be between 1 ms and 365 days")]
    HardTtl,
    /// A soft TTL above the hard TTL would never be reached.
    #[error("the soft TTL ({soft:?}) must be above zero and not above the hard TTL ({hard:?})")]
    SoftTtl {
        /// The soft TTL of the policy.
        soft: Duration,
        /// The hard TTL that it exceeds.
        hard: Duration,
    },
    /// A negative entry must not outlive a value.
    #[error("the negative TTL ({negative:?}) must be above zero and not above the hard TTL ({hard:?})")]
    NegativeTtl {
        /// The negative TTL of the policy.
        negative: Duration,
        /// The hard TTL that it exceeds.
        hard: Duration,
    },
    /// The jitter is the maximum random reduction of a TTL, as a share of it.
    #[error("the jitter ({0}) must be at least 0 and below 1")]
    Jitter(f64),
    /// A lease must be long enough for a load, and short enough to wait for.
    #[error("the lease must be between 10 ms and 60 s, not {0:?}")]
    Lease(Duration),
    /// A load that could outlive its lease might never be stored.
    #[error("the load timeout ({load_timeout:?}) must be above zero and below the lease ({lease:?})")]
    LoadTimeout {
        /// The longest time for a load.
        load_timeout: Duration,
        /// The lease within which the load must end.
        lease: Duration,
    },
    /// An early refresh is a share of the TTL, or a factor of the load time.
    #[error("an early refresh needs a share between 0 and 1, or a factor between 0 and 100, not {0:?}")]
    EarlyRefresh(EarlyRefresh),
    /// A fallback is kept for a limited time.
    #[error("stale-if-error must be between 1 ms and 365 days, not {0:?}")]
    StaleIfError(Duration),
    /// A soft load timeout has an effect only if there is a fallback, and only before the load times out.
    #[error(
        "the soft load timeout ({soft:?}) needs stale-if-error, and must be below the load timeout ({load_timeout:?})"
    )]
    SoftLoadTimeout {
        /// The soft load timeout of the policy.
        soft: Duration,
        /// The longest time for a load.
        load_timeout: Duration,
    },
    /// Only a near cache can serve during an outage.
    #[error("a near cache is needed to serve entries from memory during an outage")]
    NearInOutage,
    /// A reader must not wait forever.
    #[error("the wait must be at most 10 min, not {0:?}")]
    Wait(Duration),
}

impl Policy {
    /// Creates a policy whose entries are removed `hard_ttl` after they were stored.
    ///
    /// It has no soft TTL, no jitter, and a negative TTL of 10 s or the hard TTL, whichever is shorter.
    pub fn ttl(hard_ttl: Duration) -> Self {
        Self {
            hard_ttl,
            soft_ttl: None,
            negative_ttl: hard_ttl.min(Duration::from_secs(10)),
            jitter: 0.0,
            lease: None,
            load_timeout: None,
            wait: Duration::from_secs(3),
            commit_bound: Duration::from_secs(15),
            near: Near::Off,
            near_in_outage: false,
            early_refresh: EarlyRefresh::Off,
            stale_if_error: None,
            soft_load_timeout: None,
        }
    }

    /// Sets the soft TTL, after which an entry is stale: the next reader receives it at once and starts a refresh.
    pub fn soft_ttl(mut self, soft_ttl: Duration) -> Self {
        self.soft_ttl = Some(soft_ttl);
        self
    }

    /// Sets the TTL of negative entries.
    pub fn negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.negative_ttl = negative_ttl;
        self
    }

    /// Sets the maximum random reduction of an entry's TTLs, as a share of them.
    ///
    /// It keeps entries that were stored together from expiring together. It only shortens: the TTLs stay upper bounds.
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets how long one load may keep other processes from loading the same entry.
    ///
    /// It bounds the delay that other processes see when a loading process dies. A lease is never renewed. Default: 8
    /// s, or a little longer than the load timeout if that is set.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets the longest time for a load.
    ///
    /// After that time, the load's task is aborted and its value is never stored. The readers receive the entry that
    /// the cache holds by then, stale or fresh, or [`LoadError::TimedOut`](crate::error::LoadError::TimedOut). The load
    /// timeout is always shorter than the lease, so every value that is loaded in time can be stored. Default: seven
    /// eighths of the lease, which is 7 s for the default lease.
    pub fn load_timeout(mut self, load_timeout: Duration) -> Self {
        self.load_timeout = Some(load_timeout);
        self
    }

    /// Sets how long a reader waits for the load of another process before it loads the value itself, without storing
    /// it.
    ///
    /// Default: 3 s. If it is longer than the lease, the reader takes over from a loader that died.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets the longest time for which the COMMIT of a write-through can still take effect after its connection is
    /// lost.
    ///
    /// The entry of a write in doubt is removed at once, and again after this time. Default: 15 s.
    pub fn commit_bound(mut self, commit_bound: Duration) -> Self {
        self.commit_bound = commit_bound;
        self
    }

    /// Sets whether the process also keeps entries in its memory. Default: no.
    pub fn near(mut self, near: Near) -> Self {
        self.near = near;
        self
    }

    /// Sets that the process serves entries from its memory while Redis is unavailable, for at most their hard TTL.
    ///
    /// **Such reads may be stale after an acknowledged invalidation**: the process does not learn what other processes
    /// invalidate. Their outcome is [`Outcome::Unverified`](crate::Outcome::Unverified). What this process has itself
    /// invalidated, or knew to be invalidated before the outage, is not served. A process without a
    /// [strict](Near::Strict) cache cannot be sure of that after it has invalidated a tag, so it serves only what it has
    /// read since. Default: no, such reads call the loader.
    pub fn serve_near_in_outage(mut self) -> Self {
        self.near_in_outage = true;
        self
    }

    /// Sets when a hit starts a refresh of an entry that is still fresh. Default: never.
    pub fn early_refresh(mut self, early_refresh: EarlyRefresh) -> Self {
        self.early_refresh = early_refresh;
        self
    }

    /// Keeps entries for `period` after their hard TTL, as a fallback: a read loads, and receives the expired entry if
    /// the load fails (RFC 5861, section 4). Its outcome is [`Outcome::StaleIfError`](crate::Outcome::StaleIfError).
    ///
    /// After a failed load, reads receive the fallback without another load, for the length of a lease. Default: none.
    pub fn stale_if_error(mut self, period: Duration) -> Self {
        self.stale_if_error = Some(period);
        self
    }

    /// Sets how long a reader that has a fallback waits for the load, which continues without the reader and is stored.
    ///
    /// Default: until the load ends.
    pub fn soft_load_timeout(mut self, soft_load_timeout: Duration) -> Self {
        self.soft_load_timeout = Some(soft_load_timeout);
        self
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// Returns the first error that it finds.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let (millisecond, year) = (Duration::from_millis(1), Duration::from_secs(365 * 86_400));
        let within_hard = |ttl: Duration| ttl >= millisecond && ttl <= self.hard_ttl;
        if !(millisecond..=year).contains(&self.hard_ttl) {
            return Err(PolicyError::HardTtl);
        }
        if let Some(soft) = self.soft_ttl.filter(|soft| !within_hard(*soft)) {
            return Err(PolicyError::SoftTtl { soft, hard: self.hard_ttl });
        }
        if !within_hard(self.negative_ttl) {
            return Err(PolicyError::NegativeTtl { negative: self.negative_ttl, hard: self.hard_ttl });
        }
        if !(0.0..1.0).contains(&self.jitter) {
            return Err(PolicyError::Jitter(self.jitter));
        }
        let (lease, load_timeout) = (self.lease_duration(), self.effective_load_timeout());
        if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&lease) {
            return Err(PolicyError::Lease(lease));
        }
        if load_timeout < millisecond || load_timeout >= lease {
            return Err(PolicyError::LoadTimeout { load_timeout, lease });
        }
        if self.wait > Duration::from_secs(600) {
            return Err(PolicyError::Wait(self.wait));
        }
        let is_early_refresh_valid = match self.early_refresh {
            EarlyRefresh::Off => true,
            EarlyRefresh::Share(share) => share > 0.0 && share < 1.0,
            EarlyRefresh::Probabilistic(factor) => factor > 0.0 && factor <= 100.0,
        };
        if !is_early_refresh_valid {
            return Err(PolicyError::EarlyRefresh(self.early_refresh));
        }
        if let Some(period) = self.stale_if_error.filter(|period| !(millisecond..=year).contains(period)) {
            return Err(PolicyError::StaleIfError(period));
        }
        let has_fallback = self.stale_if_error.is_some();
        if let Some(soft) = self.soft_load_timeout.filter(|soft| !has_fallback || *soft >= load_timeout) {
            return Err(PolicyError::SoftLoadTimeout { soft, load_timeout });
        }
        if self.near_in_outage && self.near == Near::Off {
            return Err(PolicyError::NearInOutage);
        }
        Ok(())
    }

    /// Returns for how many milliseconds an entry is kept after its hard TTL.
    pub(crate) fn fallback_ms(&self) -> u64 {
        self.stale_if_error.map_or(0, |period| period.as_millis() as u64)
    }

    pub(crate) fn lease_duration(&self) -> Duration {
        match (self.lease, self.load_timeout) {
            (Some(lease), _) => lease,
            // An excessive value saturates, so that `validate` refuses it as too long instead of overflowing.
            (None, Some(load_timeout)) => load_timeout.checked_mul(8).map_or(Duration::MAX, |eight| eight / 7),
            (None, None) => LEASE,
        }
    }

    /// Returns the longest time for a load.
    pub fn effective_load_timeout(&self) -> Duration {
        self.load_timeout.unwrap_or_else(|| self.lease_duration() / 8 * 7)
    }

    /// Returns the soft and hard TTL, in milliseconds, of an entry stored now, which the loader has limited to
    /// `longest`; `sample` is uniform in 0..1.
    pub(crate) fn ttls(&self, absent: bool, longest: Option<Duration>, sample: f64) -> (u64, u64) {
        let keep = 1.0 - self.jitter * sample;
        let jittered = |ttl: Duration| {
            let ttl = longest.map_or(ttl, |longest| ttl.min(longest));
            ((ttl.as_millis() as f64 * keep) as u64).max(1)
        };
        if absent {
            let ttl = jittered(self.negative_ttl);
            return (ttl, ttl);
        }
        let hard = jittered(self.hard_ttl);
        (self.soft_ttl.map_or(hard, jittered), hard)
    }
}

#[cfg(test)]
mod tests;
