//! Logs, metrics and traces of a process.
//!
//! Logs are written to standard output through `tracing`; metrics stay in the process until `/metrics` is read; traces
//! are sent to a collector, if there is one. Logs and metrics are global by the design of their crates, and this module
//! handles that: [`init`] sets up logging once, and the first [`Metrics::install`] sets up metrics.

#[cfg(feature = "otel")]
mod export_client;
mod log_format;
mod log_settings;
mod metrics;
mod trace_settings;
#[cfg(feature = "otel")]
mod traces;
#[cfg(not(feature = "otel"))]
#[path = "telemetry/no_traces.rs"]
mod traces;

use std::io::IsTerminal;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use log_format::WithTraceId;
pub use log_settings::{LogFormat, LogSettings};
pub use metrics::{Metrics, TelemetryError};
pub use trace_settings::TraceSettings;
pub use traces::Traces;

/// How often finished measurements are moved out of the buffers that requests write to.
const UPKEEP: Duration = Duration::from_secs(5);

/// The telemetry of a process, for as long as this value lives.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    traces: Option<Traces>,
    _upkeep: AbortOnDropHandle<()>,
}

impl Telemetry {
    /// Returns the metrics that `/metrics` renders.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends the remaining spans, until `deadline` at most.
    pub async fn stop(self, deadline: Instant) {
        if let Some(traces) = self.traces {
            traces.stop(deadline).await;
        }
    }
}

/// Sets up logs and metrics, the task that keeps the metrics small, and the recording of `traces`. Requires a tokio
/// runtime.
pub fn init(settings: &LogSettings, traces: Option<Traces>) -> Result<Telemetry, TelemetryError> {
    let filter = filter(&settings.filter)?;
    match &traces {
        None => registry().with(filter).with(lines(settings.format)).try_init(),
        // The filter applies to the log only.
        Some(traces) => registry().with(lines(settings.format).with_filter(filter)).with(traces.layer()).try_init(),
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
    Ok(Telemetry { metrics, traces, _upkeep: upkeep })
}

/// Returns the layer that writes log lines to standard output.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ansi = std::io::stdout().is_terminal();
    let lines = fmt::layer().with_ansi(ansi);
    match format {
        LogFormat::Pretty => {
            lines.map_event_format(|inner| WithTraceId { format, inner: inner.with_ansi(ansi) }).boxed()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            lines.map_event_format(|inner| WithTraceId { format, inner }).boxed()
        }
    }
}

/// Creates the filter. actix reports every request that its HTTP parser refuses as an ERROR of its dispatcher, so a
/// client could fill the log with them. They are left out, unless `LOG__FILTER` names `actix_http`. The statements of
/// Postgres are always left out: their parameters contain the ids of carts.
fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let filter = EnvFilter::try_new(text)?;
    let filter =
        filter.add_directive("tokio_postgres=off".parse()?).add_directive("tokio_postgres::query=off".parse()?);
    if text.contains("actix_http") {
        return Ok(filter);
    }
    Ok(filter.add_directive("actix_http::h1::dispatcher=off".parse()?))
}
