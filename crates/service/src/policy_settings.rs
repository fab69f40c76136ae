//! The settings of a service's caches: the TTLs of their entries.
//!
//! Contradictory settings are refused before a store is used, with the name of the variable: `LANES__TTL__SOFT_TTL`.

use std::time::Duration;

use cache::error::PolicyError;
use cache::{CacheSettings, EarlyRefresh, Near, Policy, RedisAddress};
use serde::Deserialize;

use crate::settings::SettingsError;

/// The policy of one cache; see [`Policy`] for the meaning.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachePolicySettings {
    /// The entry expires after this.
    #[serde(with = "humantime_serde")]
    pub hard_ttl: Duration,
    /// The entry is stale after this.
    #[serde(default, with = "humantime_serde")]
    pub soft_ttl: Option<Duration>,
    /// A cached absence expires after this.
    #[serde(default, with = "humantime_serde")]
    pub negative_ttl: Option<Duration>,
    /// The maximum random reduction of the TTLs, as a fraction.
    #[serde(default)]
    pub jitter: f64,
    /// The timeout of a load. Default: the sum of the time limits of the stores that a load waits for.
    #[serde(default, with = "humantime_serde")]
    pub load_timeout: Option<Duration>,
    /// How long a load keeps other processes from loading. Default: a little longer than the load timeout.
    #[serde(default, with = "humantime_serde")]
    pub lease: Option<Duration>,
    /// How long to wait for the load of another process.
    #[serde(default, with = "humantime_serde")]
    pub wait: Option<Duration>,
    /// Entries are also kept in the memory of the process, and are never stale; a write waits this long for another
    /// process that does not answer. Zero: they are not.
    #[serde(default, with = "humantime_serde")]
    pub near_strict: Option<Duration>,
    /// Entries are also kept in the memory of the process, and may be stale for this long. Zero: they are not.
    #[serde(default, with = "humantime_serde")]
    pub near_bounded: Option<Duration>,
    /// Whether entries are served from the memory of the process while Redis is unavailable, although they may be stale.
    #[serde(default)]
    pub near_in_outage: bool,
    /// A hit refreshes an entry in this last part of the time for which it is fresh: 0.2 is the last fifth.
    #[serde(default)]
    pub early_refresh_share: Option<f64>,
    /// A hit refreshes an entry at random, the more probably the nearer its end is: the factor of the load time (XFetch).
    #[serde(default)]
    pub early_refresh_factor: Option<f64>,
    /// After its hard TTL, an entry replaces a load that fails, for as long as this.
    #[serde(default, with = "humantime_serde")]
    pub stale_if_error: Option<Duration>,
    /// How long a reader that could have such an entry waits for the load.
    #[serde(default, with = "humantime_serde")]
    pub soft_load_timeout: Option<Duration>,
}

impl CachePolicySettings {
    /// Returns the policy with these values.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::ttl(self.hard_ttl).jitter(self.jitter);
        if let Some(soft_ttl) = self.soft_ttl {
            policy = policy.soft_ttl(soft_ttl);
        }
        if let Some(negative_ttl) = self.negative_ttl {
            policy = policy.negative_ttl(negative_ttl);
        }
        if let Some(load_timeout) = self.load_timeout {
            policy = policy.load_timeout(load_timeout);
        }
        if let Some(lease) = self.lease {
            policy = policy.lease(lease);
        }
        if let Some(wait) = self.wait {
            policy = policy.wait(wait);
        }
        if let Some(bound) = is_on(self.near_bounded) {
            policy = policy.near(Near::Bounded(bound));
        }
        if let Some(bound) = is_on(self.near_strict) {
            policy = policy.near(Near::Strict(bound));
        }
        if self.near_in_outage {
            policy = policy.serve_near_in_outage();
        }
        if let Some(share) = self.early_refresh_share {
            policy = policy.early_refresh(EarlyRefresh::Share(share));
        }
        if let Some(factor) = self.early_refresh_factor {
            policy = policy.early_refresh(EarlyRefresh::Probabilistic(factor));
        }
        if let Some(period) = is_on(self.stale_if_error) {
            policy = policy.stale_if_error(period);
        }
        if let Some(limit) = is_on(self.soft_load_timeout) {
            policy = policy.soft_load_timeout(limit);
        }
        policy
    }
}

/// Zero turns a setting off that is on by default.
fn is_on(bound: Option<Duration>) -> Option<Duration> {
    bound.filter(|bound| !bound.is_zero())
}

/// The maximum total time that the stores of a load may take: a lease lasts 60 s at most.
const LONGEST: Duration = Duration::from_secs(50);

