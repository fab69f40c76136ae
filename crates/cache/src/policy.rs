//! How long entries live: the only place that a TTL comes from.
//!
//! ```text
//! t=0          soft            hard
//! |--- fresh ---|--- stale -----|  gone
//!                 served at once,
//!                 refreshed behind
//! ```

use std::time::Duration;

/// The lifetime of a lane's entries. Made by [`Policy::new`] and its setters, checked by [`Policy::validate`].
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) hard_ttl: Duration,
    pub(crate) soft_ttl: Option<Duration>,
    pub(crate) negative_ttl: Duration,
    pub(crate) jitter: f64,
    pub(crate) lease: Duration,
    pub(crate) wait: Duration,
    pub(crate) commit_bound: Duration,
}

/// A policy that contradicts itself.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// Without a hard TTL above zero an entry could live for ever.
    #[error("the hard TTL must be between 1 ms and 365 days")]
    HardTtl,
    /// A soft TTL above the hard one would never be reached.
    #[error("the soft TTL ({soft:?}) must be above zero and not above the hard TTL ({hard:?})")]
    SoftTtl {
        /// The soft TTL that was asked for.
        soft: Duration,
        /// The hard TTL it exceeds.
        hard: Duration,
    },
    /// "Not found" must not outlive "found".
    #[error("the negative TTL ({negative:?}) must be above zero and not above the hard TTL ({hard:?})")]
    NegativeTtl {
        /// The negative TTL that was asked for.
        negative: Duration,
        /// The hard TTL it exceeds.
        hard: Duration,
    },
    /// Jitter is the share of the TTL that may be taken off.
    #[error("the jitter ({0}) must be at least 0 and below 1")]
    Jitter(f64),
    /// Lanes are part of keys.
    #[error("lane `{0}`: a name has 1 to 64 of the characters a-z, 0-9, `-` and `_`")]
    LaneName(String),
    /// A lease must be long enough for a load and short enough to wait for.
    #[error("the lease must be between 10 ms and 60 s")]
    Lease,
}

impl Policy {
    /// Entries that are gone `hard_ttl` after they were stored; no soft TTL, no jitter, and a negative TTL of
    /// 10 s or the hard TTL, whichever is shorter.
    pub fn new(hard_ttl: Duration) -> Self {
        Self {
            hard_ttl,
            soft_ttl: None,
            negative_ttl: hard_ttl.min(Duration::from_secs(10)),
            jitter: 0.0,
            lease: Duration::from_secs(2),
            wait: Duration::from_secs(3),
            commit_bound: Duration::from_secs(15),
        }
    }

    /// After `soft_ttl` an entry is stale: the next reader gets it at once and starts a refresh.
    pub fn soft_ttl(mut self, soft_ttl: Duration) -> Self {
        self.soft_ttl = Some(soft_ttl);
        self
    }

    /// How long "there is no such thing" is remembered.
    pub fn negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.negative_ttl = negative_ttl;
        self
    }

    /// Takes a random share of at most `jitter` off each entry's TTLs, so that entries stored together do not
    /// expire together. It only ever shortens: the TTLs stay upper bounds.
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// How long a load may take and still be stored; also the longest that the death of a loading process
    /// delays its peers. Default 2 s. It is never renewed.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a reader waits for another process' load before it loads by itself and stores nothing.
    /// Default 3 s; above the lease, a reader outlives a dead loader and takes its place.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The longest time for which the COMMIT of a write-through can still take effect after its connection is lost: the
    /// entry of a write in doubt is removed at once, and again after this time. Default 15 s.
    pub fn commit_bound(mut self, commit_bound: Duration) -> Self {
        self.commit_bound = commit_bound;
        self
    }

    /// Says what contradicts, if anything does.
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
        if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&self.lease) {
            return Err(PolicyError::Lease);
        }
        Ok(())
    }

    /// The soft and hard TTL in milliseconds of an entry stored now, `luck` being uniform in 0..1.
    pub(crate) fn ttls(&self, absent: bool, luck: f64) -> (u64, u64) {
        let keep = 1.0 - self.jitter * luck;
        let jittered = |ttl: Duration| ((ttl.as_millis() as f64 * keep) as u64).max(1);
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
    fn contradictions_are_named() {
        assert_eq!(Policy::new(10 * S).soft_ttl(5 * S).jitter(0.1).validate(), Ok(()));
        assert_eq!(Policy::new(Duration::ZERO).validate(), Err(PolicyError::HardTtl));
        assert_eq!(
            Policy::new(10 * S).soft_ttl(11 * S).validate(),
            Err(PolicyError::SoftTtl { soft: 11 * S, hard: 10 * S })
        );
        assert_eq!(
            Policy::new(10 * S).negative_ttl(11 * S).validate(),
            Err(PolicyError::NegativeTtl { negative: 11 * S, hard: 10 * S })
        );
        assert_eq!(Policy::new(10 * S).jitter(1.0).validate(), Err(PolicyError::Jitter(1.0)));
        assert_eq!(Policy::new(10 * S).lease(Duration::ZERO).validate(), Err(PolicyError::Lease));
    }

    #[test]
    fn jitter_only_shortens() {
        let policy = Policy::new(10 * S).soft_ttl(5 * S).negative_ttl(2 * S).jitter(0.5);
        assert_eq!(policy.ttls(false, 0.0), (5_000, 10_000));
        assert_eq!(policy.ttls(false, 1.0), (2_500, 5_000));
        assert_eq!(policy.ttls(true, 0.0), (2_000, 2_000));
    }
}
