#![doc = include_str!("../README.md")]

pub mod app;
pub mod baskets;
pub mod catalogue;
pub mod error;
pub mod keys;
pub mod learning;
pub mod lists;
pub mod maintenance;
pub mod positions;
pub mod react;
mod routes;
pub mod settings;
pub mod state;

/// The name of the service in logs, in the database and in `Cache-Status`.
pub const NAME: &str = "recommendation";
