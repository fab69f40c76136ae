//! The tables of the README, and those of the full page.

use std::fmt::Write as _;

use client::report::thousands;

use super::case_figures::{CaseFigures, Cost, Pooled, Race, Sample, Shares, Spread};
use super::cells::{PHASES, percent, picture, row, share_of_stale, show, time};
use super::figures::{ColdStart, Figures};
use super::latency::Latency;
use super::reliability::circumstances;
use super::scaling;

/// The markers of the block in the README.
pub(super) const BEGIN: &str = "<!-- made by `make bench`; a test compares it with docs/bench/figures.json -->";
pub(super) const END: &str = "<!-- end of what `make bench` made -->";

pub(super) fn block(figures: &Figures) -> String {
    format!("{BEGIN}\n\n{}\n{}\n\n{END}", summary(figures), circumstances(figures))
}

/// Returns the few figures on which a choice depends most.
fn summary(figures: &Figures) -> String {
    let mut text = String::from(
        "| | still stale after a race | stale reads, for how long at most | hit / miss / write, p50 ms | CPU per hit, × bare `GET` | database loads per 1,000 reads |\n|---|---|---|---|---|---|\n",
    );
    for case in figures.cases.iter().filter(|case| case.name != "constant") {
        let p50 = |latency: &Option<Latency>| latency.as_ref().map_or("–".to_owned(), |it| format!("{:.2}", it.p50));
        let stale = match (case.mixed.is_empty(), &case.pooled.staleness) {
            (true, _) => None,
            (false, None) => Some("0".to_owned()),
            (false, Some(staleness)) => Some(format!("{}, {}", share_of_stale(case.stale()), time(staleness.max))),
        };
        let all = &case.pooled;
        let cells = [
            case.race().map(|race| raced(&race)),
            stale,
            Some([&all.hit, &all.miss, &all.write].map(p50).join(" / ")),
            case.cpu_ratio().map(|ratio| show(Some(ratio), 2)),
            case.loads_per_1000().map(|loads| format!("{loads:.0}")),
        ];
        row(&mut text, &case.name, cells);
    }
    text
}

/// Formats `29 of 200, > 12 s`: the entries that were stale when all traffic had ended, and the longest staleness.
fn raced(race: &Race) -> String {
    let count = format!("{} of {}", race.stale, thousands(race.trials.into()));
    match race.stale {
        0 => count,
        _ if race.never_ended > 0 => format!("{count}, > {}", time(race.watched_ms)),
        _ => format!("{count}, {}", time(race.stale_ms.iter().copied().fold(0.0, f64::max))),
    }
}

/// Returns the full page, with the spread over the rounds.
pub(super) fn markdown(figures: &Figures) -> String {
    let mut text =
        format!("# Benchmark of the cache strategies\n\n{}\n\n{}\n", circumstances(figures), strategies(figures));
    text.push_str(include_str!("method.txt"));
    text.push_str(&picture("", "latency", "Latency of hits, misses and writes, by strategy"));
    text.push_str(&picture("", "staleness", "For how long stale reads were stale, by strategy"));
    text.push_str(&spread(figures));
    text.push_str(&cold_starts(&figures.cold_starts));
    text.push_str(&scaling::everything(figures));
    text.push_str(include_str!("raw.txt"));
    text
}

fn spread(figures: &Figures) -> String {
    let mut text = String::from(
        "## Spread of the figures over the rounds\n\nEach figure is that of all rounds together (the peak and the CPU: the median), with the minimum and the maximum of the rounds in brackets. Latencies are in ms; n is the number of requests. *Late* is the time from when a request was due until it was sent. *CPU* is the share of a core that the server, the load generator and Redis use while hits are read.\n\n| | n | hit p50 | hit p99 | n | miss p50 | miss p99 | n | write p50 | write p99 | first read after a write p50 | reads/s at the peak | longest staleness | late p99 | CPU |\n|---|---:|---|---|---:|---|---|---:|---|---|---|---|---|---|---|\n",
    );
    for case in &figures.cases {
        let _ = write!(text, "| {} ", case.name);
        for (_, all, round) in PHASES {
            let count = all(&case.pooled).map_or("–".to_owned(), |it| thousands(it.count));
            let _ = write!(text, "| {count} ");
            for value in [|it: &Latency| it.p50, |it: &Latency| it.p99] {
                let _ = write!(text, "| {} ", beside(case, all, round, value));
            }
        }
        let longest = case.pooled.staleness.as_ref().map(|it| time(it.max));
        let share = |of: fn(&Shares) -> f64| {
            let share = case.alone(|sample| sample.shares.as_ref().map(of));
            share.map_or("–".to_owned(), |share| format!("{:.0} %", 100.0 * share.median))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} / {} / {} |",
            beside(case, |it| it.read_back.as_ref(), |it| it.read_back.as_ref(), |it| it.p50),
            show(case.alone(|sample| sample.peak), 0),
            longest.unwrap_or_else(|| "–".to_owned()),
            beside(case, |it| it.late.as_ref(), |it| it.late.as_ref(), |it| it.p99),
            share(|it| it.server),
            share(|it| it.load),
            share(|it| it.redis),
        );
    }
    text.push('\n');
    text
}

