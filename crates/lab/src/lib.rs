//! Experiments against real processes, and what they are made of.
//!
//! * [`bench_hit`]: what a cache hit over HTTP costs, beside what it could cost at best.
//! * [`demo`]: what each strategy does, told and asserted on the running stack.

pub mod bench;
pub mod bench_hit;
pub mod demo;
