//! Why telemetry cannot be set up.

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is invalid.
    #[error("LOG__FILTER cannot be used: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Other code in this process has already installed a logger or a metrics recorder.
    #[error("telemetry is set up already: {0}")]
    Taken(String),
}
