//! The routes that every service has in addition to its own.

use actix_web::web::ServiceConfig;

use crate::docs::Docs;
use crate::health::Readiness;
use crate::telemetry::Metrics;

/// Readiness, metrics, and the description of the API.
#[derive(Debug, Clone)]
pub struct StandardRoutes {
    /// Serves `/readyz`; `/livez` needs nothing.
    pub readiness: Readiness,
    /// Serves `/metrics`.
    pub metrics: Metrics,
    /// Serves `/openapi.json` and `/docs/`.
    pub docs: Docs,
}

impl StandardRoutes {
    /// Mounts the routes.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        self.readiness.configure(cfg);
        self.metrics.configure(cfg);
        self.docs.configure(cfg);
    }
}
