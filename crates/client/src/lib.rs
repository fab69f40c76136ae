//! What the demos, the checker and the benchmarks share as HTTP clients of the shop.
//!
//! * [`Connection`]: one HTTP/1.1 connection at minimal cost.
//! * [`Source`]: where a response came from, as its `Cache-Status` says.
//! * [`traffic`]: open-loop load whose results are latency, sources and staleness.
//! * [`race`]: the stale-fill race, which leaves a stale entry behind where fills are not checked.
//! * [`Metrics`] and [`Entry`]: the counters of a service, and the entries of its cache.
//! * [`CachedResponse`]: a response of each service that shows a product.
//! * [`Operations`]: access to routes that require a token.
//! * [`times`], [`cpu`] and [`report`]: times, the CPU time that they took, and how they are reported.

mod cache_status;
mod connection;
pub mod cpu;
mod entries;
mod metrics;
pub mod race;
pub mod report;
mod shown;
pub mod times;
pub mod traffic;

pub use cache_status::{Source, cache_status};
pub use connection::{Answer, Connection};
pub use cpu::allow_open_files;
pub use entries::{Entry, Operations};
pub use metrics::Metrics;
pub use shown::CachedResponse;
