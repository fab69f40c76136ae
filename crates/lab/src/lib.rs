//! Experiments against real processes, and what they are made of.
//!
//! * [`attack`]: what a flood of reads of unknown ids does to caches and events.
//! * [`bench_events`]: how long an event takes from COMMIT to its last effect.
//! * [`bench_search`]: what the search takes to build its index, to answer, and to show a change.
//! * [`bench_strategies`]: what each strategy costs and how stale it is: the table of the README.
//! * [`chaos`]: nothing is lost, whoever is killed.
//! * [`demo`]: what each strategy does, told and asserted on the running stack.
//! * [`faults`]: what each fault does under load, and what must hold all the same.
//! * [`load`]: load until it is stopped, and what it does, live.
//! * [`model`]: the protocol of the cache, explored completely.
//! * [`mutants`]: whether the tests notice when a defence is taken out of the cache.
//! * [`private`]: the whole system on private processes, while another program uses it.
//! * [`verify`]: whether every cache keeps what it promises, and how stale its answers are.
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
