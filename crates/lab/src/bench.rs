//! Measures servers against each other, in one run, on separate cores.
//!
//! Rates drift from minute to minute, on a shared machine most of all. So the cases take turns, round by round; each
//! round compares what was measured within seconds of each other, and the verdict is the median over the rounds. CPU
//! time per request depends less on who else is busy, which is why it stands beside the rate. Many short rounds are
//! better than few long ones, as a disturbance then hits some rounds and not all.

pub mod cores;
mod report;
mod rounds;
mod wrk;

pub use report::{Report, Row, Spread};
pub use rounds::{Case, Sample, Samples, measure};
pub use wrk::{Load, Wrk};
