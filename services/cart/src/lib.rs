//! The cart: durable carts in Postgres, and views of them with current prices, cached in Redis.
//!
//! The service shares no table and no entry with the product API. It requests the data of products over HTTP, stores
//! them, and receives their changes as events. Without the product API it continues with the stored data and marks them
//! as stale (`stale`).
//!
//! | module | purpose |
//! |---|---|
//! | [`view`] | the views, and why none is older than the last event or the last write |
//! | [`facts`] | the data of products: from the cache, the product API, or the last known snapshot |
//! | [`carts`] | the lines in Postgres, the source of truth |
//! | [`react`] | the effect of each event |
//! | [`keys`] | every key and tag in Redis |
//! | [`cart_service`] | the state that every request shares |
//! | `routes` | HTTP requests and responses |
//! | [`app`] · [`settings`] | start and settings |

pub mod app;
pub mod cart_service;
pub mod carts;
pub mod error;
pub mod facts;
pub mod ids;
pub mod keys;
pub mod react;
mod routes;
pub mod schema;
pub mod settings;
pub mod view;

/// The name of the service in logs, in the database and in `Cache-Status`.
pub const NAME: &str = "cart";
