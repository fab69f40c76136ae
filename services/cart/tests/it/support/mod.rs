//! The fixtures of the tests: stores, the services as their users run them, and a fake product API.

mod cart;
mod fake;
mod stores;

pub(crate) use cart::{CartOf, line, view_key};
pub(crate) use fake::Fake;
pub(crate) use stores::{Stores, started};
pub(crate) use testkit::SOON;
pub(crate) use testkit::http::{Service, TestResponse};
