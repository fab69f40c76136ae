//! The settings of the recommendation service. `settings.toml` holds the defaults and explains each setting.

use std::time::Duration;

use contract::product_api::ProductApiSettings;
use database::PostgresSettings;
use outbox::consumer::ConsumerSettings;
use serde::Deserialize;
use service::limits;
use service::policy_settings::{CachePolicySettings, check_policies};
use service::settings::{CommonSettings, ServiceSettings, SettingsError};

use crate::learning::LearningSettings;

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The sections that every service has.
    pub common: CommonSettings,
    /// The database.
    pub postgres: PostgresSettings,
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
        limits::url("CART__URL", &self.cart.url)?;
        limits::events(&self.events)?;
        let waits = [
            ("POSTGRES__WAIT_TIMEOUT", self.postgres.wait_timeout),
            ("POSTGRES__STATEMENT_TIMEOUT", self.postgres.statement_timeout),
        ];
        check_policies(
            [("list", &mut self.lanes.list), ("basket", &mut self.lanes.basket)],
            &waits,
            &mut self.common.redis,
        )?;
        let learning = &self.learning;
        limits::within("LEARNING__EVERY", learning.every, Duration::from_millis(10)..=Duration::from_secs(86_400))?;
        limits::within("LEARNING__MIN_SUPPORT", learning.min_support, 1..=1_000_000)?;
        limits::within("LEARNING__LEAST_SCORE", learning.least_score, 0.0..=1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_valid() {
        assert_eq!(Settings::from_vars::<&str, &str>([]).unwrap().common.http.port, 8007);
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
            ("LEARNING__EVERY", "1000years"),
            ("LEARNING__LEAST_SCORE", "inf"),
            ("CART__URL", "cart"),
            ("CART__URI", "http://127.0.0.1:1"),
        ] {
            let message = Settings::from_vars([(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
