//! Why settings are refused: one sentence, with the setting's name in its environment form.

use config::ConfigError;

/// Separates the parts of a setting's name in its environment form.
pub(super) const SEPARATOR: &str = "__";
pub(super) const FILE_VARIABLE: &str = "CONFIG_FILE";
/// The field that holds the sections of every service. The name of a setting does not contain it.
pub(super) const COMMON: &str = "common";
/// The sections of every service.
pub(super) const COMMON_SECTIONS: [&str; 6] = ["http", "operations", "log", "traces", "redis", "incarnation"];

/// Settings that cannot be used. The `Display` output is one sentence for the operator.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// An unknown setting.
    #[error("{setting} is not a setting; {hint}")]
    Unknown {
        /// The name in its environment form.
        setting: String,
        /// The setting that was probably meant, or the existing ones.
        hint: String,
    },
    /// A value that the setting does not accept, or that contradicts another one.
    #[error("{setting} {reason}")]
    Wrong {
        /// The name in its environment form.
        setting: String,
        /// The error, as the rest of a sentence: "must be …".
        reason: String,
    },
    /// The defaults in the binary are invalid: a bug of the build, not an error of the operator.
    #[error("the built-in default settings do not parse: {0}")]
    Defaults(String),
}

impl SettingsError {
    /// Creates an error for an unusable value: `wrong("LANES__TTL__SOFT_TTL", "must not exceed …")`.
    ///
    /// For checks of a service that types cannot express, such as contradictions.
    pub fn wrong(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Wrong { setting: setting.into(), reason: reason.into() }
    }

    pub(super) fn defaults(error: ConfigError) -> Self {
        Self::Defaults(error.to_string())
    }

    pub(super) fn file(path: &str, error: impl std::fmt::Display) -> Self {
        Self::wrong(FILE_VARIABLE, format!("names {path}, which cannot be used: {error}"))
    }
}

/// Converts the loader's error into a [`SettingsError`].
pub(super) fn explain(error: ConfigError) -> SettingsError {
    match error {
        ConfigError::At { error, key, .. } => match *error {
            ConfigError::Message(message) => explain_message(key.as_deref(), &message),
            inner => SettingsError::wrong(env_form(key.as_deref().unwrap_or_default()), inner.to_string()),
        },
        ConfigError::Message(message) => explain_message(None, &message),
        ConfigError::NotFound(key) => SettingsError::wrong(env_form(&key), "has no value and no default"),
        ConfigError::Type { unexpected, expected, key, .. } => {
            let setting = env_form(key.as_deref().unwrap_or_default());
            SettingsError::wrong(setting, format!("must be {expected}, not {unexpected}"))
        }
        other => SettingsError::wrong("The settings", format!("do not load: {other}")),
    }
}

/// serde's message for an unknown field is "unknown field `a`, expected one of `b`, `c`".
fn explain_message(parent: Option<&str>, message: &str) -> SettingsError {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(unknown)) => {
            let full =
                |name: &str| env_form(&parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}.{name}")));
            let mut known: Vec<&str> = quoted.collect();
            if known.contains(&COMMON) {
                known.splice(.., known.clone().into_iter().filter(|name| *name != COMMON).chain(COMMON_SECTIONS));
            }
            let hint = match nearest(unknown, known.iter().copied()) {
                Some(near) => format!("did you mean {}?", full(near)),
                None if known.is_empty() => "no setting exists there".to_owned(),
                None => format!("expected one of {}", known.into_iter().map(full).collect::<Vec<_>>().join(", ")),
            };
            SettingsError::Unknown { setting: full(unknown), hint }
        }
        _ => {
            let setting = parent.map_or_else(|| "A setting".to_owned(), env_form);
            SettingsError::wrong(setting, format!("cannot be used: {message}"))
        }
    }
}

/// Converts `lanes.ttl.hard_ttl` to `LANES__TTL__HARD_TTL`, and `common.http.port` to `HTTP__PORT`.
fn env_form(path: &str) -> String {
    let path = path.strip_prefix(COMMON).and_then(|path| path.strip_prefix('.')).unwrap_or(path);
    path.replace('.', SEPARATOR).to_uppercase()
}

/// Returns the candidate that differs from `name` by at most two typos, and by at most half of its own length.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && distance * 2 <= candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}
