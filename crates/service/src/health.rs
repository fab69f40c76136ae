//! `/livez` and `/readyz`: liveness and readiness of the process.
//!
//! A dependency is *required* (without it the response is 503) or *preferred* (without it the service is degraded,
//! reports that, and stays at 200). While the process drains, `/readyz` returns 503 without running a check. The error
//! of a failing check is logged when the result changes, and is not sent.

mod check;
mod postgres;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::{HttpResponse, web};
use cache::CacheClient;
use cache::health::Health;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::response_middleware::caching::NO_STORE;
pub use check::{Check, CheckOutcome, CheckReport, Requirement};

pub(crate) const READYZ: &str = "/readyz";

/// The conditions for this process to receive requests.
#[derive(Debug, Clone)]
pub struct Readiness {
    shutdown: CancellationToken,
    checks: Vec<(Requirement, Arc<Check>)>,
    /// The latest results, and when the checks were started.
    latest: Arc<Mutex<Option<(Instant, Checks)>>>,
}

type Checks = BTreeMap<&'static str, CheckReport>;

/// The response of `/readyz`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Report {
    /// The overall status.
    pub status: Status,
    /// The result of each dependency, by name.
    pub checks: BTreeMap<&'static str, CheckReport>,
}

/// The overall readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All dependencies respond.
    Ready,
    /// A preferred dependency fails; requests are served nevertheless.
    Degraded,
    /// A required dependency fails.
    Unready,
    /// The process is shutting down.
    Draining,
}

impl Readiness {
    /// Creates a readiness without dependencies, which is ready until `shutdown` is cancelled.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, checks: Vec::new(), latest: Arc::default() }
    }

    /// Adds a dependency without which no request can be served.
    #[must_use]
    pub fn requires(self, check: Check) -> Self {
        self.with(Requirement::Required, check)
    }

    /// Adds a dependency whose failure degrades the service, but does not prevent it from serving requests.
    #[must_use]
    pub fn prefers(self, check: Check) -> Self {
        self.with(Requirement::Preferred, check)
    }

    /// Adds the cache's deferred invalidations as `invalidations`: until they succeed, the affected entries are loaded
    /// without the cache.
    #[must_use]
    pub fn prefers_invalidations(self, cache: &CacheClient) -> Self {
        let cache = cache.clone();
        self.prefers(Check::of_state("invalidations", move || match cache.pending_invalidations() {
            0 => Ok(()),
            pending => Err(format!("invalidations are deferred until Redis accepts them; entries named: {pending}")),
        }))
    }

    /// Adds the cache's Redis as `redis`, with a public failure reason. Without Redis, reads go to the source of the
    /// loaders.
    #[must_use]
    pub fn prefers_redis(self, cache: &CacheClient) -> Self {
        let cache = cache.clone();
        let check = Check::of_state("redis", move || match cache.health() {
            Health::Up => Ok(()),
            Health::Degraded(reason) | Health::Down(reason) => Err(reason),
        });
        // The cache itself logs the start and the end of each state.
        self.prefers(check.quiet())
    }

    fn with(mut self, need: Requirement, check: Check) -> Self {
        self.checks.push((need, Arc::new(check)));
        self
    }

    /// Runs all checks concurrently, each within its time limit. Callers share results whose checks were started after
    /// the callers arrived, so many concurrent callers do not check a dependency more often than two callers do.
    pub async fn report(&self) -> Report {
        if self.shutdown.is_cancelled() {
            return Report { status: Status::Draining, checks: BTreeMap::new() };
        }
        let checks = self.ask().await;
        let failing = |need| checks.values().any(|check| check.need == need && check.outcome != CheckOutcome::Ok);
        let status = match (failing(Requirement::Required), failing(Requirement::Preferred)) {
            (true, _) => Status::Unready,
            (false, true) => Status::Degraded,
            (false, false) => Status::Ready,
        };
        Report { status, checks }
    }

    async fn ask(&self) -> Checks {
        let came = Instant::now();
        let mut latest = self.latest.lock().await;
        if let Some((_, checks)) = latest.as_ref().filter(|(asked, _)| *asked >= came) {
            return checks.clone();
        }
        let asked = Instant::now();
        let answers = join_all(self.checks.iter().map(|(need, check)| check.ask(*need))).await;
        let checks: Checks = self.checks.iter().map(|(_, check)| check.name).zip(answers).collect();
        *latest = Some((asked, checks.clone()));
        checks
    }

    pub(crate) fn configure(&self, cfg: &mut web::ServiceConfig) {
        let readiness = self.clone();
        cfg.service(web::resource("/livez").route(web::get().to(livez))).service(web::resource(READYZ).route(
            web::get().to(move || {
                let readiness = readiness.clone();
                async move { readyz(&readiness.report().await) }
            }),
        ));
    }
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, NO_STORE))
        .content_type("application/json")
        .body(r#"{"status":"alive"}"#)
}

fn readyz(report: &Report) -> HttpResponse {
    let mut response = match report.status {
        Status::Ready | Status::Degraded => HttpResponse::Ok(),
        Status::Unready | Status::Draining => {
            let mut response = HttpResponse::ServiceUnavailable();
            response.insert_header((RETRY_AFTER, "1"));
            response
        }
    };
    response.insert_header((CACHE_CONTROL, NO_STORE)).json(report)
}
