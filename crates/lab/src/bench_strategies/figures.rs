//! What was measured, round by round.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::bench::Spread;

/// Everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Where and when.
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    pub(super) cases: Vec<CaseFigures>,
    pub(super) tags: Vec<TagFigures>,
    pub(super) entries: Vec<EntryFigures>,
    pub(super) processes: Vec<ProcessFigures>,
}

/// What it was measured on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) date: String,
    pub(super) commit: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) redis: String,
    pub(super) postgres: String,
    pub(super) release: bool,
}

/// One case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CaseFigures {
    pub(super) name: String,
    /// Alone, one sample a round.
    pub(super) rounds: Vec<Sample>,
    /// Together with all others, one sample a round.
    pub(super) mixed: Vec<Mixed>,
}

/// A case alone, in one round. What a case does not have is absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) hit: Option<Latency>,
    pub(super) miss: Option<Latency>,
    pub(super) write: Option<Latency>,
    /// The first read after a write.
    pub(super) read_back: Option<Latency>,
    /// The share of those that showed the write.
    pub(super) read_back_fresh: Option<f64>,
    /// Redis commands for each read of an entry that is there, and bytes on the wire.
    pub(super) commands_per_hit: Option<f64>,
    pub(super) bytes_per_hit: Option<f64>,
    /// Memory of Redis for each entry with all that belongs to it, in bytes.
    pub(super) entry_bytes: Option<f64>,
    /// Loads for 1,000 readers of a missing entry.
    pub(super) stampede_loads: Option<f64>,
    /// Hits a second, in a closed loop.
    pub(super) peak: Option<f64>,
}

/// A case among all others, in one round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Mixed {
    pub(super) reads: u64,
    pub(super) hit_ratio: f64,
    pub(super) loads_per_1000: f64,
    pub(super) stale_share: f64,
    /// How long what stale reads showed had been replaced.
    pub(super) staleness: Latency,
}

/// A distribution of times in milliseconds, and its histogram.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
    /// Microseconds, and how often; left out of what is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) histogram: Vec<(u64, u64)>,
}

/// Invalidating a tag.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TagFigures {
    pub(super) members: usize,
    /// Milliseconds, one each round: ours, and `SMEMBERS` with one `UNLINK` of all.
    pub(super) took: Vec<f64>,
    pub(super) naive_took: Vec<f64>,
    /// The longest that another command had to wait meanwhile, in milliseconds.
    pub(super) stall: Vec<f64>,
    pub(super) naive_stall: Vec<f64>,
}

/// With so many entries in Redis, in microseconds, in a closed loop of one, without HTTP.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EntryFigures {
    pub(super) entries: usize,
    pub(super) get: Latency,
    pub(super) hit: Latency,
    pub(super) fill: Latency,
    pub(super) invalidate: Latency,
    /// Memory of Redis for each entry, in bytes.
    pub(super) entry_bytes: f64,
}

/// With so many processes of the product API on all cores.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ProcessFigures {
    pub(super) processes: usize,
    /// Hits a second of all together, one each round.
    pub(super) peak: Vec<f64>,
    /// Loads for 1,000 readers of a missing entry, spread over all processes.
    pub(super) stampede_loads: Vec<f64>,
}

impl Figures {
    pub(super) fn new(machine: Machine, rounds: u32) -> Self {
        Self { machine, rounds, cases: vec![], tags: vec![], entries: vec![], processes: vec![] }
    }

    /// The figures of this case.
    pub(super) fn of(&mut self, name: &str) -> &mut CaseFigures {
        let at = self.cases.iter().position(|case| case.name == name).unwrap_or_else(|| {
            self.cases.push(CaseFigures { name: name.to_owned(), rounds: vec![], mixed: vec![] });
            self.cases.len() - 1
        });
        &mut self.cases[at]
    }

    /// Without the raw histograms.
    pub(super) fn without_histograms(&self) -> Self {
        let mut short = self.clone();
        for case in &mut short.cases {
            for sample in &mut case.rounds {
                for latency in [&mut sample.hit, &mut sample.miss, &mut sample.write, &mut sample.read_back] {
                    latency.iter_mut().for_each(|latency| latency.histogram.clear());
                }
            }
            case.mixed.iter_mut().for_each(|mixed| mixed.staleness.histogram.clear());
        }
        for at in &mut short.entries {
            for latency in [&mut at.get, &mut at.hit, &mut at.fill, &mut at.invalidate] {
                latency.histogram.clear();
            }
        }
        short
    }
}

impl CaseFigures {
    /// A figure of the case alone over the rounds in which it was measured.
    pub(super) fn alone(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
        spread(self.rounds.iter().filter_map(figure))
    }

    /// A figure of the case among the others.
    pub(super) fn among_others(&self, figure: impl Fn(&Mixed) -> f64) -> Option<Spread> {
        spread(self.mixed.iter().map(figure))
    }
}

fn spread(numbers: impl Iterator<Item = f64>) -> Option<Spread> {
    let numbers: Vec<f64> = numbers.collect();
    (!numbers.is_empty()).then(|| Spread::of(numbers))
}

impl Latency {
    /// Of a histogram of microseconds.
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        Self {
            p50: ms(histogram.value_at_quantile(0.5)),
            p99: ms(histogram.value_at_quantile(0.99)),
            max: ms(histogram.max()),
            histogram: histogram.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())).collect(),
        }
    }
}
