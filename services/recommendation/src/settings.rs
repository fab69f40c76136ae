//! The settings of the recommendation service. `settings.toml` holds the defaults and explains each setting.

use std::time::Duration;

use cache::CacheSettings;
use database::PostgresSettings;
use events::consumer::ConsumerSettings;
use events::product_api::ProductApiSettings;
use runtime::limits;
use runtime::operations::OperationsSettings;
use runtime::policy_settings::{CachePolicySettings, check_policies};
use runtime::server::HttpSettings;
use runtime::settings::SettingsError;
use runtime::telemetry::LogSettings;
use serde::Deserialize;

use crate::learning::LearningSettings;

const DEFAULTS: &str = include_str!("settings.toml");

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server: address, limits and shutdown.
    pub http: HttpSettings,
    /// Access to `/events`, `/cache/*` and `/metrics`.
    pub operations: OperationsSettings,
    /// The log.
    pub log: LogSettings,
    /// The database.
    pub postgres: PostgresSettings,
    /// The connection and the limits of the cache.
    pub redis: CacheSettings,
    /// The product API, from which the catalogue is copied.
    pub product_api: ProductApiSettings,
    /// The cart service, from which missed events are fetched.
    pub cart: CartSettings,
    /// The consumers of events.
    pub events: ConsumerSettings,
    /// Learning from baskets.
    pub learning: LearningSettings,
    /// The TTLs of entries.
    pub lanes: PolicySettings,
}

/// The address of the cart service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CartSettings {
    /// The base URL: `http://host:port`.
    pub url: String,
}

/// The TTLs of entries, per cache.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// Lists for products.
    pub list: CachePolicySettings,
    /// Lists for carts.
    pub basket: CachePolicySettings,
}

impl Settings {
    /// Reads the defaults, the file named by `CONFIG_FILE` and the environment, and validates the result.
    ///
    /// # Errors
    /// Fails when a setting is invalid. The error names the setting.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::load(runtime::settings::environment())
    }

    fn load(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let mut settings: Self = runtime::settings::load(DEFAULTS, vars)?;
        limits::http(&settings.http)?;
        limits::postgres(&settings.postgres)?;
        limits::redis(&settings.redis)?;
        limits::product_api(&settings.product_api)?;
        limits::url("CART__URL", &settings.cart.url)?;
        limits::events(&settings.events)?;
        let waits = [
            ("POSTGRES__WAIT_TIMEOUT", settings.postgres.wait_timeout),
            ("POSTGRES__STATEMENT_TIMEOUT", settings.postgres.statement_timeout),
        ];
        let lanes = &mut settings.lanes;
        check_policies([("list", &mut lanes.list), ("basket", &mut lanes.basket)], &waits)?;
        let learning = &settings.learning;
        limits::within("LEARNING__EVERY", learning.every, Duration::from_millis(10)..=Duration::from_secs(86_400))?;
        limits::within("LEARNING__MIN_SUPPORT", learning.min_support, 1..=1_000_000)?;
        limits::within("LEARNING__LEAST_SCORE", learning.least_score, 0.0..=1e9)?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(vars: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::load(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn default_settings_are_valid() {
        assert_eq!(load(&[]).unwrap().http.port, 8007);
    }

    #[test]
    fn invalid_settings_are_refused_by_name() {
        for (name, value) in [
            ("LANES__LIST__SOFT_TTL", "1h"),
            ("LANES__BASKET__HARD_TTL", "0s"),
            ("LANES__LIST__LOAD_TIMEOUT", "3s"),
            ("LEARNING__EVERY", "1ms"),
            ("LEARNING__MIN_SUPPORT", "0"),
            ("LEARNING__LEAST_SCORE", "-1"),
            ("LEARNING__LEAST_SCORE", "nan"),
            ("REDIS__MAX_LOADS", "0"),
            ("LEARNING__EVERY", "1000years"),
            ("LEARNING__LEAST_SCORE", "inf"),
            ("CART__URL", "cart"),
            ("REDIS__SWEEP_REST", "0s"),
            ("REDIS__COMMAND_TIMEOUT", "0s"),
            ("HTTP__KEEP_ALIVE", "0s"),
            ("HTTP__GRACE", "1000years"),
            ("POSTGRES__WAIT_TIMEOUT", "0s"),
            ("POSTGRES__STATEMENT_TIMEOUT", "0s"),
            ("POSTGRES__MAX_CONNECTIONS", "1000000"),
            ("EVENTS__BATCH", "0"),
            ("EVENTS__CLAIM_AFTER", "0s"),
            ("EVENTS__MAX_ATTEMPTS", "0"),
            ("PRODUCT_API__TIMEOUT", "0s"),
            ("PRODUCT_API__URL", "127.0.0.1:8004"),
            ("EVENTS__TRANSPORT", "pigeon"),
            ("EVENTS__CLAIM_AFTER", "0s"),
            ("EVENTS__STALE_AFTER", "0s"),
            ("CART__URI", "http://127.0.0.1:1"),
        ] {
            let message = load(&[(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
