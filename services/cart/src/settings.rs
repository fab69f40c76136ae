//! The settings of the cart: `settings.toml` holds the defaults and explains each.

use contract::product_api::ProductApiSettings;
use database::PostgresSettings;
use outbox::consumer::ConsumerSettings;
use outbox::relay::RelaySettings;
use serde::Deserialize;
use service::limits;
use service::policy_settings::{CachePolicySettings, check_policies};
use service::settings::{CommonSettings, ServiceSettings, SettingsError};

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The sections that every service has.
    pub common: CommonSettings,
    /// The database.
    pub postgres: PostgresSettings,
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

impl ServiceSettings for Settings {
    fn defaults() -> std::borrow::Cow<'static, str> {
        include_str!("settings.toml").into()
    }

    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn postgres(&self) -> Option<&PostgresSettings> {
        Some(&self.postgres)
    }

    fn check(&mut self) -> Result<(), SettingsError> {
        limits::postgres(&self.postgres)?;
        limits::product_api(&self.product_api)?;
        limits::events(&self.events)?;
        limits::relay(&self.relay)?;
        let waits = [
            ("POSTGRES__WAIT_TIMEOUT", self.postgres.wait_timeout),
            ("POSTGRES__STATEMENT_TIMEOUT", self.postgres.statement_timeout),
            ("PRODUCT_API__TIMEOUT", self.product_api.timeout),
        ];
        check_policies(
            [("product", &mut self.lanes.product), ("view", &mut self.lanes.view)],
            &waits,
            &mut self.common.redis,
        )?;
        if self.lanes.view.soft_ttl.is_some() {
            // With a soft TTL, a stale view would be served after a write to its cart was acknowledged, and be
            // refreshed in the background.
            return Err(SettingsError::wrong("LANES__VIEW__SOFT_TTL", "must be unset: a view is never served stale"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_consistent() {
        assert_eq!(Settings::from_vars::<&str, &str>([]).unwrap().common.http.port, 8005);
    }

    #[test]
    fn contradictions_are_refused_by_the_name_of_the_setting() {
        for (name, value) in [
            ("LANES__VIEW__SOFT_TTL", "1s"),
            ("LANES__VIEW__HARD_TTL", "0s"),
            ("LANES__PRODUCT__NEGATIVE_TTL", "6m"),
            ("LANES__VIEW__LEASE", "2s"),
            ("PRODUCT_API__TIMEOUT", "2m"),
            ("EVENTS__STALE_AFTER", "1s"),
            ("EVENTS__STALE_AFTER", "1h"),
        ] {
            let message = Settings::from_vars([(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
