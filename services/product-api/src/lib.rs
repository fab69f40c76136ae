//! The product API: a catalogue on Postgres, read through seven cache invalidation strategies on Redis.
//!
//! | module | what it is for |
//! |---|---|
//! | [`strategies`] | the seven strategies, one file each |
//! | [`keys`] | every key and tag in Redis |
//! | [`catalogue`] | the truth: queries and changes in Postgres |
//! | [`events`] | what the service does with its own events |
//! | [`products`] | what every request works with |
//! | `routes` | HTTP in, HTTP out |
//! | [`app`] · [`settings`] · [`seed`] | how it starts |

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

/// What the service is called: in logs, in the database, in `Cache-Status`.
pub const NAME: &str = "product-api";
