#![doc = include_str!("../README.md")]

pub mod app;
pub mod cart_service;
pub mod carts;
pub mod error;
pub mod facts;
pub mod keys;
pub mod react;
mod routes;
pub mod schema;
pub mod settings;
pub mod view;

/// The name of the service in logs, in the database and in `Cache-Status`.
pub const NAME: &str = "cart";
