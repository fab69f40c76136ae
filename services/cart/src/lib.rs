//! The cart: durable carts on Postgres, and views of them with current prices, cached in Redis.
//!
//! It shares no table and no entry with the product API. It asks for facts of products over HTTP, keeps them, and hears
//! of their changes in events. Without the product API it goes on with what it knows, and says so (`stale`).
//!
//! | module | what it is for |
//! |---|---|
//! | [`view`] | what is shown, and why it is never older than the last event or the last write |
//! | [`facts`] | facts of products: from the cache, the product API, or the last known ones |
//! | [`carts`] | the truth: lines in Postgres |
//! | [`react`] | event → effect |
//! | [`keys`] | every key and tag in Redis |
//! | [`service`] | what every request works with |
//! | `routes` | HTTP in, HTTP out |
//! | [`app`] · [`settings`] | how it starts |

pub mod app;
pub mod carts;
pub mod error;
pub mod facts;
pub mod ids;
pub mod keys;
pub mod react;
mod routes;
pub mod schema;
pub mod service;
pub mod settings;
pub mod view;

/// What the service is called: in logs, in the database, in `Cache-Status`.
pub const NAME: &str = "cart";
