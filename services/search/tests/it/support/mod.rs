//! Fixtures of the tests: a shop per test, and the search as a process.

mod search;
mod shop;

pub(crate) use search::{Found, Search, command, started};
pub(crate) use shop::{Product, Shop};
pub(crate) use testkit::SOON;
pub(crate) use testkit::http::TestResponse;
