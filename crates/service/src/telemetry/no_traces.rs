//! The traces of a program that was built without the feature `otel`: there are none.

use std::convert::Infallible;

use tokio::time::Instant;
use tracing_subscriber::layer::Identity;

use super::metrics::TelemetryError;
use super::trace_settings::TraceSettings;

/// The export of traces, which this program lacks.
#[derive(Debug)]
pub struct Traces(Infallible);

impl Traces {
    /// Returns `None`.
    ///
    /// # Errors
    /// Returns an error if the settings name a collector.
    pub fn start(_name: &'static str, settings: &TraceSettings) -> Result<Option<Self>, TelemetryError> {
        match settings.endpoint.is_empty() {
            true => Ok(None),
            false => Err(TelemetryError::Traces("this program was built without the feature `otel`".to_owned())),
        }
    }

    pub(super) fn layer(&self) -> Identity {
        match self.0 {}
    }

    pub(super) async fn stop(self, _deadline: Instant) {
        match self.0 {}
    }
}
