//! What the tests stand on: stores of their own, the services as their users run them, carts that exist as events only.

mod carts;
mod lists;
mod stores;

use std::time::Duration;

pub(crate) use carts::Carts;
pub(crate) use lists::{ids, item};
pub(crate) use stores::{Stores, until_both_are_read, until_list};
pub(crate) use testkit::http::Service;

/// How long a test waits for what should happen at once: long enough for a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(30);
