//! The tests that need no server of a particular kind, in the memory of the program, and what only this backend has.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

#[path = "../it/both/mod.rs"]
mod both;
mod faults;
mod limits;
mod support;
