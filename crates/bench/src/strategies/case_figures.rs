//! The figures of one case, and the values computed from them.

use serde::{Deserialize, Serialize};

use super::latency::Latency;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CaseFigures {
    pub(super) name: String,
    /// Measured alone, one sample per round.
    pub(super) rounds: Vec<Sample>,
    /// Measured together with all other cases, one sample per round.
    pub(super) mixed: Vec<Mixed>,
    /// The stale-fill race, one set of trials per round.
    #[serde(default)]
    pub(super) races: Vec<Race>,
    /// The histograms of all rounds together.
    pub(super) pooled: Pooled,
}

/// The figures of a case alone, in one round. A figure that does not apply to the case is absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sample {
    pub(super) hit: Option<Latency>,
    pub(super) miss: Option<Latency>,
    pub(super) write: Option<Latency>,
    /// The first read after a write.
    pub(super) read_back: Option<Latency>,
    /// How late the load generator sent the requests of this sample.
    pub(super) late: Option<Latency>,
    /// The share of a core that each process used during the reads.
    pub(super) shares: Option<Shares>,
    /// The share of the first reads that showed the write.
    pub(super) read_back_fresh: Option<f64>,
    /// The cost in Redis of each read of an existing entry, of each read of a missing one, and of each read in a load
    /// with writes.
    pub(super) per_hit: Option<Cost>,
    pub(super) per_miss: Option<Cost>,
    pub(super) per_mixed: Option<Cost>,
    /// Memory in Redis per entry, with everything that belongs to it, in bytes.
    pub(super) entry_bytes: Option<f64>,
    /// Loads per 1,000 reads of a case without a cache, as Postgres counts them.
    pub(super) plain_loads: Option<f64>,
    /// Loads per 1,000 readers of a missing entry.
    pub(super) stampede_loads: Option<f64>,
    /// Reads per second in a closed loop, and those of the reference, measured a second before.
    pub(super) peak: Option<f64>,
    pub(super) peak_of_reference: Option<f64>,
    /// CPU time of the server per request at the peak, and that of the reference, in microseconds.
    pub(super) cpu: Option<f64>,
    pub(super) cpu_of_reference: Option<f64>,
}

/// Trials of the stale-fill race in one round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Race {
    pub(super) trials: u32,
    /// Entries that showed an old value when all traffic had ended.
    pub(super) stale: u32,
    /// For those that showed the last write later: milliseconds from its acknowledgement until then.
    pub(super) stale_ms: Vec<f64>,
    /// Entries that were still stale at the end of the watch time, which is in milliseconds.
    pub(super) never_ended: u32,
    pub(super) watched_ms: f64,
}

/// The cost of a read in Redis.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cost {
    pub(super) commands: f64,
    /// Bytes on the network, in both directions.
    pub(super) bytes: f64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shares {
    pub(super) server: f64,
    pub(super) load: f64,
    pub(super) redis: f64,
}

/// The figures of a case measured together with all others, in one round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Mixed {
    pub(super) reads: u64,
    pub(super) hit_ratio: f64,
    /// Loads as the server counts them, if it does.
    pub(super) loads: Option<u64>,
    pub(super) stale: u64,
    /// How long the versions that stale reads showed had been replaced.
    pub(super) staleness: Latency,
    pub(super) late: Latency,
}

/// The merged histograms of all rounds. A figure that does not apply to the case is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pooled {
    pub(super) hit: Option<Latency>,
    pub(super) miss: Option<Latency>,
    pub(super) write: Option<Latency>,
    pub(super) read_back: Option<Latency>,
    pub(super) late: Option<Latency>,
    pub(super) staleness: Option<Latency>,
}

/// Returns the figures of the case with this name, which is added if it is missing.
pub(super) fn of<'a>(cases: &'a mut Vec<CaseFigures>, name: &str) -> &'a mut CaseFigures {
    let at = cases.iter().position(|case| case.name == name).unwrap_or_else(|| {
        cases.push(CaseFigures { name: name.to_owned(), ..CaseFigures::default() });
        cases.len() - 1
    });
    &mut cases[at]
}