/// Formats `0.33 (0.30–0.41)`: of all rounds together, and of single rounds.
fn beside(
    case: &CaseFigures, all: fn(&Pooled) -> Option<&Latency>, round: fn(&Sample) -> Option<&Latency>,
    value: fn(&Latency) -> f64,
) -> String {
    let (Some(all), Some(rounds)) = (all(&case.pooled), case.alone(|sample| round(sample).map(value))) else {
        return "–".to_owned();
    };
    show(Some(Spread { median: value(all), ..rounds }), 2)
}

/// Returns the table of what readers and writers notice, and of the cost.
fn strategies(figures: &Figures) -> String {
    let mut text = String::from(
        "| | still stale after a race | stale reads | stale for, p50 / longest | read at once after a write: new | hit, p50 / p99 ms | miss, p50 / p99 ms | write, p50 / p99 ms |\n|---|---|---|---|---|---|---|---|\n",
    );
    for case in &figures.cases {
        let both = |latency: &Option<Latency>| latency.as_ref().map(|it| format!("{:.2} / {:.2}", it.p50, it.p99));
        let fresh = case.alone(|sample| sample.read_back_fresh);
        let always = |share: Spread| match share.min {
            1.0 => "always".to_owned(),
            _ => percent(share.median),
        };
        let cells = [
            case.race().map(|race| raced(&race)),
            (!case.mixed.is_empty()).then(|| share_of_stale(case.stale())),
            case.pooled.staleness.as_ref().map(|it| format!("{} / {}", time(it.p50), time(it.max))),
            fresh.map(always),
            both(&case.pooled.hit),
            both(&case.pooled.miss),
            both(&case.pooled.write),
        ];
        row(&mut text, &case.name, cells);
    }
    text.push_str(
        "\n| | CPU per hit, × bare `GET` | reads/s at the peak, × bare `GET` | database loads per 1,000 reads | … per 1,000 readers of one missing entry | Redis commands per hit / miss / read beside writes | bytes per hit / miss / read beside writes | Redis memory per entry |\n|---|---|---|---|---|---|---|---|\n",
    );
    for case in &figures.cases {
        let cells = [
            case.cpu_ratio().map(ratio),
            case.peak_ratio().map(ratio),
            case.loads_per_1000().map(|loads| format!("{loads:.0}")),
            case.alone(|it| it.stampede_loads).map(|loads| format!("{:.0}", loads.median)),
            costs(case, |it| it.commands, 2),
            costs(case, |it| it.bytes, 0),
            case.alone(|it| it.entry_bytes).map(|bytes| format!("{:.0} B", bytes.median)),
        ];
        row(&mut text, &case.name, cells);
    }
    text.push_str("\n≈: not distinguishable from a bare `GET`, because the range of the rounds includes 1.\n");
    text
}

/// Formats `0.98 / 3.02 / 1.20`.
fn costs(case: &CaseFigures, of: fn(&Cost) -> f64, digits: usize) -> Option<String> {
    let median = |cost: fn(&Sample) -> Option<&Cost>| case.alone(|it| cost(it).map(of)).map(|it| it.median);
    let all = [median(|it| it.per_hit.as_ref()), median(|it| it.per_miss.as_ref()), median(|it| it.per_mixed.as_ref())];
    let show = |cost: Option<f64>| cost.map_or("–".to_owned(), |cost| format!("{cost:.digits$}"));
    all[0].map(|_| all.map(show).join(" / "))
}

/// Formats `0.97 (0.91–1.05) ≈`.
fn ratio(ratio: Spread) -> String {
    let same = if ratio.min <= 1.0 && ratio.max >= 1.0 { " ≈" } else { "" };
    format!("{}{same}", show(Some(ratio), 2))
}

/// Returns the table of the cold starts: an empty text if there were no cold starts.
fn cold_starts(all: &[ColdStart]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let mut text = format!(
        "## Cold start\n\nRedis loses all data while an open loop (Zipf distribution, exponent 0.9) sends as many reads as the database can handle, or twice as many. The database is behind a proxy with a delay of 20 ms; through it, reads without a cache reached {:.0} a second. With a *lease*, one reader loads a product and the others wait for its value; a *bulkhead* limits the loads of all products to 32 at a time. All cases share a database with 16 connections for each process, which is a bulkhead of its own. *Recovered after* is the time after which each half second had at least 90 % of the earlier hit ratio, a median of at most twice the earlier one plus 1 ms, and no failed read. *At best* is this time for a cache whose loads (one per product) take no time; it is not 0, because the least popular products are missing for longest. There is one value for each repetition.\n\n| case: defences | load, × database | recovered after | at best | database loads | reads without an answer | read p99 before, ms | read p99 after, ms |\n|---|---:|---|---|---|---|---|---|\n",
        first.capacity
    );
    for it in all {
        let recovered = it.recovered_ms.iter().map(|ms| ms.map_or("not".to_owned(), time)).collect::<Vec<_>>();
        let counts = |all: &[u64]| all.iter().map(|it| thousands(*it)).collect::<Vec<_>>().join(", ");
        let ms = |all: &[f64]| all.iter().map(|it| format!("{it:.1}")).collect::<Vec<_>>().join(", ");
        let cells = [
            Some(format!("{:.0}", it.load)),
            Some(recovered.join(", ")),
            Some(time(it.ideal_ms)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_whose_range_includes_one_is_marked_as_equal() {
        let of = |median, min, max| ratio(Spread { median, min, max });
        assert_eq!(of(0.97, 0.91, 1.05), "0.97 (0.91–1.05) ≈");
        assert_eq!(of(0.88, 0.85, 0.93), "0.88 (0.85–0.93)");
    }
}
