//! The settings of the search service. `settings.toml` holds the defaults and explains each setting.

use std::path::PathBuf;
use std::time::Duration;

use contract::product_api::ProductApiSettings;

use outbox::consumer::ConsumerSettings;
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

impl ServiceSettings for Settings {
    fn defaults() -> std::borrow::Cow<'static, str> {
        include_str!("settings.toml").into()
    }

    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn check(&mut self) -> Result<(), SettingsError> {
        limits::product_api(&self.product_api)?;
        limits::events(&self.events)?;
        let page = &mut self.lanes.page;
        if page.lease.is_none() {
            // Otherwise, the wait for a permit would be the default, and leave no time for the search.
            page.load_timeout = page.load_timeout.or(Some(page.policy().effective_load_timeout()));
        }
        let waits = [("REDIS__LOAD_QUEUE", self.common.redis.load_queue)];
        check_policies([("page", page)], &waits, &mut self.common.redis)?;
        if !(32..=4096).contains(&self.index.memory) {
            return Err(SettingsError::wrong("INDEX__MEMORY", "must be between 32 and 4096 (MiB)"));
        }
        limits::within(
            "INDEX__COMMIT_EVERY",
            self.index.commit_every,
            Duration::from_millis(1)..=Duration::from_secs(1),
        )?;
        if self.index.path.as_os_str().is_empty() {
            return Err(SettingsError::wrong("INDEX__PATH", "must name a directory"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_valid() {
        let settings = Settings::from_vars::<&str, &str>([]).unwrap();
        assert_eq!((settings.common.http.port, settings.index.memory), (8006, 64));
        assert_eq!(settings.events, ConsumerSettings::default());
        assert_eq!(settings.lanes.page.load_timeout, Some(Duration::from_secs(7)));
    }

    #[test]
    fn invalid_settings_are_refused_by_name() {
        for (name, value) in [
            ("LANES__PAGE__SOFT_TTL", "20m"),
            ("LANES__PAGE__LEASE", "2m"),
            ("LANES__PAGE__LEASE", "2s"),
            ("LANES__PAGE__LOAD_TIMEOUT", "1s"),
            ("REDIS__LOAD_QUEUE", "30s"),
            ("REDIS__LOAD_QUEUE", "1m"),
            ("INDEX__MEMORY", "1"),
            ("INDEX__COMMIT_EVERY", "1m"),
            ("INDEX__COMMIT_EVERY", "0s"),
            ("INDEX__PATH", ""),
        ] {
            let message = Settings::from_vars([(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
