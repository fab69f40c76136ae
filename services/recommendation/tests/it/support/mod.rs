//! Fixtures of the tests: stores per test, the services as processes, and carts that exist only as events.

mod carts;
mod stores;

use std::time::Duration;

pub(crate) use carts::Carts;
pub(crate) use stores::{
    Stores, ids, item, started, until_both_are_read, until_list, with_product_api, with_product_api_at_port,
};
pub(crate) use testkit::http::Service;

/// How long a test waits for an effect that normally comes at once. It is long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);
