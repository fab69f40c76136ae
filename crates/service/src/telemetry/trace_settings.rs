//! The settings of traces.

use std::time::Duration;

use serde::Deserialize;

/// The `[traces]` section of every service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSettings {
    /// The address of an OpenTelemetry collector that receives OTLP over HTTP: `http://host:4318`. If it is empty, nothing
    /// is traced.
    pub endpoint: String,
    /// The longest time until a finished span is sent.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self { endpoint: String::new(), interval: Duration::from_secs(5) }
    }
}
