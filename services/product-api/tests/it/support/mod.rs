//! The fixtures of the tests: stores, the service as its users run it, and access to its internals.

mod api;
mod ledger;
mod stores;
mod stream;
mod workload;

use std::sync::LazyLock;

use contract::Staleness;
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use api::{Api, Metrics};
pub(crate) use contract::STRATEGY_NAMES as STRATEGIES;
pub(crate) use ledger::Ledger;
pub(crate) use stores::{Stores, started, started_and_published, started_at_head};
pub(crate) use stream::{STREAM, seq, stream_of};
pub(crate) use testkit::SOON;
pub(crate) use testkit::http::{Service, TestResponse};
pub(crate) use workload::{Load, Workload};

/// The strategies that guarantee fresh reads after an acknowledged write.
pub(crate) static FRESH: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let fresh = contract::STRATEGIES.into_iter().filter(|strategy| strategy.own == Staleness::Never);
    fresh.map(|strategy| strategy.name).collect()
});

/// Limits tests that load the machine or measure time to two at once, on any number of cores, so that they do not
/// affect each other's measurements.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    static TURNS: Semaphore = Semaphore::const_new(2);
    TURNS.acquire().await.expect("it is never closed")
}
