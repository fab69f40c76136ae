//! The settings of a service: the sections that every service has, and its own.

use std::borrow::Cow;

use cache::CacheSettings;
use database::PostgresSettings;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::SettingsError;
use crate::incarnation::IncarnationSettings;
use crate::limits;
use crate::operations::OperationsSettings;
use crate::server::HttpSettings;
use crate::telemetry::{LogSettings, TraceSettings};

/// The sections of every service. In the file they lie beside the service's own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommonSettings {
    /// The HTTP server: address, limits and shutdown.
    pub http: HttpSettings,
    /// Access to `/events`, `/cache/*` and `/metrics`.
    pub operations: OperationsSettings,
    /// Logging.
    pub log: LogSettings,
    /// Tracing.
    #[serde(default)]
    pub traces: TraceSettings,
    /// The connection and the limits of the cache. A program without a cache has no such section.
    #[serde(default)]
    pub redis: CacheSettings,
    /// Whether the database says which Redis may be used.
    #[serde(default)]
    pub incarnation: IncarnationSettings,
}

/// The variable of OpenTelemetry that names the collector. It sets the setting beside it, which takes precedence if both are set.
const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "TRACES__ENDPOINT");

/// The settings of a service: a struct with [`CommonSettings`] as its field `common`, and one field for each section of
/// its own.
pub trait ServiceSettings: DeserializeOwned {
    /// Variables outside of the sections, each with the setting that it sets.
    const ALIASES: &'static [(&'static str, &'static str)] = &[];

    /// Returns the defaults: `settings.toml`, which explains each setting.
    fn defaults() -> Cow<'static, str>;

    /// Returns the sections that every service has.
    fn common(&self) -> &CommonSettings;

    /// Returns the section of the service's own database. A service without an override has none.
    fn postgres(&self) -> Option<&PostgresSettings> {
        None
    }

    /// Checks that the values of the service's own sections are usable and consistent.
    ///
    /// # Errors
    /// Returns an error that names the first wrong setting.
    fn check(&mut self) -> Result<(), SettingsError>;

    /// Reads the defaults, the file named by `CONFIG_FILE` and the environment, and checks the values.
    ///
    /// # Errors
    /// Returns an error that names the first wrong setting.
    fn from_env() -> Result<Self, SettingsError> {
        Self::from_vars(super::environment())
    }

    /// Does the same as [`from_env`](Self::from_env) with the given variables.
    ///
    /// # Errors
    /// Returns an error that names the first wrong setting.
    fn from_vars<N: Into<String>, V: Into<String>>(
        vars: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, SettingsError> {
        let mut aliases = Vec::new();
        let mut vars: Vec<(String, String)> =
            vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if vars.iter().any(|(name, _)| name == COLLECTOR.1) {
            vars.retain(|(name, _)| name != COLLECTOR.0);
        }
        let known = || Self::ALIASES.iter().chain([&COLLECTOR]);
        let vars: Vec<(String, String)> = vars
            .into_iter()
            .map(|(name, value)| match known().find(|(alias, _)| *alias == name) {
                Some(used @ (_, setting)) => {
                    aliases.push(used);
                    ((*setting).to_owned(), value)
                }
                None => (name, value),
            })
            .collect();
        let mut settings: Self = super::load(&Self::defaults(), vars).map_err(|error| match error {
            // The message uses the name that was set.
            SettingsError::Wrong { setting, reason } => {
                let alias = aliases.iter().find(|(_, full)| *full == setting).map(|(alias, _)| (*alias).to_owned());
                SettingsError::Wrong { setting: alias.unwrap_or(setting), reason }
            }
            error => error,
        })?;
        limits::http(&settings.common().http)?;
        limits::traces(&settings.common().traces)?;
        limits::redis(&settings.common().redis)?;
        settings.check()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        common: CommonSettings,
        seed: Seed,
    }

    #[derive(Debug, Deserialize)]
    struct Seed {
        products: u64,
    }

    impl ServiceSettings for Settings {
        const ALIASES: &'static [(&'static str, &'static str)] = &[("SEED_PRODUCTS", "SEED__PRODUCTS")];

        fn defaults() -> Cow<'static, str> {
            "[http]\n[operations]\n[log]\n[traces]\n[redis]\n[seed]\nproducts = 5".into()
        }

        fn common(&self) -> &CommonSettings {
            &self.common
        }

        fn check(&mut self) -> Result<(), SettingsError> {
            limits::within("SEED__PRODUCTS", self.seed.products, 0..=10)
        }
    }

    #[test]
    fn variables_set_common_sections_own_sections_and_aliases() {
        let settings = Settings::from_vars([("HTTP__PORT", "7"), ("REDIS__MAX_LOADS", "5"), ("SEED_PRODUCTS", "6")]);
        let settings = settings.unwrap();
        let common = settings.common();
        assert_eq!((common.http.port, common.redis.max_loads, settings.seed.products), (7, 5, 6));
    }

    #[test]
    fn variable_of_opentelemetry_names_the_collector_unless_the_setting_does() {
        let (alias, own) = (("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"), ("TRACES__ENDPOINT", "http://b:4318"));
        let endpoint = |vars: &[(&str, &str)]| {
            Settings::from_vars(vars.to_vec()).map(|settings| settings.common().traces.endpoint.clone()).unwrap()
        };
        assert_eq!(endpoint(&[]), "");
        assert_eq!(endpoint(&[alias]), alias.1);
        assert_eq!(endpoint(&[alias, own]), own.1);
        assert_eq!(endpoint(&[own, alias]), own.1);
    }

    #[test]
    fn unusable_common_settings_are_refused_by_name() {
        for (name, value) in [
            ("HTTP__GRACE", "1000years"),
            ("HTTP__KEEP_ALIVE", "0s"),
            ("HTTP__KEEP_ALIVE", "10ms"),
            ("HTTP__HEADERS_TIMEOUT", "1ms"),
            ("HTTP__BODY_TIMEOUT", "1ms"),
            ("HTTP__WRITE_TIMEOUT", "1ms"),
            ("HTTP__MAX_CONNECTIONS", "0"),
            ("HTTP__DRAIN_DELAY", "1000years"),
            ("HTTP__PORT", "eighty"),
            ("HTTP__WORKERS", "513"),
            ("HTTP__WORKERS", "-1"),
            ("REDIS__MAX_LOADS", "0"),
            ("REDIS__MAX_LOADS", "10000000000000"),
            ("REDIS__COMMAND_TIMEOUT", "0s"),
            ("REDIS__BREAKER_THRESHOLD", "0"),
            ("REDIS__LOAD_QUEUE", "1000years"),
            ("REDIS__SWEEP_REST", "0s"),
            ("REDIS__TIMEUOT", "5ms"),
            ("LOG__FORMAT", "xml"),
            ("TRACES__ENDPOINT", "https://collector:4318"),
            ("TRACES__ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector:4317"),
            ("TRACES__INTERVAL", "0s"),
            ("SEED__PRODUCTS", "11"),
            ("SEED_PRODUCTS", "-1"),
        ] {
            let message = Settings::from_vars([(name, value)]).expect_err(name).to_string();
            assert!(message.contains(name), "{name}={value} gave: {message}");
        }
    }
}
