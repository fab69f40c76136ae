//! Logs and metrics of a process.
//!
//! Logs go to standard output through `tracing`, metrics wait in the process until `/metrics` is
//! read. Both are global in their crates' design, so this is where that is dealt with: logging
//! is set up once by [`init`], metrics by the first [`Metrics::install`].

mod metrics;

use std::io::IsTerminal;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::EnvFilter;

pub use metrics::Metrics;

/// How often finished measurements are moved out of the buffers that requests write to.
const UPKEEP: Duration = Duration::from_secs(5);

/// The `[log]` section of every service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// What to log, in the words of `tracing`: `info`, `warn,cache=debug`.
    pub filter: String,
    /// For eyes or for machines.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info,actix_server=warn".to_owned(), format: LogFormat::Pretty }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// Text for eyes.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            other => Err(format!("there is pretty and json, not {other:?}")),
        }
    }
}

/// Why telemetry can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter isn't one.
    #[error("LOG__FILTER can't be used: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something else in this process has taken the place of the log or of the metrics.
    #[error("telemetry is set up already: {0}")]
    Taken(String),
}

/// Telemetry of a process, for as long as this value lives.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    _upkeep: AbortOnDropHandle<()>,
}

impl Telemetry {
    /// What `/metrics` renders.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// Sets up logs and metrics, and the task that keeps the metrics small. Needs a tokio runtime.
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

/// actix reports every request that its HTTP parser refuses as an ERROR of its dispatcher; a client could fill the log with
/// them. They are left out, unless `LOG__FILTER` names `actix_http`.
fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::try_new(text)?;
    if text.contains("actix_http") {
        return Ok(filter);
    }
    Ok(filter.add_directive("actix_http::h1::dispatcher=off".parse()?))
}
