//! The settings of the product API: `settings.toml` holds the defaults and explains each; those of the section `[lanes]`
//! are in the files of the strategies.

use std::borrow::Cow;

use contract::STRATEGY_NAMES;
use database::PostgresSettings;
use outbox::relay::RelaySettings;
use serde::Deserialize;
use service::limits;
use service::policy_settings::{CachePolicySettings, check_policies};
use service::settings::{CommonSettings, ServiceSettings, SettingsError};

use crate::strategies::POLICIES;

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The sections that every service has.
    pub common: CommonSettings,
    /// The database.
    pub postgres: PostgresSettings,
    /// The relay, which publishes changes.
    pub relay: RelaySettings,
    /// The demo catalogue.
    pub seed: SeedSettings,
    /// The writes of strategy 7.
    pub production: ProductionSettings,
    /// The faults that the console can cause.
    pub faults: FaultSettings,
    /// The TTLs of the entries.
    pub lanes: PolicySettings,
}

/// The writes of strategy 7.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductionSettings {
    /// Whether a write guards what it outdates from before COMMIT on.
    pub write_guard: bool,
}

/// The faults that the console can cause.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSettings {
    /// Whether an operator may freeze or crash this process. `FAULTS_ENABLED` sets it too.
    pub enabled: bool,
}

/// The demo catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSettings {
    /// The least number of products. `SEED_PRODUCTS` sets it too.
    pub products: u64,
}

