//! Why a service cannot start with its database.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use crate::connect::ConnectError;
use crate::settings::PostgresSettings;

/// The pause between two attempts to reach Postgres.
const PAUSE: Duration = Duration::from_millis(100);
/// The interval of the log lines during the wait.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Why the database cannot be used. Each message says how to correct it.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// No server responded, or the server is not ready: a later attempt may succeed.
    #[error("Postgres at {address} did not answer: {reason}; is it running, and is `postgres.url` right?")]
    Unreachable {
        /// Host, port and database.
        address: String,
        /// The error of the last attempt.
        reason: String,
    },
    /// The settings are wrong: another attempt would fail in the same way.
    #[error(
        "Postgres at {address} cannot be used as `postgres.url` says: {reason}; correct the setting or create the role and the database"
    )]
    Refused {
        /// Host, port and database.
        address: String,
        /// The error of the server or of the URL parser.
        reason: String,
    },
    /// Migrations are missing, and the database is read-only.
    #[error(
        "the database at {address} is read-only and lacks migrations ({missing}); let a primary that can be written to answer at `postgres.url`, and start again"
    )]
    ReadOnly {
        /// Host, port and database.
        address: String,
        /// The versions of the missing migrations.
        missing: String,
    },
    /// A migration failed.
    #[error(
        "the migrations did not run at {address}: {reason}; the failed one was rolled back, so correct it and start again"
    )]
    Migration {
        /// Host, port and database.
        address: String,
        /// The error of the migration harness.
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

/// Attempts to reach Postgres until that succeeds.
///
/// # Errors
/// Returns the error of an attempt that ended after `deadline`, or that shows that every attempt would fail.
pub(crate) async fn until_reached<T, F>(deadline: Instant, attempt: impl Fn() -> F) -> Result<T, StartupError>
where
    F: Future<Output = Result<T, StartupError>>,
{
    let mut next_line = Instant::now() + LINE_EVERY;
    loop {
        let error = match attempt().await {
            Ok(reached) => return Ok(reached),
            Err(error) => error,
        };
        let now = Instant::now();
        if now >= deadline || matches!(error, StartupError::Refused { .. }) {
            return Err(error);
        }
        if now >= next_line {
            let left = (deadline - now).as_secs();
            info!("waiting for Postgres, for {left} s more at most: {error}");
            next_line = now + LINE_EVERY;
        }
        sleep(PAUSE).await;
    }
}
