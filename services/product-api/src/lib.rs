//! The product API: a catalogue on Postgres, read through seven cache invalidation strategies on Redis.
//!
//! | module | purpose |
//! |---|---|
//! | [`strategies`] | the seven strategies, one file each |
//! | [`keys`] | every key and tag in Redis |
//! | [`catalogue`] | queries and changes in Postgres, without a cache |
//! | [`events`] | the handling of the service's own events |
//! | [`products`] | the state that every request shares |
//! | `routes` | HTTP requests and responses |
//! | [`app`] · [`settings`] · [`seed`] | start, settings and demo data |

pub mod app;
pub mod catalogue;
pub mod events;
pub mod keys;
pub mod products;
mod routes;
pub mod schema;
pub mod seed;
pub mod settings;
pub mod strategies;

/// The name of the service in logs, in the database and in `Cache-Status`.
pub const NAME: &str = "product-api";
