//! The process' metrics, rendered for Prometheus at `/metrics`.

use std::sync::{Mutex, PoisonError};

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use metrics::describe_histogram;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::http_metrics;
use crate::operations::OperatorToken;
use crate::response_middleware::caching::NO_STORE;

/// Histogram bounds in seconds: a cache hit takes tens of microseconds, a load takes milliseconds.
const BUCKETS: [f64; 16] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The one recorder of the process, which the `metrics` crate requires; several services in one process (tests) share
/// it.
static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is invalid.
    #[error("LOG__FILTER cannot be used: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Other code in this process has already installed a logger or a metrics recorder.
    #[error("telemetry is set up already: {0}")]
    Taken(String),
    /// Traces cannot be exported.
    #[error("TRACES__ENDPOINT cannot be used: {0}")]
    Traces(String),
}

/// Reads the metrics of this process.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder of the process, or returns the installed one.
    pub fn install() -> Result<Self, TelemetryError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = installed.as_ref() {
            return Ok(metrics.clone());
        }
        let handle = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|error| TelemetryError::Taken(error.to_string()))?;
        describe_histogram!(http_metrics::DURATION, "Time to answer, by route, method and status class");
        Ok(installed.insert(Self(handle)).clone())
    }

    /// Returns all metrics in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.0.render()
    }

    pub(super) fn upkeep(&self) {
        self.0.run_upkeep();
    }

    pub(crate) fn configure(&self, cfg: &mut web::ServiceConfig) {
        let metrics = self.clone();
        cfg.service(web::resource("/metrics").route(web::get().to(move |_: OperatorToken| {
            let text = metrics.render();
            async {
                HttpResponse::Ok()
                    .insert_header((CACHE_CONTROL, NO_STORE))
                    .content_type("text/plain; version=0.0.4; charset=utf-8")
                    .body(text)
            }
        })));
    }
}
