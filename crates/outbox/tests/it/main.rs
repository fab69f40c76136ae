//! The guarantees of the consumer, each tested against a private Redis and a log over HTTP.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod cluster;
mod counting;
mod delivery;
mod full_redis;
mod gaps;
mod histories;
mod listening;
mod migrations;
mod peers;
mod poison;
mod progress;
mod publishing;
mod reading_all;
mod redis_faults;
mod sentinels;
mod stopping;
mod support;
