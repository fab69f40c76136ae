//! Access to a service's Postgres database: settings, migrations, the pool that requests share, and classified errors.
//!
//! No request waits forever: it receives a connection or an error within `wait_timeout`, and Postgres ends a statement
//! of the pool after `statement_timeout`. If Postgres vanishes, the pool notices it a little later. Likewise Postgres
//! notices if this process vanishes within a transaction. No error, no log line and no `Debug` output of the settings
//! contains the password.
//!
//! Statements run in [`Pool::run`] and [`Pool::transaction`]. They retry work that Postgres has rolled back for a
//! temporary reason, and classify every error by its SQLSTATE ([`ErrorClass`]).

mod connect;
mod error;
mod migrate;
mod mode;
mod pool;
mod session;
mod settings;
mod sql;
mod sqlstate;
mod startup;
mod watchdog;
mod work;
mod write;

pub use connect::establish;
pub use error::{AsDatabaseError, Error};
pub use migrate::migrate;
pub use mode::DatabaseMode;
pub use pool::{Pool, connect};
pub use session::SESSION_SETUP;
pub use settings::PostgresSettings;
pub use sql::{Sql, sql};
pub use sqlstate::ErrorClass;
pub use startup::StartupError;
pub use work::{Transaction, Work};
pub use write::WriteError;

#[cfg(test)]
mod tests;
