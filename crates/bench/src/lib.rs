#![doc = include_str!("../README.md")]

pub mod batch;
pub mod cluster;
pub mod events;
pub mod memory;
pub mod search;
pub mod strategies;
mod wrk;

/// Returns the median with the least and the most, and leaves the figures in order.
fn spread(figures: &mut [f64]) -> String {
    figures.sort_by(f64::total_cmp);
    let digits = if figures[0] >= 1_000.0 { 0 } else { 1 };
    format!(
        "{:.digits$} ({:.digits$} to {:.digits$})",
        figures[figures.len() / 2],
        figures[0],
        figures[figures.len() - 1]
    )
}
