//! What the demos, the checker and the benchmarks share as HTTP clients of the shop.
//!
//! * [`Connection`]: one HTTP/1.1 connection at minimal cost.
//! * [`Source`]: where a response came from, as its `Cache-Status` says.
//! * [`traffic`]: open-loop load whose results are latency, sources and staleness.
//! * [`Metrics`]: the counters of a service.
//! * [`Operations`]: access to routes that require a token.
//! * [`times`] and [`cpu`]: times, and the CPU time that they took.

mod cache_status;
mod connection;
pub mod cpu;
mod metrics;
mod open_files;
mod operations;
pub mod times;
pub mod traffic;

pub use cache_status::Source;
pub use connection::{Answer, Connection};
pub use metrics::Metrics;
pub use open_files::allow_open_files;
pub use operations::Operations;
