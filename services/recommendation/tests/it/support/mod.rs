//! Fixtures of the tests: stores per test, the services as processes, and carts that exist only as events.

mod carts;
mod stores;

pub(crate) use carts::Carts;
pub(crate) use stores::{
    Stores, ids, item, started, until_both_are_read, until_list, with_product_api, with_product_api_at_port,
};
pub(crate) use testkit::SOON;
pub(crate) use testkit::http::Service;
