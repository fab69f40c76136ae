#![doc = include_str!("../README.md")]

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

pub use cache_status::{CacheStatus, Source, cache_status};
pub use connection::{Answer, Connection};
pub use cpu::allow_open_files;
pub use entries::{Entry, Operations};
pub use metrics::Metrics;
pub use shown::CachedResponse;
