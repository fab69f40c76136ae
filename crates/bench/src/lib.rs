#![doc = include_str!("../README.md")]

pub mod batch;
pub mod cluster;
pub mod events;
pub mod memory;
pub mod search;
pub mod strategies;
mod wrk;
