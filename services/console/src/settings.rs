//! The settings of the console. `settings.toml` holds the defaults and explains each setting.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Deserialize;
use service::settings::{CommonSettings, ServiceSettings, SettingsError};

/// All settings of the console.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the sections of `settings.toml`, which explains them")]
pub struct Settings {
    pub common: CommonSettings,
    pub access: AccessSettings,
    pub assets: AssetSettings,
    pub product_api: Address,
    pub cart: Address,
    pub search: Address,
    pub recommendation: Address,
    pub product_api_2: Address,
    pub cart_2: Address,
    pub search_2: Address,
    pub recommendation_2: Address,
    pub postgres: SecretAddress,
    pub redis_admin: SecretAddress,
    pub faults: FaultSettings,
}

/// Which clients are served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessSettings {
    /// The host names that a request may be sent to, separated by spaces.
    pub hosts: String,
    /// Whether the port is published on loopback only.
    pub behind_loopback: bool,
}

/// The files of the page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetSettings {
    /// A folder to serve instead of the embedded files; empty for none.
    pub folder: PathBuf,
}

/// The address of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// `http://host:port`, or empty if the service does not exist.
    pub url: String,
}

/// The address of a store, with a password.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretAddress {
    /// The URL, or empty if the console may not use the store.
    pub url: String,
}

/// Whether the page can disturb the stack.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSettings {
    /// Whether faults are offered.
    pub enabled: bool,
}

impl std::fmt::Debug for SecretAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.url.is_empty() { "none" } else { "set" })
    }
}

impl Settings {
    /// Returns the name and the base URL of each service that exists, the first processes first.
    pub fn services(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("product-api", &self.product_api),
            ("cart", &self.cart),
            ("search", &self.search),
            ("recommendation", &self.recommendation),
            ("product-api-2", &self.product_api_2),
            ("cart-2", &self.cart_2),
            ("search-2", &self.search_2),
            ("recommendation-2", &self.recommendation_2),
        ];
        let named = all.into_iter().map(|(name, address)| (name, address.url.trim_end_matches('/')));
        named.filter(|(_, url)| !url.is_empty()).collect()
    }
}

impl ServiceSettings for Settings {
    const ALIASES: &'static [(&'static str, &'static str)] = &[("FAULTS_ENABLED", "FAULTS__ENABLED")];

    fn defaults() -> Cow<'static, str> {
        include_str!("settings.toml").into()
    }

    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn check(&mut self) -> Result<(), SettingsError> {
        for (name, url) in self.services() {
            if reqwest::Url::parse(url).is_err() || !url.starts_with("http://") {
                let setting = format!("{}__URL", name.replace('-', "_").to_uppercase());
                return Err(SettingsError::wrong(setting, "must be a URL that begins with http://"));
            }
        }
        if self.product_api.url.is_empty() {
            return Err(SettingsError::wrong("PRODUCT_API__URL", "must name the product API"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_processes_exist_only_with_a_url() {
        let settings = Settings::from_vars([("PRODUCT_API_2__URL", "http://127.0.0.1:8014/")]).unwrap();
        let names: Vec<_> = settings.services().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["product-api", "cart", "search", "recommendation", "product-api-2"]);
        assert_eq!(settings.services()[4].1, "http://127.0.0.1:8014");
        assert!(!settings.faults.enabled);
    }

    #[test]
    fn unusable_settings_are_refused_by_name() {
        for (name, value) in [
            ("CART__URL", "cart:8005"),
            ("PRODUCT_API__URL", ""),
            ("SEARCH_2__URL", "https://x"),
            ("FAULTS_ENABLED", "2x"),
        ] {
            let message = Settings::from_vars([(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
