//! Early refresh: a hit that refreshes its entry before it expires, so that no reader waits when a popular entry does.
//!
//! The refresh is that of a stale entry (`refresh.rs`): one task in one process, by compare-and-swap.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::entry::StoredEntry;
use crate::policy::EarlyRefresh;

/// How long the loads of a cache take: a moving average, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct LoadTime(AtomicU64);

impl LoadTime {
    /// Takes a load into account, with a weight of one eighth.
    pub(crate) fn record(&self, took: Duration) {
        let took = (took.as_micros() as u64).max(1);
        // Two loads that end at once may count as one.
        let average = self.0.load(Relaxed);
        self.0.store(if average == 0 { took } else { average - average / 8 + took / 8 }, Relaxed);
    }

    fn millis(&self) -> f64 {
        self.0.load(Relaxed) as f64 / 1_000.0
    }
}

impl EarlyRefresh {
    /// Returns whether a hit on this entry is to refresh it. `sample` returns a number that is uniform in 0..1.
    pub(crate) fn is_due(self, entry: &StoredEntry, now: u64, loads: &LoadTime, sample: impl FnOnce() -> f64) -> bool {
        let remaining = entry.ttl(now) as f64;
        match self {
            Self::Off => false,
            Self::Share(share) => remaining < entry.soft as f64 * share,
            Self::Probabilistic(factor) => {
                let scale = loads.millis() * factor;
                // Beyond that, the probability is below one in a billion.
                remaining < 21.0 * scale && remaining <= scale * -(1.0 - sample()).ln()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::entry::StoredValue;

    /// An entry that was stored at 0 and is fresh for 10 s.
    fn entry() -> StoredEntry {
        let raw = format!("V{} at=0 soft=10000 hard=20000 ver=- sum=- absent=0 tags=\nx", "0".repeat(32));
        match StoredValue::parse(Bytes::from(raw)) {
            StoredValue::Value(entry) => entry,
            _ => panic!("not a value"),
        }
    }

    fn loads(took: Duration) -> LoadTime {
        let loads = LoadTime::default();
        loads.record(took);
        loads
    }

    #[test]
    fn share_is_the_last_part_of_the_fresh_time() {
        let (entry, loads) = (entry(), LoadTime::default());
        let is_due = |early: EarlyRefresh, now| early.is_due(&entry, now, &loads, || panic!("nothing is random"));
        assert!(!is_due(EarlyRefresh::Off, 9_999));
        assert!(!is_due(EarlyRefresh::Share(0.2), 8_000));
        assert!(is_due(EarlyRefresh::Share(0.2), 8_001));
    }

    /// The probability at `remaining` is e^(-remaining / (load time × factor)).
    #[test]
    fn probability_of_a_refresh_grows_towards_the_end_and_with_the_load_time() {
        let entry = entry();
        let share = |took_ms: u64, factor: f64, remaining: u64| {
            let loads = loads(Duration::from_millis(took_ms));
            let early = EarlyRefresh::Probabilistic(factor);
            let due = |n: u32| early.is_due(&entry, 10_000 - remaining, &loads, || f64::from(n) / 1_000.0);
            (0..1_000).filter(|n| due(*n)).count()
        };
        assert_eq!(share(100, 1.0, 3_000), 0, "30 load times before the end");
        assert!((360..=376).contains(&share(100, 1.0, 100)), "1/e: {}", share(100, 1.0, 100));
        assert!((360..=376).contains(&share(50, 2.0, 100)), "the factor counts like the load time");
        assert!((900..=910).contains(&share(100, 1.0, 10)), "e^-0.1: {}", share(100, 1.0, 10));
        assert_eq!(share(100, 1.0, 0), 1_000);
    }

    #[test]
    fn load_time_follows_the_last_loads() {
        let loads = loads(Duration::from_millis(8));
        assert_eq!(loads.millis(), 8.0);
        (0..40).for_each(|_| loads.record(Duration::from_millis(80)));
        assert!((75.0..=80.0).contains(&loads.millis()), "{}", loads.millis());
    }
}
