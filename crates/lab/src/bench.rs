//! Shared parts of the benchmarks: cores and their use, a closed-loop load generator, medians with their spread.

pub mod cores;
mod spread;
mod wrk;

pub use spread::Spread;
pub use wrk::{Load, Wrk};
