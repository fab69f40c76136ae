//! Durations in settings, as text with a unit: `250ms`, `5s`, `1h 30m`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

/// Reads a `Duration`, or an `Option` of one. For `#[serde(with = "…")]` at fields that are only read.
///
/// # Errors
/// Returns an error if the text is no number with a unit.
pub fn deserialize<'de, D: Deserializer<'de>, T: From<Duration>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    match humantime::parse_duration(&text) {
        Ok(duration) => Ok(duration.into()),
        Err(_) => Err(D::Error::invalid_value(Unexpected::Str(&text), &"a duration")),
    }
}
