//! The settings of the product API: `settings.toml` holds the defaults and explains each.

use cache::CacheSettings;
use database::PostgresSettings;
use events::relay::RelaySettings;
use runtime::limits;
use runtime::operations::OperationsSettings;
use runtime::policy_settings::{CachePolicySettings, check_policies};
use runtime::server::HttpSettings;
use runtime::settings::SettingsError;
use runtime::telemetry::LogSettings;
use serde::Deserialize;

const DEFAULTS: &str = include_str!("settings.toml");

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server: address, limits and shutdown.
    pub http: HttpSettings,
    /// Access to `/events`, `/cache/*` and `/metrics`.
    pub operations: OperationsSettings,
    /// Logging.
    pub log: LogSettings,
    /// The database.
    pub postgres: PostgresSettings,
    /// The connection and the limits of the cache.
    pub redis: CacheSettings,
    /// The relay, which publishes changes.
    pub relay: RelaySettings,
    /// The demo catalogue.
    pub seed: SeedSettings,
    /// The TTLs of the entries.
    pub lanes: PolicySettings,
}

/// The demo catalogue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSettings {
    /// The least number of products. `SEED_PRODUCTS` sets it too.
    pub products: u64,
}

/// The policies of the caches, one per strategy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is the strategy that it is named after")]
pub struct PolicySettings {
    pub ttl: CachePolicySettings,
    pub explicit: CachePolicySettings,
    pub writethrough: CachePolicySettings,
    pub events: CachePolicySettings,
    pub swr: CachePolicySettings,
    pub tags: CachePolicySettings,
    pub production: CachePolicySettings,
}

impl Settings {
    /// Reads the defaults, the file named by `CONFIG_FILE` and the environment, and checks that the values are
    /// consistent.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::load(runtime::settings::environment())
    }

    /// Does the same as [`from_env`](Self::from_env) with the given variables.
    pub fn from_vars<'a>(vars: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, SettingsError> {
        Self::load(vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// `SEED_PRODUCTS` is the only variable with a name of its own. An error message uses the name that was set.
    fn load(vars: impl Iterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let mut short = false;
        let vars = vars.map(|(name, value)| match name.as_str() {
            "SEED_PRODUCTS" => {
                short = true;
                ("SEED__PRODUCTS".to_owned(), value)
            }
            _ => (name, value),
        });
        let vars: Vec<_> = vars.collect();
        let loaded = runtime::settings::load(DEFAULTS, vars).map_err(|error| match error {
            SettingsError::Wrong { setting, reason } if short && setting == "SEED__PRODUCTS" => {
                SettingsError::wrong("SEED_PRODUCTS", reason)
            }
            error => error,
        });
        Self::checked(loaded?)
    }

    fn checked(mut settings: Self) -> Result<Self, SettingsError> {
        limits::http(&settings.http)?;
        limits::postgres(&settings.postgres)?;
        limits::redis(&settings.redis)?;
        limits::relay(&settings.relay)?;
        limits::within("SEED_PRODUCTS", settings.seed.products, 0..=10_000_000)?;
        let postgres = &settings.postgres;
        let waits = [
            ("POSTGRES__WAIT_TIMEOUT", postgres.wait_timeout),
            ("POSTGRES__STATEMENT_TIMEOUT", postgres.statement_timeout),
        ];
        check_policies(settings.lanes.each(), &waits)?;
        Ok(settings)
    }
}

impl PolicySettings {
    fn each(&mut self) -> [(&'static str, &mut CachePolicySettings); 7] {
        [
            ("ttl", &mut self.ttl),
            ("explicit", &mut self.explicit),
            ("writethrough", &mut self.writethrough),
            ("events", &mut self.events),
            ("swr", &mut self.swr),
            ("tags", &mut self.tags),
            ("production", &mut self.production),
        ]
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
        let settings = Settings::from_vars([]).unwrap();
        assert_eq!((settings.http.port, settings.seed.products), (8004, 2_000));
    }

    #[test]
    fn a_variable_overrides_a_default() {
        let settings = Settings::from_vars([("LANES__SWR__SOFT_TTL", "7s"), ("REDIS__MAX_LOADS", "5")]).unwrap();
        assert_eq!(settings.lanes.swr.soft_ttl, Some(Duration::from_secs(7)));
        assert_eq!(settings.redis.max_loads, 5);
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
            ("REDIS__MAX_LOADS", "0"),
            ("REDIS__COMMAND_TIMEOUT", "0s"),
            ("REDIS__BREAKER_THRESHOLD", "0"),
            ("REDIS__MAX_LOADS", "10000000000000"),
            ("REDIS__LOAD_QUEUE", "1000years"),
            ("REDIS__SWEEP_REST", "0s"),
            ("HTTP__KEEP_ALIVE", "0s"),
            ("HTTP__GRACE", "1000years"),
            ("HTTP__DRAIN_DELAY", "1000years"),
            ("POSTGRES__MAX_CONNECTIONS", "0"),
            ("POSTGRES__MAX_CONNECTIONS", "1000000"),
            ("POSTGRES__WAIT_TIMEOUT", "0s"),
            ("POSTGRES__STATEMENT_TIMEOUT", "0s"),
            ("RELAY__BATCH", "0"),
            ("RELAY__BATCH", "1000000"),
            ("RELAY__POLL", "0s"),
            ("RELAY__RETENTION", "0s"),
            ("RELAY__PRUNE_EVERY", "0s"),
            ("RELAY__STREAM_LENGTH", "0"),
            ("LANES__TAGS__WAIT", "1000years"),
            ("SEED_PRODUCTS", "10000000000"),
            ("REDIS__TIMEUOT", "5ms"),
            ("LANES__TLL__HARD_TTL", "5s"),
            ("HTTP__PORT", "eighty"),
            ("HTTP__WORKERS", "513"),
            ("HTTP__WORKERS", "-1"),
            ("SEED_PRODUCTS", "-1"),
        ] {
            let message = refused(&[(name, value)]);
            // If a name is wrong in the middle, the message says up to which part it is right.
            let named = name.trim_end_matches("__HARD_TTL");
            assert!(message.contains(named), "{name}={value} gave: {message}");
        }
    }
}