macro_rules! policies {
    ($($number:literal, $name:ident, $variant:ident, $own:expr, $other:expr;)*) => {
        /// The policies of the caches, one per strategy.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "each field is the strategy that it is named after")]
        pub struct PolicySettings { $(pub $name: CachePolicySettings),* }

        impl PolicySettings {
            /// Returns the policies with their names, in the order of the strategies.
            pub fn each(&self) -> [(&'static str, &CachePolicySettings); STRATEGY_NAMES.len()] {
                [$((stringify!($name), &self.$name)),*]
            }

            fn each_mut(&mut self) -> [(&'static str, &mut CachePolicySettings); STRATEGY_NAMES.len()] {
                [$((stringify!($name), &mut self.$name)),*]
            }
        }
    };
}
contract::for_each_strategy!(policies);

impl ServiceSettings for Settings {
    const ALIASES: &'static [(&'static str, &'static str)] =
        &[("SEED_PRODUCTS", "SEED__PRODUCTS"), ("FAULTS_ENABLED", "FAULTS__ENABLED")];

    fn defaults() -> Cow<'static, str> {
        let lanes = POLICIES.map(|(name, policy)| format!("{name} = {{ {policy} }}\n"));
        (include_str!("settings.toml").to_owned() + &lanes.concat()).into()
    }

    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn postgres(&self) -> Option<&PostgresSettings> {
        Some(&self.postgres)
    }

    fn check(&mut self) -> Result<(), SettingsError> {
        limits::postgres(&self.postgres)?;
        limits::relay(&self.relay)?;
        limits::within("SEED_PRODUCTS", self.seed.products, 0..=10_000_000)?;
        let waits = [
            ("POSTGRES__WAIT_TIMEOUT", self.postgres.wait_timeout),
            ("POSTGRES__STATEMENT_TIMEOUT", self.postgres.statement_timeout),
        ];
        check_policies(self.lanes.each_mut(), &waits, &mut self.common.redis)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refused(vars: &[(&str, &str)]) -> String {
        Settings::from_vars(vars.iter().copied()).expect_err("these settings should be refused").to_string()
    }

    #[test]
    fn default_settings_are_consistent() {
        let settings = Settings::from_vars::<&str, &str>([]).unwrap();
        assert_eq!((settings.common.http.port, settings.seed.products), (8004, 2_000));
    }

    /// A strategy that was added has further policies; those of the first seven do not change by accident.
    #[test]
    fn default_policies_are_those_that_the_documents_name() {
        let settings = Settings::from_vars::<&str, &str>([]).unwrap();
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
        let policies = settings.lanes.each().map(|(name, lane)| {
            let load_timeout = Some(Duration::from_secs(7));
            assert_eq!((lane.load_timeout, lane.lease, lane.wait), (load_timeout, None, None), "{name}");
            (name, seconds(lane.soft_ttl), lane.hard_ttl.as_secs(), seconds(lane.negative_ttl), lane.jitter)
        });
        let expected = [
            ("ttl", None, 10, Some(5), 0.1),
            ("explicit", None, 300, None, 0.1),
            ("writethrough", None, 300, None, 0.1),
            ("events", None, 300, None, 0.1),
            ("swr", Some(5), 60, Some(5), 0.0),
            ("tags", None, 300, None, 0.1),
            ("production", Some(30), 600, None, 0.1),
        ];
        assert_eq!(policies[..expected.len()], expected);
    }

    #[test]
    fn a_variable_overrides_a_default() {
        let settings = Settings::from_vars([("LANES__SWR__SOFT_TTL", "7s"), ("REDIS__MAX_LOADS", "5")]).unwrap();
        assert_eq!(settings.lanes.swr.soft_ttl, Some(Duration::from_secs(7)));
        assert_eq!(settings.common.redis.max_loads, 5);
    }

    #[test]
    fn loads_may_take_as_long_as_the_database_and_are_stored() {
        let settings = Settings::from_vars([("POSTGRES__STATEMENT_TIMEOUT", "20s")]).unwrap();
        let policy = settings.lanes.tags.policy();
        assert_eq!((policy.validate(), policy.effective_load_timeout()), (Ok(()), Duration::from_secs(22)));
    }

    #[test]
    fn contradictions_are_refused_by_the_name_of_the_setting() {
        for (name, value) in [
            ("LANES__SWR__SOFT_TTL", "2m"),
            ("LANES__TTL__HARD_TTL", "0s"),
            ("LANES__TTL__NEGATIVE_TTL", "11s"),
            ("LANES__PRODUCTION__JITTER", "1.5"),
            ("LANES__TAGS__LEASE", "5m"),
            ("LANES__TAGS__LEASE", "6s"),
            ("LANES__TAGS__LOAD_TIMEOUT", "6s"),
            ("LANES__TAGS__LOAD_TIMEOUT", "55s"),
            ("LANES__TAGS__WAIT", "1h"),
            ("POSTGRES__STATEMENT_TIMEOUT", "1m"),
            ("LANES__TAGS__WAIT", "1000years"),
            ("LANES__TAGS__NEAR_STRICT", "200ms"),
            ("LANES__TTL__EARLY_REFRESH_SHARE", "1"),
            ("LANES__TTL__EARLY_REFRESH_FACTOR", "-1"),
            ("LANES__TTL__SOFT_LOAD_TIMEOUT", "100ms"),
            ("LANES__TTL__STALE_IF_ERROR", "1000years"),
            ("LANES__TTL__NEAR_IN_OUTAGE", "true"),
            ("REDIS__NEAR_BOUND", "0s"),
            ("REDIS__NEAR_BOUND", "50ms"),
            ("SEED_PRODUCTS", "10000000000"),
            ("SEED_PRODUCTS", "-1"),
        ] {
            let message = refused(&[(name, value)]);
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
        for values in [
            &[("LANES__TAGS__NEAR_BOUNDED", "101ms")][..],
            &[("LANES__TAGS__NEAR_BOUNDED", "1ms")],
            &[("LANES__TAGS__NEAR_BOUNDED", "50ms"), ("LANES__TAGS__NEAR_STRICT", "50ms")],
        ] {
            let message = refused(values);
            assert!(message.contains("LANES__TAGS__NEAR_BOUNDED"), "{values:?} gave: {message}");
        }
        // If a name is wrong in the middle, the message says up to which part it is right.
        let message = refused(&[("LANES__TLL__HARD_TTL", "5s")]);
        assert!(message.starts_with("LANES__TLL is not a setting"), "{message}");
    }

    #[test]
    fn near_caches_are_off_on_a_cluster() {
        let settings = Settings::from_vars([("REDIS__URL", "redis-cluster://127.0.0.1:7000")]).unwrap();
        let policy = format!("{:?}", settings.lanes.production.policy());
        assert!(policy.contains("near: Off"), "{policy}");
        assert_eq!(settings.common.redis.near_bound, None);
    }

    #[test]
    fn near_caches_can_be_turned_off() {
        let off = [("REDIS__NEAR_BOUND", "0s"), ("LANES__PRODUCTION__NEAR_STRICT", "0s")];
        let settings = Settings::from_vars(off).unwrap();
        let policy = format!("{:?}", settings.lanes.production.policy());
        assert!(policy.contains("near: Off"), "{policy}");
    }

    #[test]
    fn sum_of_the_time_limits_of_a_load_is_bounded() {
        let message = refused(&[("POSTGRES__WAIT_TIMEOUT", "20s"), ("POSTGRES__STATEMENT_TIMEOUT", "35s")]);
        assert!(message.starts_with("POSTGRES__STATEMENT_TIMEOUT ") && message.contains("at most 50s"), "{message}");
    }
}
