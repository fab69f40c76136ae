//! The parts that every service binary has in common, so that its `main` fits on one screen.
//!
//! | module | purpose |
//! |---|---|
//! | [`settings`] | embedded defaults, a file, the environment; errors that name the setting |
//! | [`telemetry`] | logs and metrics |
//! | [`process`] | the binary: subcommands, exit code, tokio runtime |
//! | [`server`] | serves on a listener, stops on a token without losing a request |
//! | [`shutdown`] | closes a service's cache |
//! | [`http_metrics`] | the middleware that measures and logs every request |
//! | [`response_middleware`] | the middleware that completes every response: HEAD, error bodies, `Cache-Control` |
//! | [`problem`] | RFC 9457 errors, and the JSON body extractor |
//! | [`response`] · [`cache_control`] | responses to cached reads and to writes; what other caches may do with them |
//! | [`validator`] · [`conditions`] | `ETag`; `If-Match`, `If-None-Match` |
//! | [`health`] · [`healthcheck`] | `/livez`, `/readyz`, and the subcommand that queries `/readyz` |
//! | [`docs`] | `/openapi.json`, `/docs/` |
//! | [`policy_settings`] | TTLs of cache entries as settings |
//! | [`limits`] | bounds of all settings |
//! | [`cache_routes`] · [`cache_status`] | `/cache/…`, and the header that states the origin of a response |
//! | [`operations`] | access to `/events`, `/cache/…` and `/metrics` |
//! | [`outbox_routes`] | `/events` of a service that has an outbox |
//!
//! ```no_run
//! use runtime::{StandardRoutes, docs::Docs, health::Readiness, server, settings, telemetry};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     http: server::HttpSettings,
//!     log: telemetry::LogSettings,
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings: Settings = settings::load_from_env("[http]\nport = 8004\n[log]")?;
//! let telemetry = telemetry::init(&settings.log)?;
//! let shutdown = server::shutdown_on_signals()?;
//! let standard = StandardRoutes {
//!     readiness: Readiness::new(shutdown.clone()),
//!     metrics: telemetry.metrics().clone(),
//!     docs: Docs::new(&utoipa::openapi::OpenApi::default())?,
//! };
//! server::serve(settings.http.bind()?, &settings.http, shutdown, move |cfg| {
//!     standard.configure(cfg);
//!     // … and the routes of the service
//! })
//! .await?;
//! # Ok(())
//! # }
//! ```

pub mod cache_control;
mod cache_feed;
pub mod cache_routes;
pub mod cache_status;
pub mod conditions;
pub mod docs;
pub mod health;
pub mod healthcheck;
pub mod http_metrics;
pub mod limits;
pub mod operations;
pub mod outbox_routes;
pub mod policy_settings;
pub mod problem;
pub mod process;
mod redacted;
pub mod response;
pub mod response_middleware;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod validator;

use actix_web::web::ServiceConfig;

/// The routes that every service has in addition to its own.
#[derive(Debug, Clone)]
pub struct StandardRoutes {
    /// Serves `/readyz`; `/livez` needs nothing.
    pub readiness: health::Readiness,
    /// Serves `/metrics`.
    pub metrics: telemetry::Metrics,
    /// Serves `/openapi.json` and `/docs/`.
    pub docs: docs::Docs,
}

impl StandardRoutes {
    /// Mounts the routes.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        self.readiness.configure(cfg);
        self.metrics.configure(cfg);
        self.docs.configure(cfg);
    }
}
