//! Why a service cannot start on its database.

use crate::PostgresSettings;
use crate::connect::ConnectError;

/// Why the database cannot be used. Each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// Nobody answered, or nobody who is ready: worth another try later.
    #[error("Postgres at {address} did not answer: {reason}; is it running, and is `postgres.url` right?")]
    Unreachable {
        /// Host, port and database.
        address: String,
        /// What the last attempt said.
        reason: String,
    },
    /// The settings are wrong: another try would end alike.
    #[error(
        "Postgres at {address} cannot be used as `postgres.url` says: {reason}; correct the setting or create the role and the database"
    )]
    Refused {
        /// Host, port and database.
        address: String,
        /// What the server or the URL parser said.
        reason: String,
    },
    /// The tables have to be brought up to date, and nothing can be written.
    #[error(
        "the database at {address} is read-only and lacks migrations ({missing}); let a primary that can be written to answer at `postgres.url`, and start again"
    )]
    ReadOnly {
        /// Host, port and database.
        address: String,
        /// The versions of the migrations.
        missing: String,
    },
    /// The tables could not be brought up to date.
    #[error(
        "the migrations did not run at {address}: {reason}; the failed one was rolled back, so correct it and start again"
    )]
    Migration {
        /// Host, port and database.
        address: String,
        /// What the migration harness said.
        reason: String,
    },
}

impl StartupError {
    pub(crate) fn connecting(settings: &PostgresSettings, error: &ConnectError) -> Self {
        let (address, reason) = (settings.address().to_owned(), error.to_string());
        if error.is_lasting() { Self::Refused { address, reason } } else { Self::Unreachable { address, reason } }
    }

    pub(crate) fn unreachable(settings: &PostgresSettings, reason: String) -> Self {
        Self::Unreachable { address: settings.address().to_owned(), reason }
    }
}
