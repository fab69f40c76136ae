//! Tests of the checker against deliberately wrong servers, and short runs of its faults against the real services.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod cluster;
mod faults;
mod verify;
