//! The benchmarks.
//!
//! * [`strategies`]: the cost and the staleness of each strategy; writes the table of the README.
//! * [`batch`]: the time of a batch of entries, beside single reads.
//! * [`events`]: the time from a COMMIT until the last effect of its event.
//! * [`memory`]: the time of a hit from the memory of the process.
//! * [`search`]: the time that the search takes to build its index, to respond, and to show a change.

pub mod batch;
pub mod events;
pub mod memory;
pub mod search;
pub mod strategies;
mod wrk;
