//! The tables of the events benchmark.

use super::figures::{Figures, PLACES, spread};

/// Prints all figures.
pub(super) fn print(figures: &Figures) {
    println!(
        "\nUntil the entry is gone, in ms: {} writes/s, {} probes, {} lost.\n\
         Median of the rounds, least and greatest in brackets.",
        figures.rate, figures.probes, figures.lost
    );
    for (why, count) in &figures.discarded {
        println!("Discarded: {count}, because {why}.");
    }
    for (title, delays) in [
        ("request (from when it was due) → gone: an upper bound of COMMIT → gone", &figures.from_request),
        ("answer → gone: a lower bound, 0 where it was gone before the answer", &figures.from_answer),
    ] {
        println!("\n{title}");
        println!("{:<16}{:>20}{:>20}{:>20}{:>20}", "", "p50", "p95", "p99", "max");
        for place in PLACES {
            let at = |percent| {
                let ms = spread(delays, place, percent);
                format!("{:.1} ({:.1}–{:.1})", ms.median(), ms.min(), ms.max())
            };
            println!("{place:<16}{:>20}{:>20}{:>20}{:>20}", at(50.0), at(95.0), at(99.0), at(100.0));
        }
    }
    println!(
        "\n{} rows/s asked for in SQL, each committed by itself, in {} sessions: {} rows in {:.1} s are {:.0} rows/s.\n\
         Lag each second (outbox rows, greatest of a consumer):",
        figures.rows,
        figures.sessions,
        figures.rows_written,
        figures.written_s,
        figures.reached()
    );
    for (second, (undone, greatest)) in figures.lag.iter().enumerate() {
        println!("  {:>3} s  {undone:>7}  {greatest:>7}", second + 1);
    }
    println!("drained {:.2} s after the last row", figures.drained_s);
}
