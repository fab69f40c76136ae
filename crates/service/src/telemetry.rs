//! Logs and metrics of a process.
//!
//! Logs are written to standard output through `tracing`; metrics stay in the process until `/metrics` is read. Both
//! are global by the design of their crates, and this module handles that: [`init`] sets up logging once, and the first
//! [`Metrics::install`] sets up metrics.

mod metrics;

use std::io::IsTerminal;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::EnvFilter;

pub use metrics::{Metrics, TelemetryError};

/// How often finished measurements are moved out of the buffers that requests write to.
const UPKEEP: Duration = Duration::from_secs(5);

/// The `[log]` section of every service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// The log filter in the syntax of `tracing`: `info`, `warn,cache=debug`.
    pub filter: String,
    /// The format for people or for machines.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info,actix_server=warn".to_owned(), format: LogFormat::Pretty }
    }
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object per line, for machines.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            other => Err(format!("expected `pretty` or `json`, got {other:?}")),
        }
    }
}

/// The telemetry of a process, for as long as this value lives.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    _upkeep: AbortOnDropHandle<()>,
}

impl Telemetry {
    /// Returns the metrics that `/metrics` renders.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// Sets up logs and metrics, and the task that keeps the metrics small. Requires a tokio runtime.
pub fn init(settings: &LogSettings) -> Result<Telemetry, TelemetryError> {
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter(&settings.filter)?).with_ansi(std::io::stdout().is_terminal());
    match settings.format {
        LogFormat::Pretty => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(false).try_init(),
    }
    .map_err(|error| TelemetryError::Taken(error.to_string()))?;

    let metrics = Metrics::install()?;
    let upkept = metrics.clone();
    let upkeep = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut turns = tokio::time::interval(UPKEEP);
        loop {
            turns.tick().await;
            upkept.upkeep();
        }
    }));
    Ok(Telemetry { metrics, _upkeep: upkeep })
}

/// Creates the filter. actix reports every request that its HTTP parser refuses as an ERROR of its dispatcher, so a
/// client could fill the log with them. They are left out, unless `LOG__FILTER` names `actix_http`.
fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::try_new(text)?;
    if text.contains("actix_http") {
        return Ok(filter);
    }
    Ok(filter.add_directive("actix_http::h1::dispatcher=off".parse()?))
}
