//! The tables by the number of members of a tag, of entries in Redis, and of processes.

use std::fmt::Write as _;

use client::report::thousands;

use super::case_figures::{CaseFigures, Spread};
use super::cells::{PHASES, called, picture, show};
use super::figures::Figures;

pub(super) fn everything(figures: &Figures) -> String {
    [tags(figures), entries(figures), processes(figures)].concat()
}

fn of(numbers: &[f64], digits: usize) -> String {
    show((!numbers.is_empty()).then(|| Spread::of(numbers.iter().copied())), digits)
}

fn tags(figures: &Figures) -> String {
    let mut text = String::from(
        "## Invalidating a tag\n\nThe cache crate removes the members in small steps (*took*). The comparison (*at once*) is `SMEMBERS` and one `UNLINK` of all members. *Stall* is the longest response time of a `PING` on another connection meanwhile. All figures are medians in ms (minimum–maximum).\n\n| members | took | stall | at once: took | at once: stall |\n|---:|---|---|---|---|\n",
    );
    for at in &figures.tags {
        let [took, stall, naive, naive_stall] =
            [&at.took, &at.stall, &at.naive_took, &at.naive_stall].map(|numbers| of(numbers, 2));
        let members = thousands(at.members as u64);
        let _ = writeln!(text, "| {members} | {took} | {stall} | {naive} | {naive_stall} |");
    }
    text.push('\n');
    text.push_str(&picture("", "tags", "Longest wait of another command while a tag is invalidated, by its members"));
    text
}

fn entries(figures: &Figures) -> String {
    let mut text = String::from(
        "## Latency by the number of entries in Redis\n\nEvery strategy is measured over HTTP while Redis holds this many other entries: copies of one product's entry, under keys of the seven strategies in turn. Only the bare `GET` reads these copies, at random. The cells show p50 / p99 of all rounds together in ms (minimum–maximum p50 of the rounds).\n\n",
    );
    for at in &figures.entries {
        let _ = writeln!(
            text,
            "{} entries: Redis uses {:.0} MB in all.",
            thousands(at.entries as u64),
            at.used_memory / 1e6
        );
    }
    let names: Vec<&str> =
        figures.entries.first().map_or(vec![], |at| at.cases.iter().map(|case| case.name.as_str()).collect());
    for (phase, all, round) in PHASES {
        let _ = write!(text, "\n| {phase} ");
        figures.entries.iter().for_each(|at| text.push_str(&format!("| {} ", thousands(at.entries as u64))));
        let _ = writeln!(text, "|\n|---{}|", "|---".repeat(figures.entries.len()));
        for name in &names {
            let cell = |case: &CaseFigures| {
                let (pooled, p50) = (all(&case.pooled)?, case.alone(|sample| round(sample).map(|it| it.p50))?);
                Some(format!("{:.2} / {:.2} ({:.2}–{:.2})", pooled.p50, pooled.p99, p50.min, p50.max))
            };
            let find = |cases: &[CaseFigures]| cases.iter().find(|case| case.name == *name).and_then(cell);
            let cells: Vec<Option<String>> = figures.entries.iter().map(|at| find(&at.cases)).collect();
            if cells.iter().any(Option::is_some) {
                let cells: Vec<String> = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".to_owned())).collect();
                let _ = writeln!(text, "| {} | {} |", called(name), cells.join(" | "));
            }
        }
    }
    text.push('\n');
    text.push_str(&picture("", "growth", "Hits of every strategy, by the number of other entries in Redis"));
    text
}

fn processes(figures: &Figures) -> String {
    if figures.processes.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "## Hits and loads of several product API processes\n\nThe tables show the hits a second of all processes together, and the loads per 1,000 readers of one missing entry, which are spread over all processes; both are medians (minimum–maximum). Two cores cannot show scaling: one process already uses a whole core, and the load generator, Redis and Postgres use the second one. The tables show only the throughput of processes that share the cores, and that a missing entry is loaded once, however many processes miss it.\n\n",
    );
    for what in ["hits/s", "loads"] {
        let _ = write!(text, "| {what} ");
        for at in &figures.processes {
            let cores: Vec<String> = at.cores.iter().map(usize::to_string).collect();
            let _ = write!(text, "| {} (on core {}) ", at.cores.len(), cores.join(", "));
        }
        let _ = writeln!(text, "|\n|---{}|", "|---".repeat(figures.processes.len()));
        let lanes = figures.processes.first().map_or(0, |at| at.lanes.len());
        for lane in 0..lanes {
            let _ = write!(text, "| {} ", called(&figures.processes[0].lanes[lane].name));
            for at in &figures.processes {
                let lane = &at.lanes[lane];
                let numbers = if what == "loads" { &lane.stampede_loads } else { &lane.peak };
                let _ = write!(text, "| {} ", of(numbers, 0));
            }
            text.push_str("|\n");
        }
        text.push('\n');
    }
    text
}
