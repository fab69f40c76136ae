//! The parts of the full page besides the tables of strategies: the method, cold starts, the raw histograms.

use client::report::thousands;

use super::cells::{row, time};
use super::figures::ColdStart;

pub(super) const METHOD: &str = "## How it is measured

* **The race**: a missing entry, 16 readers that read without a pause and 10 writes back to back, then quiet. Counted are the entries \
that show an old value when all traffic has ended, and for how long the longest of them did: `>` means that it was still stale when \
it had been read for that long. Naive cache-aside is as fast as ours, and always fresh under the ordinary load of *stale reads*; \
this is what it leaves behind, until its TTL of 300 s.
* **Stale reads** began after a write through the same strategy had been acknowledged, and showed what was there before. Counted \
under 120 requests a second to each case, all at once, 5 % of them writes, of 200 products each (Zipf, 0.9), for 25 s a round: longer \
than the TTL of strategy 1. *Read at once* is the writer's own next request.
* **Latency** is that of an open loop (1,000 hits, 300 misses, 150 writes a second, a Poisson process) over connections that are open \
already, from when a request was due; the quantiles are those of all rounds' histograms together. Hit latencies include only \
responses marked `hit`. The server has one worker on one core; load, Redis and Postgres have the other.
* **Peaks** and CPU time per hit are those of a closed loop with 64 connections, divided by what the bare `GET` reached and used a \
second before; in brackets the least and the greatest round.
* **Loads per 1,000 readers of one missing entry**: all ask while the table is locked, so that none finds what another has filled.
* **Commands and bytes** are Redis' own counters, to which a command within a script is one as well. The background sweep of tag sets \
rests meanwhile, because its commands belong to no read.
* **Memory** is what `MEMORY USAGE` says of an entry's key, with the entry's share of its tag sets. The fence table has a field for \
each tag that was invalidated lately; it belongs to no entry and is not counted.
* *No store at all* and *bare `GET`* are [actix handlers](../../crates/bench/src/bin/baseline.rs) that do nothing else, with bodies \
like the others'. *No cache* are the product API's plain routes, whose reads from the database stand under *miss*. *Naive \
cache-aside* is what is usually written by hand, with as many connections to Postgres.

";

pub(super) const RAW: &str = "## The raw histograms

[histograms.json](histograms.json) has one of every distribution above, and of how late the load generator was, by name: \
`hit/ttl/round 1`, `100000 entries/miss/tags/round 2`. Each is a list of pairs: how many microseconds more than the pair \
before (from 0 for the first), and how many requests took so long. `[210,3,2,1]` is three of 210 µs and one of 212 µs. \
They are those of an HdrHistogram with two significant digits, so a time is off by less than 1 %. In Python:

```python
import itertools, json
pairs = json.load(open('docs/bench/histograms.json'))['hit/ttl/round 1']
times = list(zip(itertools.accumulate(pairs[0::2]), pairs[1::2]))
```

The quantiles in [figures.json](figures.json) are made from them; a test does it again and compares.
";

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
