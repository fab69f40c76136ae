#![doc = include_str!("../README.md")]

mod attempts;
mod connect;
mod connector;
pub mod duration;
mod error;
mod migrate;
mod mode;
mod pool;
mod session;
mod settings;
pub mod snapshot;
mod sql;
mod sqlstate;
mod startup;
mod statement;
mod tls;
mod watchdog;
mod work;
mod write;

pub use connect::{establish, establish_listening};
pub use error::{AsDatabaseError, Error};
pub use migrate::migrate;
pub use mode::DatabaseMode;
pub use pool::{Pool, connect};
pub use session::SESSION_SETUP;
pub use settings::PostgresSettings;
pub use sql::{Cached, Sql, cached, sql};
pub use sqlstate::ErrorClass;
pub use startup::StartupError;
pub use work::{Transaction, Work};
pub use write::WriteError;

#[cfg(test)]
mod tests;
