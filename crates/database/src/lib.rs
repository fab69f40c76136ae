//! A service's way to its Postgres database: settings, migrations, the pool that requests share, and errors that say
//! what to do.
//!
//! No request waits forever: it gets a connection within `wait_timeout` or an error, and Postgres ends a statement of the
//! pool after `statement_timeout`. A Postgres that has vanished is noticed a little later, and so does Postgres notice that
//! this process has vanished in a transaction. No error and no log line holds the password, and neither does the `Debug`
//! form of the settings.
//!
//! Statements run in [`Pool::run`] and [`Pool::transaction`], which repeat what Postgres has rolled back for a reason that
//! passes, and which classify every error by its SQLSTATE ([`ErrorClass`]).

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
