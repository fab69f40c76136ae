//! Fixtures of the tests: a shop per test, and the search as a process.

mod search;
mod shop;

use std::time::Duration;

pub(crate) use search::{Found, Search, command, started};
pub(crate) use shop::{Product, Shop};
pub(crate) use testkit::http::TestResponse;

/// How long a test waits for an effect that normally comes at once. It is long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);