/// Refuses policies that contradict themselves or the time limits of the stores that their loads wait for. `policies`
/// have the names of the `[lanes]` section, and `waits` contains the settings of those limits, such as
/// `POSTGRES__STATEMENT_TIMEOUT`. A near cache must be within what `redis` allows in the keyspace; on a cluster, this turns
/// near caches off.
///
/// A load must be allowed to take as long as these limits allow. Otherwise, when the database is slow, every load would
/// time out before the database responds, and the cache would stay empty. A cache that sets neither a load timeout nor
/// a lease receives the sum of these limits as its load timeout.
///
/// # Errors
/// Returns an error that names the first wrong setting.
pub fn check_policies<'a>(
    policies: impl IntoIterator<Item = (&'a str, &'a mut CachePolicySettings)>, waits: &[(&str, Duration)],
    redis: &mut CacheSettings,
) -> Result<(), SettingsError> {
    // Whether the URL is usable is checked at the start.
    let is_on_cluster = RedisAddress::parse(&redis.url).is_ok_and(|address| address.is_cluster());
    if is_on_cluster {
        redis.near_bound = None;
    }
    let names = waits.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" + ");
    let needed = waits.iter().fold(Duration::ZERO, |sum, (_, limit)| sum.saturating_add(*limit));
    if needed > LONGEST {
        let longest = waits.iter().max_by_key(|(_, limit)| *limit).map_or("", |(name, _)| name);
        return Err(SettingsError::wrong(longest, format!("{names} must be at most {LONGEST:?}, not {needed:?}")));
    }
    policies.into_iter().try_for_each(|(name, policy_settings)| {
        let setting = |field: &str| format!("LANES__{}__{field}", name.to_uppercase());
        if policy_settings.load_timeout.is_none() && policy_settings.lease.is_none() && !needed.is_zero() {
            policy_settings.load_timeout = Some(needed);
        }
        if is_on_cluster {
            (policy_settings.near_strict, policy_settings.near_bounded) = (None, None);
            policy_settings.near_in_outage = false;
        }
        let policy = policy_settings.policy();
        policy.validate().map_err(|error| {
            let field = match error {
                PolicyError::HardTtl => "HARD_TTL",
                PolicyError::SoftTtl { .. } => "SOFT_TTL",
                PolicyError::NegativeTtl { .. } => "NEGATIVE_TTL",
                PolicyError::Jitter(_) => "JITTER",
                PolicyError::LoadTimeout { .. } => "LOAD_TIMEOUT",
                PolicyError::Wait(_) => "WAIT",
                PolicyError::EarlyRefresh(EarlyRefresh::Probabilistic(_)) => "EARLY_REFRESH_FACTOR",
                PolicyError::EarlyRefresh(_) => "EARLY_REFRESH_SHARE",
                PolicyError::StaleIfError(_) => "STALE_IF_ERROR",
                PolicyError::SoftLoadTimeout { .. } => "SOFT_LOAD_TIMEOUT",
                PolicyError::NearInOutage => "NEAR_IN_OUTAGE",
                // The lease is derived from the load timeout.
                PolicyError::Lease(_) if policy_settings.lease.is_none() => "LOAD_TIMEOUT",
                // A policy has no name, so `validate` never reports an invalid one.
                PolicyError::Lease(_) => "LEASE",
            };
            SettingsError::wrong(setting(field), error.to_string())
        })?;
        let near = [
            ("NEAR_STRICT", is_on(policy_settings.near_strict)),
            ("NEAR_BOUNDED", is_on(policy_settings.near_bounded)),
        ];
        for (field, bound) in near.into_iter().filter_map(|(field, bound)| Some((field, bound?))) {
            redis
                .check_near(bound)
                .map_err(|error| SettingsError::wrong(setting(field), format!("{error} (REDIS__NEAR_BOUND)")))?;
        }
        if near.iter().all(|(_, bound)| bound.is_some()) {
            return Err(SettingsError::wrong(
                setting("NEAR_BOUNDED"),
                "contradicts NEAR_STRICT: set one of them".to_owned(),
            ));
        }
        if policy_settings.early_refresh_share.is_some() && policy_settings.early_refresh_factor.is_some() {
            let reason = "contradicts EARLY_REFRESH_FACTOR: set one of them".to_owned();
            return Err(SettingsError::wrong(setting("EARLY_REFRESH_SHARE"), reason));
        }
        let limit = policy.effective_load_timeout();
        if limit < needed {
            let field = if policy_settings.load_timeout.is_some() { "LOAD_TIMEOUT" } else { "LEASE" };
            let reason = format!("allows a load {limit:?}, but it may take {names} = {needed:?}");
            return Err(SettingsError::wrong(setting(field), reason));
        }
        Ok(())
    })
}