impl CaseFigures {
    /// Returns the spread of a figure of the case alone, over the rounds in which it was measured.
    pub(super) fn alone(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
        let numbers: Vec<f64> = self.rounds.iter().filter_map(figure).collect();
        (!numbers.is_empty()).then(|| Spread::of(numbers))
    }

    /// Returns the number of stale reads and of all reads, over all rounds.
    pub(super) fn stale(&self) -> (u64, u64) {
        self.mixed.iter().fold((0, 0), |(stale, reads), it| (stale + it.stale, reads + it.reads))
    }

    /// Returns the loads per 1,000 reads: from the mixed load, or, if they are not counted there, from the case alone.
    pub(super) fn loads_per_1000(&self) -> Option<f64> {
        let loads: Option<u64> = self.mixed.iter().map(|it| it.loads).sum();
        match loads {
            Some(loads) if !self.mixed.is_empty() => Some(1_000.0 * loads as f64 / self.stale().1.max(1) as f64),
            _ => self.alone(|it| it.plain_loads).map(|loads| loads.median),
        }
    }

    /// Returns the peaks as multiples of the reference's peak a second before.
    pub(super) fn peak_ratio(&self) -> Option<Spread> {
        self.alone(|it| Some(it.peak? / it.peak_of_reference?))
    }

    /// Returns the CPU time of a read at the peak, as a multiple of the reference's a second before.
    pub(super) fn cpu_ratio(&self) -> Option<Spread> {
        self.alone(|it| Some(it.cpu? / it.cpu_of_reference?))
    }

    /// Returns the trials of all rounds, or `None` if there were none.
    pub(super) fn race(&self) -> Option<Race> {
        let sum = |mut all: Race, race: &Race| {
            all.trials += race.trials;
            all.stale += race.stale;
            all.stale_ms.extend(&race.stale_ms);
            all.never_ended += race.never_ended;
            all.watched_ms = all.watched_ms.max(race.watched_ms);
            all
        };
        Some(self.races.iter().fold(Race::default(), sum)).filter(|all| all.trials > 0)
    }

    /// Merges the histograms of the rounds.
    pub(super) fn pool(&mut self) {
        let merge = |of: fn(&Sample) -> Option<&Latency>| Latency::merged(self.rounds.iter().filter_map(of));
        self.pooled = Pooled {
            hit: merge(|it| it.hit.as_ref()),
            miss: merge(|it| it.miss.as_ref()),
            write: merge(|it| it.write.as_ref()),
            read_back: merge(|it| it.read_back.as_ref()),
            late: merge(|it| it.late.as_ref()),
            staleness: Latency::merged(self.mixed.iter().map(|it| &it.staleness)),
        };
    }

    /// Adds every measured distribution with a unique name.
    pub(super) fn measured<'a>(&'a mut self, prefix: &str, all: &mut Vec<(String, &'a mut Latency)>) {
        for (round, sample) in (1..).zip(&mut self.rounds) {
            let phases = [
                ("hit", &mut sample.hit),
                ("miss", &mut sample.miss),
                ("write", &mut sample.write),
                ("read back", &mut sample.read_back),
                ("late", &mut sample.late),
            ];
            for (phase, latency) in phases {
                let named = |latency| (format!("{prefix}{phase}/{}/round {round}", self.name), latency);
                all.extend(latency.as_mut().map(named));
            }
        }
        for (round, mixed) in (1..).zip(&mut self.mixed) {
            all.push((format!("{prefix}staleness/{}/round {round}", self.name), &mut mixed.staleness));
            all.push((format!("{prefix}late, mixed/{}/round {round}", self.name), &mut mixed.late));
        }
    }
}

/// The median of some numbers, and their range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Computes the spread. For an even number of values, the median is the mean of the middle two.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self { median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), min: at(0), max: at(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_count_is_the_mean_of_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).median, 2.0);
    }
}
