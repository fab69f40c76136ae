//! One dependency: how to ask it, how long to wait, and what it said last.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

/// What one dependency said.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckReport {
    /// Whether it answered.
    #[serde(rename = "status")]
    pub outcome: CheckOutcome,
    /// How much it is needed.
    pub need: Requirement,
    /// How long it took to answer, or to be given up.
    pub millis: u64,
    /// Why it fails, where that is meant for everybody: the progress of a start, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// It answered.
    Ok,
    /// It answered with an error, or not at all.
    Failing,
    /// It did not answer within its limit.
    Late,
}

/// How much a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// Nothing can be served without it.
    Required,
    /// Requests are served without it, less well.
    Preferred,
}

pub(super) struct Check {
    pub(super) name: &'static str,
    need: Requirement,
    limit: Duration,
    is_public: bool,
    is_quiet: bool,
    ask: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
    was_failing: AtomicBool,
}

impl Check {
    pub(super) fn new<F, Fut, E>(name: &'static str, need: Requirement, limit: Duration, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let ask = Box::new(move || {
            let answer = check();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) }) as BoxFuture<'static, _>
        });
        Self { name, need, limit, is_public: false, is_quiet: false, ask, was_failing: AtomicBool::new(false) }
    }

    /// Its reasons may be sent to everybody.
    pub(super) fn public(self) -> Self {
        Self { is_public: true, ..self }
    }

    /// Its changes are logged elsewhere.
    pub(super) fn quiet(self) -> Self {
        Self { is_quiet: true, ..self }
    }

    pub(super) async fn ask(&self) -> CheckReport {
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
        CheckReport { outcome, need: self.need, millis, detail }
    }

    /// Probes come every few seconds; only the turns are news.
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
        f.debug_struct("Check").field("name", &self.name).field("need", &self.need).finish_non_exhaustive()
    }
}
