//! The settings of the search service. `settings.toml` holds the defaults and explains each setting.

use std::path::PathBuf;
use std::time::Duration;

use cache::CacheSettings;
use events::consumer::ConsumerSettings;
use events::product_api::ProductApiSettings;
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
    /// The log.
    pub log: LogSettings,
    /// The connection and the limits of the cache.
    pub redis: CacheSettings,
    /// The product API, which is the source of the catalogue.
    pub product_api: ProductApiSettings,
    /// The consumer of events.
    pub events: ConsumerSettings,
    /// The index on disk.
    pub index: IndexSettings,
    /// The TTLs of entries.
    pub lanes: PolicySettings,
}

/// The index on disk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexSettings {
    /// A directory that no other process uses.
    pub path: PathBuf,
    /// Memory in MiB that the indexing threads fill before they write a segment.
    pub memory: usize,
    /// The minimum interval between two commits; changes within it share a commit.
    #[serde(with = "humantime_serde")]
    pub commit_every: Duration,
}

/// The TTLs of entries, per cache.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// Result pages.
    pub page: CachePolicySettings,
}

impl Settings {
    /// Reads the defaults, the file named by `CONFIG_FILE` and the environment, and validates the result.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::checked(runtime::settings::load_from_env(DEFAULTS)?)
    }

    /// Reads the settings like [`from_env`](Self::from_env), from the given variables.
    pub fn from_vars<'a>(vars: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, SettingsError> {
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::checked(runtime::settings::load(DEFAULTS, vars)?)
    }

    fn checked(mut settings: Self) -> Result<Self, SettingsError> {
        limits::http(&settings.http)?;
        limits::redis(&settings.redis)?;
        limits::product_api(&settings.product_api)?;
        limits::events(&settings.events)?;
        check_policies([("page", &mut settings.lanes.page)], &[])?;
        if !(32..=4096).contains(&settings.index.memory) {
            return Err(SettingsError::wrong("INDEX__MEMORY", "must be between 32 and 4096 (MiB)"));
        }
        if settings.index.commit_every > Duration::from_secs(1) {
            return Err(SettingsError::wrong("INDEX__COMMIT_EVERY", "must be at most 1s"));
        }
        if settings.index.path.as_os_str().is_empty() {
            return Err(SettingsError::wrong("INDEX__PATH", "must name a directory"));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_valid() {
        let settings = Settings::from_vars([]).unwrap();
        assert_eq!((settings.http.port, settings.index.memory), (8006, 64));
        assert_eq!(settings.events, ConsumerSettings::default());
    }

    #[test]
    fn invalid_settings_are_refused_by_name() {
        for (name, value) in [
            ("LANES__PAGE__SOFT_TTL", "20m"),
            ("LANES__PAGE__LEASE", "2m"),
            ("REDIS__MAX_LOADS", "0"),
            ("REDIS__SWEEP_REST", "0s"),
            ("REDIS__COMMAND_TIMEOUT", "0s"),
            ("HTTP__KEEP_ALIVE", "0s"),
            ("HTTP__GRACE", "1000years"),
            ("EVENTS__BATCH", "0"),
            ("EVENTS__CLAIM_AFTER", "0s"),
            ("EVENTS__MAX_ATTEMPTS", "0"),
            ("PRODUCT_API__TIMEOUT", "0s"),
            ("PRODUCT_API__URL", "127.0.0.1:8004"),
            ("INDEX__MEMORY", "1"),
            ("INDEX__COMMIT_EVERY", "1m"),
            ("INDEX__PATH", ""),
            ("PRODUCT_API__TIMEOUT", "soon"),
            ("EVENTS__TRANSPORT", "pigeon"),
            ("EVENTS__CLAIM_AFTER", "0s"),
            ("EVENTS__STALE_AFTER", "0s"),
        ] {
            let message = Settings::from_vars([(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
