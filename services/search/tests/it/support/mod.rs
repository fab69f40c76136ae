//! What the tests stand on: a shop of their own, the search as its users run it, and ways to hold things up.

mod detour;
mod search;
mod shop;

use std::time::Duration;

pub(crate) use detour::Detour;
pub(crate) use search::{Found, Search, command};
pub(crate) use shop::{Product, Shop};
pub(crate) use testkit::http::TestResponse;

/// How long a test waits for what should happen at once: long enough for a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(20);
