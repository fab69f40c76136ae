//! The check of one dependency: the query, its time limit, and its last result.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

/// The result of one dependency's check.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckReport {
    /// Whether the dependency responded.
    #[serde(rename = "status")]
    pub outcome: CheckOutcome,
    /// Whether the dependency is required or preferred.
    pub need: Requirement,
    /// The duration of the check, up to the response or the timeout.
    pub millis: u64,
    /// The reason of the failure, if it is public, such as the progress of a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// The dependency responded.
    Ok,
    /// The dependency responded with an error, or did not respond.
    Failing,
    /// The dependency did not respond within its time limit.
    Late,
}

/// How much a service depends on a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// No request can be served without it.
    Required,
    /// Requests are served without it, with reduced quality.
    Preferred,
}

/// The check of one dependency.
pub struct Check {
    pub(super) name: &'static str,
    limit: Duration,
    is_public: bool,
    is_quiet: bool,
    ask: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
    was_failing: AtomicBool,
}

impl Check {
    /// Creates a check that asks a dependency, within the time limit. The failure reason is only logged.
    pub fn new<F, Fut, E>(name: &'static str, limit: Duration, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let ask = Box::new(move || {
            let answer = check();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) }) as BoxFuture<'static, _>
        });
        Self { name, limit, is_public: false, is_quiet: false, ask, was_failing: AtomicBool::new(false) }
    }

    /// Creates a check of what this process knows: it needs no time, and its failure reason is public.
    pub fn of_state<E: fmt::Display>(
        name: &'static str, state: impl Fn() -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        let check = move || std::future::ready(state().map_err(|error| error.to_string()));
        Self::new(name, Duration::MAX, check).public()
    }

    /// Marks the failure reasons as public.
    pub(super) fn public(self) -> Self {
        Self { is_public: true, ..self }
    }

    /// Disables the log messages, because the changes are logged elsewhere.
    pub(super) fn quiet(self) -> Self {
        Self { is_quiet: true, ..self }
    }

    pub(super) async fn ask(&self, need: Requirement) -> CheckReport {
        let start = Instant::now();
        let (outcome, reason) = match timeout(self.limit, (self.ask)()).await {
            Ok(Ok(())) => (CheckOutcome::Ok, String::new()),
            Ok(Err(reason)) => (CheckOutcome::Failing, reason),
            Err(_) => (CheckOutcome::Late, format!("no answer within {:?}", self.limit)),
        };
        if !self.is_quiet {
            self.log_change(outcome, &reason);
        }
        let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let detail = Some(reason).filter(|_| self.is_public && outcome == CheckOutcome::Failing);
        CheckReport { outcome, need, millis, detail }
    }

    /// Logs only changes, because probes run every few seconds.
    fn log_change(&self, outcome: CheckOutcome, reason: &str) {
        let failing = outcome != CheckOutcome::Ok;
        match (self.was_failing.swap(failing, Ordering::Relaxed), failing) {
            (false, true) => tracing::warn!(health.check = self.name, "{} fails its health check: {reason}", self.name),
            (true, false) => tracing::info!(health.check = self.name, "{} passes its health check again", self.name),
            _ => {}
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
