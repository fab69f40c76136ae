//! The console's own reads: a few of each strategy in a second, through every process of the product API in turn.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use client::Source;
use client::times::millis;
use client::traffic::{SOURCES, TrafficResults};
use contract::STRATEGY_NAMES;
use futures_util::future::join_all;
use serde::Deserialize;

use crate::board::Board;
use crate::faults::{Faults, Symptom};
use crate::hub::Hub;
use crate::record::{Figures, ReadRecord, ReadSource, Record, TruthRow, now_ms};
use crate::upstream::{Upstream, Upstreams};

/// The interval between two reads of a strategy.
const EVERY: Duration = Duration::from_millis(500);
/// A read that takes longer shows that the database is slow.
const SLOW: Duration = Duration::from_millis(150);
/// A read that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(3);

/// The reads of each strategy since the last figures: by the reader, and by the load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<[TrafficResults; STRATEGY_NAMES.len()]>>);

impl Tally {
    pub(crate) fn add(&self, strategy: usize, more: &TrafficResults) {
        self.with(|all| all[strategy].add(more));
    }

    fn with<T>(&self, change: impl FnOnce(&mut [TrafficResults; STRATEGY_NAMES.len()]) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the figures since the last call.
    fn take(&self) -> Vec<Figures> {
        let taken = self.with(std::mem::take);
        STRATEGY_NAMES.into_iter().zip(&taken).map(|(strategy, seen)| figures(strategy, seen)).collect()
    }
}

fn figures(strategy: &'static str, seen: &TrafficResults) -> Figures {
    let from = |source| seen.from(source).len();
    let (misses, bypasses) = (from(Source::Miss) + from(Source::Collapsed), from(Source::Bypass));
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let at = |quantile| (!seen.reads.is_empty()).then(|| ms(seen.reads.value_at_quantile(quantile)));
    Figures {
        strategy,
        reads: SOURCES.into_iter().map(from).sum(),
        near_hits: from(Source::Near),
        redis_hits: from(Source::Hit),
        stale_hits: from(Source::Stale),
        misses,
        bypasses,
        errors: seen.failed,
        loads: from(Source::Miss) + bypasses,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        max_stale_ms: (!seen.reads.is_empty()).then(|| if seen.stale > 0 { ms(seen.staleness.max()) } else { 0.0 }),
    }
}

/// Publishes the figures of each second, as long as a page is open.
pub(crate) async fn publish_figures(hub: Hub, tally: Tally) {
    hub.while_watched(|| publish(&hub, &tally)).await;
}

async fn publish(hub: &Hub, tally: &Tally) {
    tally.take();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        hub.emit(&Record::Figures { at_ms: now_ms(), strategies: tally.take() });
    }
}

/// The reader, with what it needs.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) hub: Hub,
    pub(crate) board: Board,
    pub(crate) upstreams: Upstreams,
    pub(crate) tally: Tally,
    pub(crate) faults: Faults,
}

impl Reader {
    /// Reads the seven products again and again, as long as a page is open.
    pub(crate) async fn run(self) {
        self.hub.while_watched(|| self.read_all()).await;
    }

    async fn read_all(&self) {
        let processes: Vec<&Upstream> = self.upstreams.product_apis().collect();
        for process in processes.iter().cycle() {
            let rows = self.board.rows();
            let reads = rows.iter().map(|row| read(&self.board, &self.upstreams, process, row));
            for (seen, record) in join_all(reads).await {
                let strategy = STRATEGY_NAMES.iter().position(|name| *name == record.strategy).unwrap_or(0);
                self.tally.add(strategy, &seen);
                if record.source == ReadSource::Bypass {
                    self.faults.saw(Symptom::Bypass);
                }
                if record.ms > millis(SLOW) {
                    self.faults.saw(Symptom::SlowRead);
                }
                self.hub.emit(&Record::Read(record));
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: i64,
}

async fn read(
    board: &Board, upstreams: &Upstreams, process: &Upstream, row: &TruthRow,
) -> (TrafficResults, ReadRecord) {
    let (at_ms, began) = (now_ms(), Instant::now());
    let request = upstreams.get(process, &format!("/products/{}/{}", row.strategy, row.id)).timeout(LIMIT);
    let answered = async {
        let answer = request.send().await?.error_for_status()?;
        let status = client::cache_status(answer.headers()).to_owned();
        Ok::<_, reqwest::Error>((status, answer.json::<Versioned>().await?.version))
    };
    let answered = answered.await;
    let took = began.elapsed();
    let mut seen = TrafficResults::default();
    let micros = client::times::micros(took);
    let mut record = ReadRecord {
        at_ms,
        strategy: row.strategy,
        service: process.name,
        version: None,
        ms: millis(took),
        source: ReadSource::Error,
        cache_status: String::new(),
        stale_ms: 0,
    };
    // The histograms resize themselves, so recording cannot fail.
    let _ = seen.reads.record(micros);
    match answered {
        Ok((status, version)) => {
            let source = Source::parse(&status);
            if let Some(at) = SOURCES.iter().position(|it| *it == source) {
                let _ = seen.sources[at].record(micros);
            }
            record.stale_ms = board.stale_for(row.id, version, at_ms);
            if record.stale_ms > 0 {
                seen.stale = 1;
                let _ = seen.staleness.record(record.stale_ms * 1_000);
            }
            (record.version, record.source, record.cache_status) = (Some(version), source.into(), status);
        }
        Err(_) => seen.failed = 1,
    }
    (seen, record)
}
