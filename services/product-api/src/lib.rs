#![doc = include_str!("../README.md")]

pub mod app;
pub mod catalogue;
pub mod categories;
pub mod events;
pub mod faults;
pub mod keys;
pub mod lists;
pub mod products;
mod routes;
pub mod schema;
pub mod seed;
pub mod settings;
pub mod strategies;
pub mod uncached_reads;

/// The name of the service in logs, in the database and in `Cache-Status`.
pub const NAME: &str = "product-api";
