#![doc = include_str!("../README.md")]

mod cache_feed;
pub mod cache_routes;
pub mod caching;
pub mod consistency;
pub mod docs;
pub mod events;
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
mod request_span;
pub mod response;
pub mod response_middleware;
mod run;
pub mod server;
pub mod settings;
pub mod telemetry;

use actix_web::web::ServiceConfig;

pub use run::{Service, StartContext, shut_down_cache};

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
