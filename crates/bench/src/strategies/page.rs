//! The parts of the full page besides the tables of strategies: the method, cold starts, the raw histograms.

use client::report::thousands;

use super::cells::{row, time};
use super::figures::ColdStart;

pub(super) const METHOD: &str = include_str!("method.txt");
pub(super) const RAW: &str = include_str!("raw.txt");

/// Returns an empty text if there were no cold starts.
pub(super) fn cold_starts(all: &[ColdStart]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let mut text = format!(
        "## Cold start\n\nRedis loses everything while an open loop reads (Zipf, 0.9) as much as the database can carry, and twice as much. The database answers through a proxy with a delay of 20 ms; through it, reads without a cache reached {:.0} a second. Recovered: from then on every 100 ms had at least 95 % of the hit ratio and at most twice the p99 of before (and 10 ms). One value for each repetition.\n\n| | load, × database | recovered after | database loads | reads without an answer | read p99 before, ms | read p99 after, ms |\n|---|---:|---|---|---|---|---|\n",
        first.capacity
    );
    for it in all {
        let recovered = it.recovered_ms.iter().map(|ms| ms.map_or("not".to_owned(), time)).collect::<Vec<_>>();
        let counts = |all: &[u64]| all.iter().map(|it| thousands(*it)).collect::<Vec<_>>().join(", ");
        let ms = |all: &[f64]| all.iter().map(|it| format!("{it:.1}")).collect::<Vec<_>>().join(", ");
        let cells = [
            Some(format!("{:.0}", it.load)),
            Some(recovered.join(", ")),
            Some(counts(&it.loads)),
            Some(counts(&it.failed)),
            Some(ms(&it.p99_before)),
            Some(ms(&it.p99_after)),
        ];
        row(&mut text, &it.name, cells);
    }
    text.push('\n');
    text
}
