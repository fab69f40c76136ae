//! The settings of a service's cache: lifetimes for its lanes, and what Redis settings must hold.
//!
//! What contradicts is refused before a store is touched, by the name that one would set: `LANES__TTL__SOFT_TTL`.

use std::time::Duration;

use cache::{CacheSettings, Policy, PolicyError};
use serde::Deserialize;

use crate::settings::SettingsError;

/// How long the entries of a lane live; see [`Policy`] for the meaning.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetime {
    /// Gone after this.
    #[serde(with = "humantime_serde")]
    pub hard_ttl: Duration,
    /// Stale after this.
    #[serde(default, with = "humantime_serde")]
    pub soft_ttl: Option<Duration>,
    /// "No such thing" is gone after this.
    #[serde(default, with = "humantime_serde")]
    pub negative_ttl: Option<Duration>,
    /// The share of the TTLs that chance may take off.
    #[serde(default)]
    pub jitter: f64,
    /// How long a load may take and still be stored.
    #[serde(default, with = "humantime_serde")]
    pub lease: Option<Duration>,
    /// How long to wait for another process' load.
    #[serde(default, with = "humantime_serde")]
    pub wait: Option<Duration>,
}

impl Lifetime {
    /// The policy that these numbers make.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::new(self.hard_ttl).jitter(self.jitter);
        if let Some(soft_ttl) = self.soft_ttl {
            policy = policy.soft_ttl(soft_ttl);
        }
        if let Some(negative_ttl) = self.negative_ttl {
            policy = policy.negative_ttl(negative_ttl);
        }
        if let Some(lease) = self.lease {
            policy = policy.lease(lease);
        }
        if let Some(wait) = self.wait {
            policy = policy.wait(wait);
        }
        policy
    }
}

/// Refuses lifetimes that contradict themselves; `lanes` are named as under `[lanes]`.
///
/// # Errors
/// By the name of the first setting that is wrong.
pub fn check_lanes<'a>(lanes: impl IntoIterator<Item = (&'a str, &'a Lifetime)>) -> Result<(), SettingsError> {
    lanes.into_iter().try_for_each(|(name, lifetime)| {
        lifetime.policy().validate().map_err(|error| {
            let field = match error {
                PolicyError::HardTtl => "HARD_TTL",
                PolicyError::SoftTtl { .. } => "SOFT_TTL",
                PolicyError::NegativeTtl { .. } => "NEGATIVE_TTL",
                PolicyError::Jitter(_) => "JITTER",
                // A policy has no name, so `validate` finds no fault with one.
                PolicyError::Lease | PolicyError::LaneName(_) => "LEASE",
            };
            SettingsError::wrong(format!("LANES__{}__{field}", name.to_uppercase()), error.to_string())
        })
    })
}

/// Refuses limits of zero in the `[redis]` section.
///
/// # Errors
/// By the name of the first setting that is wrong.
pub fn check_redis(redis: &CacheSettings) -> Result<(), SettingsError> {
    let positive = [
        ("REDIS__MAX_LOADS", redis.max_loads > 0),
        ("REDIS__COMMAND_TIMEOUT", redis.command_timeout >= Duration::from_millis(1)),
        ("REDIS__BREAKER_THRESHOLD", redis.breaker_threshold > 0),
    ];
    match positive.into_iter().find(|(_, holds)| !holds) {
        Some((name, _)) => Err(SettingsError::wrong(name, "must be above zero")),
        None => Ok(()),
    }
}
