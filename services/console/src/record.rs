//! The records of `/live`, and their JSON: `{"kind":"read","at_ms":…,…}`.

use chrono::Utc;
use client::Source;
use serde::Serialize;
use serde_json::Value;

use crate::faults::FaultState;

/// Returns the time in milliseconds since 1970. All processes of the stack share the clock of this machine.
pub(crate) fn now_ms() -> u64 {
    Utc::now().timestamp_millis().unsigned_abs()
}

/// A record of `/live`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Record {
    /// A stream begins. Without `resumed`, the page starts anew.
    Hello { at_ms: u64, resumed: bool },
    /// Whether a process answers, and what it says of itself.
    Service(ServiceRecord),
    /// The seven products as the database has them.
    Truth { at_ms: u64, rows: Vec<TruthRow> },
    /// What the caches hold of the seven products.
    Board { at_ms: u64, cells: Vec<Cell> },
    /// A write that the console has made.
    Write(WriteRecord),
    /// A record of a service's own feed.
    Feed { service: &'static str, record: Value },
    /// An event that the relay has published.
    Published { at_ms: u64, event: Value },
    /// A read of the console.
    Read(ReadRecord),
    /// Figures about the reads of the last second.
    Figures { at_ms: u64, strategies: Vec<Figures> },
    /// The state of the load.
    Load(LoadRecord),
    /// The state of all faults.
    Faults { faults: Vec<FaultState> },
    /// An experiment that runs or has ended.
    Task(TaskRecord),
    /// A sentence for the log.
    Note { at_ms: u64, text: String },
}

/// The state of a process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ServiceRecord {
    pub(crate) at_ms: u64,
    pub(crate) name: &'static str,
    pub(crate) up: bool,
    /// Why it is not up.
    pub(crate) detail: Option<String>,
    /// `ready`, `degraded`, `unready` or `draining`, as `/readyz` says.
    pub(crate) readiness: Option<String>,
    /// The checks of `/readyz` that fail.
    pub(crate) failing: Vec<String>,
}

/// A row of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TruthRow {
    pub(crate) strategy: &'static str,
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) price_cents: i64,
    pub(crate) updated_at_ms: u64,
    pub(crate) category: Category,
}

/// The category of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Category {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// What a cache holds of a product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Cell {
    pub(crate) strategy: &'static str,
    pub(crate) column: Column,
    pub(crate) state: CellState,
    pub(crate) version: Option<i64>,
    pub(crate) price_cents: Option<i64>,
    /// Remaining freshness in ms; negative after the soft TTL.
    pub(crate) ttl_ms: Option<i64>,
    pub(crate) expires_at_ms: Option<u64>,
    /// When the oldest version that the cache lacks was committed.
    pub(crate) stale_since_ms: Option<u64>,
    /// How long the cache was stale, once it is no longer.
    pub(crate) stale_for_ms: Option<u64>,
    pub(crate) detail: Option<&'static str>,
}

/// A place that holds copies of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Column {
    #[serde(rename = "near-1")]
    Near1,
    #[serde(rename = "near-2")]
    Near2,
    Redis,
    Cart,
    Search,
    Recommendation,
}

/// The state of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CellState {
    /// The copy shows the latest committed version.
    Fresh,
    /// A later version is committed.
    Stale,
    /// There is no copy.
    Absent,
    /// A process loads or writes the copy.
    Loading,
    /// The copy is past its soft TTL, and is replaced in the background.
    Refreshing,
    /// The cache does not answer.
    Unknown,
}

/// A write and what became of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WriteRecord {
    pub(crate) at_ms: u64,
    pub(crate) id: String,
    pub(crate) cause: &'static str,
    pub(crate) strategy: Option<&'static str>,
    pub(crate) product_id: Option<i64>,
    pub(crate) version: Option<i64>,
    pub(crate) commit_ms: Option<u64>,
    pub(crate) acknowledged_ms: u64,
    pub(crate) status: u16,
    /// The effect on the caches, as `Cache-Status` says: `invalidated`, `deferred`, …
    pub(crate) detail: Option<String>,
    pub(crate) token: Option<String>,
}

/// A read and how it was served.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReadRecord {
    pub(crate) at_ms: u64,
    pub(crate) strategy: &'static str,
    pub(crate) service: &'static str,
    pub(crate) version: Option<i64>,
    pub(crate) ms: f64,
    pub(crate) source: ReadSource,
    pub(crate) cache_status: String,
    /// For how long the version that was read had been replaced.
    pub(crate) stale_ms: u64,
}

/// Where the response to a read came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadSource {
    Near,
    Redis,
    Database,
    Stale,
    Bypass,
    Error,
}

impl From<Source> for ReadSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Hit => Self::Redis,
            Source::Near => Self::Near,
            Source::Stale => Self::Stale,
            Source::Miss | Source::Collapsed | Source::Uncached => Self::Database,
            Source::Bypass => Self::Bypass,
        }
    }
}

/// The reads of one strategy in one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) strategy: &'static str,
    pub(crate) reads: u64,
    pub(crate) near_hits: u64,
    pub(crate) redis_hits: u64,
    pub(crate) stale_hits: u64,
    pub(crate) misses: u64,
    pub(crate) bypasses: u64,
    pub(crate) errors: u64,
    /// Reads that went to the database.
    pub(crate) loads: u64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub(crate) max_stale_ms: Option<f64>,
}

/// The load: what was requested, and what is achieved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct LoadRecord {
    pub(crate) running: bool,
    pub(crate) rate: f64,
    pub(crate) mix: f64,
    pub(crate) skew: f64,
    pub(crate) achieved: f64,
    pub(crate) failures: u64,
}

/// An experiment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TaskRecord {
    pub(crate) name: &'static str,
    pub(crate) state: TaskState,
    pub(crate) progress: f64,
    pub(crate) result: Option<Value>,
    pub(crate) error: Option<String>,
}

/// The state of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskState {
    Running,
    Done,
    Failed,
}
