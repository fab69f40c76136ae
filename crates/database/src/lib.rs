//! A service's way to its Postgres database: settings, migrations, the pool that requests share, and errors that say
//! what to do.
//!
//! No request waits for ever: it gets a connection within `wait_timeout` or an error, and Postgres ends a statement of the
//! pool after `statement_timeout`. A Postgres that has vanished is noticed a little later, and so does Postgres notice that
//! this process has vanished in a transaction. No error and no log line holds the password, and neither does the `Debug`
//! form of the settings.

mod migrate;
mod sql;
mod watched;
mod write;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::QueueMode;
use diesel::ConnectionError;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, SetupCallback, deadpool as pooled,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::try_join_all;
use serde::Deserialize;

pub use migrate::migrate;
pub use sql::{Sql, sql};
pub use watched::establish;
pub use write::WriteError;

/// Connections to the service's own database.
pub type Pool = pooled::Pool<AsyncPgConnection>;
type WeakPool = deadpool::managed::WeakPool<AsyncDieselConnectionManager<AsyncPgConnection>>;

/// Where the database is, and how much of it one process may use.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// Connections of this process; every replica has as many, and Postgres has 100 in all.
    #[serde(default = "default_max_connections")]
    pub max_connections: NonZeroUsize,
    /// How long a request waits for a free connection, and how long connecting may take.
    #[serde(default = "default_wait_timeout", with = "humantime_serde")]
    pub wait_timeout: Duration,
    /// After this Postgres ends a statement; `0s` is never, which the services refuse.
    #[serde(default = "default_statement_timeout", with = "humantime_serde")]
    pub statement_timeout: Duration,
}

fn default_max_connections() -> NonZeroUsize {
    NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN)
}

fn default_wait_timeout() -> Duration {
    Duration::from_secs(2)
}

fn default_statement_timeout() -> Duration {
    Duration::from_secs(5)
}

impl PostgresSettings {
    /// Host, port and database of the URL, and nothing else that it holds.
    fn place(&self) -> &str {
        const ELSEWHERE: &str = "the place in `postgres.url`";
        let Some((_, rest)) = self.url.split_once("://") else {
            return ELSEWHERE;
        };
        // Exactly one `@`, and before any `?`: otherwise the text behind it may be part of a password.
        match rest.split_once('@') {
            Some((login, place)) if !login.contains('?') && !place.contains('@') => {
                place.split_once('?').map_or(place, |(place, _)| place)
            }
            _ => ELSEWHERE,
        }
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("place", &self.place())
            .field("max_connections", &self.max_connections)
            .field("wait_timeout", &self.wait_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish()
    }
}

/// Why the database cannot be used. Each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Nobody answered, or nobody who is ready: worth another try later.
    #[error("Postgres at {place} did not answer: {reason}; is it running, and is `postgres.url` right?")]
    Unreachable {
        /// Host, port and database.
        place: String,
        /// What the last attempt said.
        reason: String,
    },
    /// The settings are wrong: another try would end alike.
    #[error(
        "Postgres at {place} cannot be used as `postgres.url` says: {reason}; correct the setting or create the role and the database"
    )]
    Refused {
        /// Host, port and database.
        place: String,
        /// What the server or the URL parser said.
        reason: String,
    },
    /// The tables could not be brought up to date.
    #[error(
        "the migrations did not run at {place}: {reason}; the failed one was rolled back, so correct it and start again"
    )]
    Migration {
        /// Host, port and database.
        place: String,
        /// What the migration harness said.
        reason: String,
    },
}

impl DbError {
    fn connecting(settings: &PostgresSettings, error: &ConnectionError) -> Self {
        let (place, reason) = (settings.place().to_owned(), error.to_string());
        // No SQLSTATE reaches this far. What isn't recognised counts as passing: that costs patience only.
        const LASTING: [&str; 5] =
            ["invalid connection string", "invalid configuration", "authentication", "does not exist", "pg_hba.conf"];
        if LASTING.iter().any(|lasting| reason.contains(lasting)) {
            Self::Refused { place, reason }
        } else {
            Self::Unreachable { place, reason }
        }
    }
}

/// Connections that are opened at the start: an outage of Redis should not have to wait for logins.
const WARM: usize = 8;

/// Builds the pool and opens the first connections, so that a wrong setting shows at the start.
///
/// `service` is the name under which `pg_stat_activity` shows them.
pub async fn connect(settings: &PostgresSettings, service: &str) -> Result<Pool, DbError> {
    let mut config = ManagerConfig::default();
    // `Verified` would send a query before each query, and double what a read costs. `Fast` still
    // notices a closed socket.
    config.recycling_method = RecyclingMethod::Fast;
    let idle = Arc::new(OnceLock::<WeakPool>::new());
    config.custom_setup = establish_with(service, settings.statement_timeout, Arc::clone(&idle));
    let manager = AsyncDieselConnectionManager::new_with_config(&settings.url, config);

    let unreachable = |reason: String| DbError::Unreachable { place: settings.place().to_owned(), reason };
    let pool = Pool::builder(manager)
        .max_size(settings.max_connections.get())
        // The one that was used last: its statements are prepared, and its process is awake.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(settings.wait_timeout))
        .create_timeout(Some(settings.wait_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| unreachable(error.to_string()))?;
    let _ = idle.set(pool.weak());
    let warm = settings.max_connections.get().min(WARM);
    match try_join_all((0..warm).map(|_| pool.get())).await {
        Ok(_) => Ok(pool),
        Err(pooled::PoolError::Backend(diesel_async::pooled_connection::PoolError::ConnectionError(error))) => {
            Err(DbError::connecting(settings, &error))
        }
        Err(error) => Err(unreachable(error.to_string())),
    }
}

/// How much longer than a statement may take it takes until a connection without any answer is closed.
const BEYOND: Duration = Duration::from_secs(2);

/// How the pool makes a connection: a name to find it by in `pg_stat_activity`, and a time limit.
///
/// When one finds that Postgres has vanished, those that are idle have been left alone as well: they are dropped, and not
/// tried one after the other.
fn establish_with(
    service: &str,
    statement_timeout: Duration,
    idle: Arc<OnceLock<WeakPool>>,
) -> SetupCallback<AsyncPgConnection> {
    let milliseconds = statement_timeout.as_millis();
    let silence = (milliseconds > 0).then_some(statement_timeout + BEYOND);
    // The same seen from Postgres: a client that has vanished within a transaction would keep its locks, and with them
    // the rows, from everybody else for as long as TCP does not notice.
    let abandoned = silence.map_or(0, |silence| silence.as_millis());
    let setup = format!(
        "SET application_name = '{service}'; SET statement_timeout = {milliseconds}; \
         SET idle_in_transaction_session_timeout = {abandoned}"
    );
    Box::new(move |url| {
        let (setup, idle) = (setup.clone(), Arc::clone(&idle));
        async move {
            let vanished = move || {
                if let Some(pool) = idle.get().and_then(WeakPool::upgrade) {
                    pool.retain(|_, _| false);
                }
            };
            let mut connection = match silence {
                Some(silence) => establish(url, silence, vanished).await?,
                None => AsyncPgConnection::establish(url).await?,
            };
            connection.batch_execute(&setup).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(connection)
        }
        .boxed()
    })
}

#[cfg(test)]
mod tests;
