//! The export of traces to an OpenTelemetry collector: OTLP over HTTP, in batches.
//!
//! The layer records the spans of this repository's crates, and warnings within them. The spans of other crates, such as
//! an HTTP client, are left out: they would also record the export itself.

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{Level, Metadata, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use uuid::Uuid;

use super::export_client::ExportClient;
use super::metrics::TelemetryError;
use super::trace_settings::TraceSettings;

/// The crates whose spans are recorded, beside the service's own.
const CRATES: [&str; 5] = ["cache", "contract", "database", "outbox", "service"];

/// The path of traces below the address of a collector.
const PATH: &str = "/v1/traces";

/// The running export of a process.
#[derive(Debug)]
pub struct Traces {
    name: &'static str,
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts the export of the service `name`; returns `None` if the settings name no collector. It need not be reachable.
    /// Requires a tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the system provides no sockets.
    pub fn start(name: &'static str, settings: &TraceSettings) -> Result<Option<Self>, TelemetryError> {
        if settings.endpoint.is_empty() {
            return Ok(None);
        }
        let client = ExportClient::new(Handle::current()).map_err(|error| TelemetryError::Traces(error.to_string()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}{PATH}", settings.endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error: ExporterBuildError| TelemetryError::Traces(error.to_string()))?;
        let config = BatchConfigBuilder::default().with_scheduled_delay(settings.interval).build();
        let instance = KeyValue::new("service.instance.id", Uuid::new_v4().to_string());
        let resource = Resource::builder().with_service_name(name).with_attribute(instance).build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        let provider = SdkTracerProvider::builder().with_span_processor(batches).with_resource(resource).build();
        Ok(Some(Self { name, provider }))
    }

    /// Returns the layer that records spans.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let own = self.name.replace('-', "_");
        let is_recorded = move |metadata: &Metadata<'_>| {
            let crate_name = metadata.target().split("::").next().unwrap_or_default();
            (metadata.is_span() || *metadata.level() <= Level::WARN)
                && (CRATES.contains(&crate_name) || crate_name == own)
        };
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(self.name))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_recorded))
    }

    /// Sends the remaining spans, until `deadline` at most.
    pub(super) async fn stop(self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let sent = spawn_blocking(move || self.provider.shutdown_with_timeout(left)).await;
        if let Ok(Err(error)) = sent {
            warn!(%error, "the last spans could not be sent to the collector");
        }
    }
}
