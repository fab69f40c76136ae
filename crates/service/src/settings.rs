//! Settings: defaults in the binary, then an optional file, then the environment.
//!
//! A service embeds its defaults as a TOML text; the tables of this text are the *sections*. A file named by
//! `CONFIG_FILE` overrides them, and variables named `SECTION__NAME` (nested: `LANES__TTL__HARD_TTL`) override both. A
//! misspelt name or a value of the wrong type is refused with one sentence that names the setting in its environment
//! form.

mod common;
mod refusal;

use std::collections::HashMap;

use config::{Config, ConfigError, Environment, File, FileFormat, Map, Value, ValueKind};
use serde::de::DeserializeOwned;

pub use common::{CommonSettings, ServiceSettings};
pub use refusal::SettingsError;
use refusal::{COMMON, COMMON_SECTIONS, FILE_VARIABLE, SEPARATOR};

/// Returns the environment of this process. No other code reads it.
fn environment() -> impl Iterator<Item = (String, String)> {
    #[allow(clippy::disallowed_methods, reason = "the one home of the environment")]
    let variables = std::env::vars_os();
    // A variable that is not Unicode is not a setting: all names and values of settings are Unicode.
    variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Loads settings from `defaults` (TOML), the file that `CONFIG_FILE` names, and `env`.
///
/// The field `common` of `T` receives the sections that every service has ([`CommonSettings`]). serde's `flatten` would do
/// the same, but it reads values before their types are known: a port that comes from a variable would stay a text.
///
/// `T` should have `#[serde(deny_unknown_fields)]` at every level, or misspelt names are accepted. Variables outside
/// the sections of `defaults` belong to other programs and are ignored, unless their section is similar to one of
/// `defaults`: `REIDS__URL` is a typo, not a variable of another program.
pub fn load<T: DeserializeOwned>(
    defaults: &str, env: impl IntoIterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let env: HashMap<String, String> = env.into_iter().collect();
    let embedded = File::from_str(defaults, FileFormat::Toml);
    let known = Config::builder().add_source(embedded.clone()).build().map_err(SettingsError::defaults)?;

    let mut layers = Config::builder().add_source(embedded);
    if let Some(path) = env.get(FILE_VARIABLE).filter(|path| !path.is_empty()) {
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::file(path, error))?;
        // Built alone first, so that a syntax error is reported as an error of this file.
        let file = File::from_str(&text, FileFormat::Toml);
        Config::builder().add_source(file.clone()).build().map_err(|error| SettingsError::file(path, error))?;
        layers = layers.add_source(file);
    }
    let own_variables = own_variables(env, &known)?;
    // Values stay strings here, and are parsed by the type of their field, not by their content: a password of digits
    // keeps its leading zero.
    let mut layers =
        layers.add_source(Environment::default().separator(SEPARATOR).source(Some(own_variables))).build()?;
    nest_common_sections(&mut layers)?;
    Ok(layers.try_deserialize()?)
}

/// Moves the sections that every service has below the field that holds them.
fn nest_common_sections(layers: &mut Config) -> Result<(), SettingsError> {
    let ValueKind::Table(sections) = &mut layers.cache.kind else { return Ok(()) };
    let common: Map<String, Value> = COMMON_SECTIONS.iter().filter_map(|name| sections.remove_entry(*name)).collect();
    match sections.insert(COMMON.to_owned(), Value::new(None, common)) {
        None => Ok(()),
        Some(_) => {
            Err(SettingsError::Unknown { setting: "COMMON".to_owned(), hint: "no setting exists there".to_owned() })
        }
    }
}

/// Returns the variables of the known sections; refuses variables whose section is similar to a known one.
fn own_variables(env: HashMap<String, String>, known: &Config) -> Result<HashMap<String, String>, SettingsError> {
    let sections = match &known.cache.kind {
        ValueKind::Table(table) => table.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let mut own_variables = HashMap::new();
    for (name, value) in env {
        let Some((section, rest)) = name.split_once(SEPARATOR) else { continue };
        let section = section.to_lowercase();
        if sections.contains(&section.as_str()) {
            reject_words_for_numbers(&name, &value, known)?;
            own_variables.insert(name, value);
        } else if let Some(near) = refusal::nearest(&section, sections.iter().copied()) {
            let meant = format!("{near}{SEPARATOR}{rest}").to_uppercase();
            return Err(SettingsError::Unknown { setting: name, hint: format!("did you mean {meant}?") });
        }
    }
    Ok(own_variables)
}

/// Refuses words for numbers: the `config` crate reads `yes` as the number 1, but a port called "yes" is a typo.
fn reject_words_for_numbers(name: &str, value: &str, known: &Config) -> Result<(), SettingsError> {
    let path = name.to_lowercase().replace(SEPARATOR, ".");
    let is_number =
        matches!(known.get::<Value>(&path).map(|default| default.kind), Ok(ValueKind::I64(_) | ValueKind::Float(_)));
    if is_number && value.parse::<f64>().is_err() {
        return Err(SettingsError::wrong(name, format!("must be a number, not {value:?}")));
    }
    Ok(())
}

impl From<ConfigError> for SettingsError {
    fn from(error: ConfigError) -> Self {
        refusal::explain(error)
    }
}
