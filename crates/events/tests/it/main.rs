//! The promises of the consumer, each against a private Redis and a log over HTTP.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod delivery;
mod reading_all;
mod support;
