//! The measured figures.

use std::collections::BTreeMap;

use client::times::Times;
use serde::Serialize;

/// The services, all of them together, and the bare subscriber on the channel.
pub(super) const PLACES: [&str; 6] = ["product-api", "cart", "search", "recommendation", "all four", "bare subscriber"];

/// For each of [`PLACES`], a list of delays per round.
pub(super) type Delays = BTreeMap<&'static str, Vec<Vec<f64>>>;

/// All figures of a benchmark.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) commit: String,
    pub(super) rate: u32,
    pub(super) probes: usize,
    pub(super) lost: usize,
    /// Discarded probes, by reason.
    pub(super) discarded: BTreeMap<&'static str, usize>,
    /// Milliseconds until the entry was gone, since the request was due, which is before COMMIT.
    pub(super) from_request: Delays,
    /// The same since the response arrived, which is after COMMIT; 0 if the entry was gone by then.
    pub(super) from_answer: Delays,
    pub(super) rows: u32,
    pub(super) sessions: u32,
    pub(super) rows_written: u64,
    /// Duration of these writes in seconds.
    pub(super) written_s: f64,
    /// For each second: the outbox rows that are not done, and the greatest lag of a consumer.
    pub(super) lag: Vec<(i64, f64)>,
    /// Seconds from the last row until no consumer lagged.
    pub(super) drained_s: f64,
}

impl Figures {
    /// Returns the number of rows that were written per second.
    pub(super) fn reached(&self) -> f64 {
        self.rows_written as f64 / self.written_s.max(f64::EPSILON)
    }
}

/// Returns a percentile of each round.
pub(super) fn spread(delays: &Delays, place: &str, percent: f64) -> Times {
    let rounds = delays.get(place).into_iter().flatten();
    rounds.map(|ms| ms.iter().copied().collect::<Times>().percentile(percent)).collect()
}
