//! Experiments against real processes, and the modules that they share.
//!
//! * [`attack`]: how caches and events cope with a flood of reads of unknown ids.
//! * [`bench_events`]: the time from a COMMIT until the last effect of its event.
//! * [`bench_search`]: the time that the search takes to build its index, to respond, and to show a change.
//! * [`bench_strategies`]: the cost and the staleness of each strategy; writes the table of the README.
//! * [`chaos`]: no write is lost, whichever process is killed.
//! * [`demo`]: what each strategy does, shown and asserted on the running stack.
//! * [`faults`]: what each fault does under load, and which promises hold nevertheless.
//! * [`load`]: load that runs until it is stopped, with live figures.
//! * [`model`]: a complete exploration of the cache's protocol.
//! * [`mutants`]: whether the tests fail when a defence is removed from the cache.
//! * [`private`]: the whole system on private processes, for the time that another program uses it.
//! * [`verify`]: whether every cache keeps its promises, and how stale its responses are.
//! * [`private_system`]: the four services and their stores as private processes.

pub mod attack;
pub mod bench;
pub mod bench_events;
pub mod bench_search;
pub mod bench_strategies;
pub mod cache_status;
pub mod chaos;
mod client;
pub mod demo;
pub mod faults;
pub mod load;
pub mod model;
pub mod mutants;
pub mod operations;
pub mod private;
pub mod private_system;
mod system;
mod traffic;
pub mod verify;
