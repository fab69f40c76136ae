//! What the tests stand on: stores of their own, the services as their users run them, a product API that lies.

mod cart;
mod fake;
mod stores;

use std::time::Duration;

pub(crate) use cart::{CartOf, view_key};
pub(crate) use fake::Fake;
pub(crate) use stores::Stores;
pub(crate) use testkit::http::{Service, TestResponse};

/// How long a test waits for what should happen at once: long enough for a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(20);
