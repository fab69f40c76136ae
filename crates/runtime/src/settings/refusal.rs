//! Why settings are refused: one sentence, with the setting's name in its environment form.

use config::ConfigError;

/// Settings that can't be used. Its `Display` is one sentence for the person who set them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A name that no setting has.
    #[error("{setting} is not a setting; {hint}")]
    Unknown {
        /// The name in its environment form.
        setting: String,
        /// What was probably meant, or what there is.
        hint: String,
    },
    /// A value that its setting can't take, or that contradicts another one.
    #[error("{setting} {reason}")]
    Wrong {
        /// The name in its environment form.
        setting: String,
        /// What is wrong, as the rest of a sentence: "must be …".
        reason: String,
    },
    /// The defaults in the binary are broken: a fault of the build, not of the user.
    #[error("the built-in default settings do not parse: {0}")]
    Defaults(String),
}

impl SettingsError {
    /// A value that can't be used: `wrong("LANES__TTL__SOFT_TTL", "must not exceed …")`.
    ///
    /// For the checks of a service that no type can make, such as contradictions.
    pub fn wrong(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Wrong { setting: setting.into(), reason: reason.into() }
    }

    pub(super) fn defaults(error: ConfigError) -> Self {
        Self::Defaults(error.to_string())
    }

    pub(super) fn file(path: &str, error: impl std::fmt::Display) -> Self {
        Self::wrong(super::FILE_VARIABLE, format!("names {path}, which can't be used: {error}"))
    }
}

/// Turns the loader's error into our sentence.
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

/// serde words an unknown field "unknown field `a`, expected one of `b`, `c`".
fn explain_message(parent: Option<&str>, message: &str) -> SettingsError {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(unknown)) => {
            let full =
                |name: &str| env_form(&parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}.{name}")));
            let known: Vec<&str> = quoted.collect();
            let hint = match nearest(unknown, known.iter().copied()) {
                Some(near) => format!("did you mean {}?", full(near)),
                None if known.is_empty() => "there is none at that place".to_owned(),
                None => format!("there is {}", known.into_iter().map(full).collect::<Vec<_>>().join(", ")),
            };
            SettingsError::Unknown { setting: full(unknown), hint }
        }
        _ => {
            let setting = parent.map_or_else(|| "A setting".to_owned(), env_form);
            SettingsError::wrong(setting, format!("can't be used: {message}"))
        }
    }
}

/// `lanes.ttl.hard_ttl` → `LANES__TTL__HARD_TTL`.
fn env_form(path: &str) -> String {
    path.replace('.', super::SEPARATOR).to_uppercase()
}

/// The candidate that differs from `name` by at most two slips, and by less than half of itself.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && distance * 2 <= candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}
