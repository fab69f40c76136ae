//! What the tests stand on: stores of their own, the service as its users run it, and ways to look behind it.

mod api;
mod detour;
mod ledger;
mod metrics;
mod stores;
mod stream;
mod workload;

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use api::Api;
pub(crate) use detour::{Answers, Detour};
pub(crate) use ledger::Ledger;
pub(crate) use metrics::Metrics;
pub(crate) use stores::Stores;
pub(crate) use stream::{STREAM, seq};
pub(crate) use testkit::http::{Service, TestResponse};
pub(crate) use workload::{Load, Workload};

/// How long a test waits for what should happen at once: long enough for a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// All seven, as they stand in paths and keys.
pub(crate) const STRATEGIES: [&str; 7] = ["ttl", "explicit", "writethrough", "events", "swr", "tags", "production"];

/// Those that promise fresh reads after an acknowledged write.
pub(crate) const FRESH: [&str; 4] = ["explicit", "writethrough", "tags", "production"];

/// Tests that load the machine or measure time take turns, two at once: however many cores there are, they do not
/// measure one another.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    static TURNS: Semaphore = Semaphore::const_new(2);
    TURNS.acquire().await.expect("it is never closed")
}
