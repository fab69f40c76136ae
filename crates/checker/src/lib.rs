//! A black-box consistency checker for the shop's caches, also while faults are made.
//!
//! * [`verify`]: whether every cache keeps its promises, and how stale its responses are.
//! * [`faults`]: what planned faults and random kills do under load, and which promises hold nevertheless.
//! * [`attack`]: how caches and events cope with a flood of reads of unknown ids.
//! * [`private`]: the whole system on private processes, for the time that another program uses it.

pub mod attack;
pub mod faults;
pub mod private;
mod system;
pub mod verify;
