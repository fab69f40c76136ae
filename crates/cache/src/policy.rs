//! The lifetime of entries: the only source of TTLs.
//!
//! ```text
//! t=0          soft            hard
//! |--- fresh ---|--- stale -----|  removed
//!                 served at once,
//!                 refreshed in the background
//! ```

use std::time::Duration;

const LEASE: Duration = Duration::from_secs(8);

/// The lifetime of a cache's entries. Made by [`Policy::ttl`] and the setters, checked by [`Policy::validate`].
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
    /// acknowledged, no matter which connection or process stalls. Writes do not wait.
    Bounded(Duration),
    /// Never stale after an acknowledged invalidation. A write waits until the other processes have dropped the entry:
    /// about two round trips, or at most `near_bound` and a tenth more if one of them does not answer.
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

/// A contradiction within a policy.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// Without a hard TTL above zero, an entry could live forever.
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
    /// After it, the load's task is aborted and its value is never stored. The readers receive the entry that the cache
    /// holds by then, stale or fresh, or [`LoadError::TimedOut`](crate::error::LoadError::TimedOut). The load timeout is always
    /// shorter than the lease, so every value that is loaded in time can be stored. Default: seven eighths of the
    /// lease, which is 7 s.
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

    /// Checks the policy.
    ///
    /// # Errors
    /// Returns the first contradiction that it finds.
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
        Ok(())
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
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn validation_names_the_contradiction() {
        assert_eq!(Policy::ttl(10 * S).soft_ttl(5 * S).jitter(0.1).validate(), Ok(()));
        assert_eq!(Policy::ttl(Duration::ZERO).validate(), Err(PolicyError::HardTtl));
        assert_eq!(
            Policy::ttl(10 * S).soft_ttl(11 * S).validate(),
            Err(PolicyError::SoftTtl { soft: 11 * S, hard: 10 * S })
        );
        assert_eq!(
            Policy::ttl(10 * S).negative_ttl(11 * S).validate(),
            Err(PolicyError::NegativeTtl { negative: 11 * S, hard: 10 * S })
        );
        assert_eq!(Policy::ttl(10 * S).jitter(1.0).validate(), Err(PolicyError::Jitter(1.0)));
        assert_eq!(Policy::ttl(10 * S).lease(Duration::ZERO).validate(), Err(PolicyError::Lease(Duration::ZERO)));
        assert_eq!(
            Policy::ttl(10 * S).lease(2 * S).load_timeout(2 * S).validate(),
            Err(PolicyError::LoadTimeout { load_timeout: 2 * S, lease: 2 * S })
        );
        assert_eq!(Policy::ttl(10 * S).load_timeout(Duration::MAX).validate(), Err(PolicyError::Lease(Duration::MAX)));
        assert_eq!(Policy::ttl(10 * S).wait(Duration::MAX).validate(), Err(PolicyError::Wait(Duration::MAX)));
    }

    #[test]
    fn load_that_ends_in_time_can_be_stored() {
        for policy in [
            Policy::ttl(S),
            Policy::ttl(S).lease(S / 100),
            Policy::ttl(S).load_timeout(S / 100),
            Policy::ttl(S).load_timeout(S).lease(2 * S),
        ] {
            assert_eq!(policy.validate(), Ok(()));
            assert!(policy.effective_load_timeout() < policy.lease_duration(), "{policy:?}");
        }
        assert_eq!((Policy::ttl(S).effective_load_timeout(), Policy::ttl(S).lease_duration()), (7 * S, 8 * S));
    }

    #[test]
    fn jitter_only_shortens_ttls() {
        let policy = Policy::ttl(10 * S).soft_ttl(5 * S).negative_ttl(2 * S).jitter(0.5);
        assert_eq!(policy.ttls(false, None, 0.0), (5_000, 10_000));
        assert_eq!(policy.ttls(false, None, 1.0), (2_500, 5_000));
        assert_eq!(policy.ttls(true, None, 0.0), (2_000, 2_000));
    }

    #[test]
    fn loader_only_shortens_ttls() {
        let policy = Policy::ttl(10 * S).soft_ttl(5 * S).negative_ttl(2 * S);
        assert_eq!(policy.ttls(false, Some(7 * S), 0.0), (5_000, 7_000));
        assert_eq!(policy.ttls(false, Some(S), 0.0), (1_000, 1_000));
        assert_eq!(policy.ttls(false, Some(20 * S), 0.0), (5_000, 10_000));
        assert_eq!(policy.ttls(true, Some(S), 0.0), (1_000, 1_000));
    }
}
