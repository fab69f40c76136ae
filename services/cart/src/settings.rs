//! The settings of the cart: `settings.toml` holds the defaults and explains each.

use cache::CacheSettings;
use database::PostgresSettings;
use events::consumer::ConsumerSettings;
use events::product_api::ProductApiSettings;
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
    /// The product API.
    pub product_api: ProductApiSettings,
    /// The consumer of the product API's events.
    pub events: ConsumerSettings,
    /// The relay, which publishes changes of carts.
    pub relay: RelaySettings,
    /// The TTLs of the entries.
    pub lanes: PolicySettings,
}

/// The policies of the caches.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// The data of products.
    pub product: CachePolicySettings,
    /// The views of carts.
    pub view: CachePolicySettings,
}

impl Settings {
    /// Reads the defaults, the file named by `CONFIG_FILE` and the environment, and checks that the values are
    /// consistent.
    ///
    /// # Errors
    /// Returns an error that names the invalid setting.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::load(runtime::settings::environment())
    }

    fn load(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let mut settings: Self = runtime::settings::load(DEFAULTS, vars)?;
        limits::http(&settings.http)?;
        limits::postgres(&settings.postgres)?;
        limits::redis(&settings.redis)?;
        limits::product_api(&settings.product_api)?;
        limits::events(&settings.events)?;
        limits::relay(&settings.relay)?;
        let waits = [
            ("POSTGRES__WAIT_TIMEOUT", settings.postgres.wait_timeout),
            ("POSTGRES__STATEMENT_TIMEOUT", settings.postgres.statement_timeout),
            ("PRODUCT_API__TIMEOUT", settings.product_api.timeout),
        ];
        let lanes = &mut settings.lanes;
        check_policies([("product", &mut lanes.product), ("view", &mut lanes.view)], &waits)?;
        if settings.lanes.view.soft_ttl.is_some() {
            // With a soft TTL, a stale view would be served after a write to its cart was acknowledged, and be
            // refreshed in the background.
            return Err(SettingsError::wrong("LANES__VIEW__SOFT_TTL", "a view is never served stale"));
        }
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
    fn default_settings_are_consistent() {
        assert_eq!(load(&[]).unwrap().http.port, 8005);
    }

    #[test]
    fn contradictions_are_refused_by_the_name_of_the_setting() {
        for (name, value) in [
            ("LANES__VIEW__SOFT_TTL", "1s"),
            ("LANES__VIEW__HARD_TTL", "0s"),
            ("LANES__PRODUCT__NEGATIVE_TTL", "6m"),
            ("LANES__VIEW__LEASE", "2s"),
            ("PRODUCT_API__TIMEOUT", "2m"),
            ("REDIS__MAX_LOADS", "0"),
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
            ("RELAY__BATCH", "0"),
            ("RELAY__POLL", "0s"),
            ("RELAY__PRUNE_EVERY", "0s"),
            ("RELAY__STREAM_LENGTH", "0"),
            ("EVENTS__TRANSPORT", "pigeon"),
            ("EVENTS__BATCH", "0"),
            ("EVENTS__CLAIM_AFTER", "0s"),
            ("EVENTS__MAX_ATTEMPTS", "0"),
            ("EVENTS__STALE_AFTER", "1s"),
            ("EVENTS__STALE_AFTER", "1h"),
            ("PRODUCT_API__TIMEOUT", "soon"),
            ("HTTP__PORT", "eighty"),
        ] {
            let message = load(&[(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
