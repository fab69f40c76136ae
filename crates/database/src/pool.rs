//! The connections that the requests of one process share.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, PoolError, QueueMode, RecycleError, RecycleResult};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::connect::ConnectError;
use crate::connector::{Connection, Connector};
use crate::error::Error;
use crate::mode::{DatabaseMode, ModeProbe};
use crate::settings::PostgresSettings;
use crate::startup::{StartupError, until_reached};

/// Connections that are opened at the start, so that requests do not wait for logins during an outage of Redis.
const WARM: usize = 8;

/// Connections to the service's own database. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    connections: managed::Pool<Manager>,
    pub(crate) probe: Arc<ModeProbe>,
    /// The limit of a statement; zero for none.
    pub(crate) statement_timeout: Duration,
}

/// A connection that returns to the pool when it is dropped.
pub(crate) type PooledConnection = managed::Object<Manager>;

pub(crate) struct Manager(Arc<Connector>);

/// Builds the pool and opens the first connections, so that a wrong setting is reported at the start. Waits up to
/// `max_wait` for Postgres.
///
/// `service` is the name of the connections in `pg_stat_activity`.
///
/// # Errors
/// Returns an error if the database is unreachable, or refuses the login.
pub async fn connect(settings: &PostgresSettings, service: &str, max_wait: Duration) -> Result<Pool, StartupError> {
    let opener = Arc::new(Connector::new(settings, service));
    let connections = managed::Pool::builder(Manager(Arc::clone(&opener)))
        .max_size(settings.max_connections.get())
        // The most recently used connection first: its statements are prepared, and its process is awake.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(settings.wait_timeout))
        .create_timeout(Some(settings.wait_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StartupError::unreachable(settings, error.to_string()))?;
    let warm = settings.max_connections.get().min(WARM);
    until_reached(Instant::now() + max_wait, async || match try_join_all((0..warm).map(|_| connections.get())).await {
        Ok(_) => Ok(()),
        Err(PoolError::Backend(error)) => Err(StartupError::connecting(settings, &error)),
        Err(error) => Err(StartupError::unreachable(settings, error.to_string())),
    })
    .await?;
    Ok(Pool { connections, probe: Arc::new(ModeProbe::new(opener)), statement_timeout: settings.statement_timeout })
}

impl Pool {
    pub(crate) async fn connection(&self) -> Result<PooledConnection, Error> {
        Ok(self.connections.get().await?)
    }

    /// Returns whether the database responds, and whether new sessions can write.
    ///
    /// # Errors
    /// Returns an error if the database is unreachable.
    pub async fn mode(&self) -> Result<DatabaseMode, Error> {
        self.probe.mode().await
    }

    /// Runs `read`, and returns whether a standby may have answered it. A standby may lack changes that the primary has
    /// acknowledged before the read began, so what was read must not be kept.
    ///
    /// A standby that was promoted is noticed after about a second.
    pub async fn may_lag<T>(&self, read: impl Future<Output = T>) -> (T, bool) {
        let before = self.probe.generation();
        let value = read.await;
        // A connection of `read` belongs to one of the two.
        let may_lag = before.has_standby() || self.probe.generation().has_standby();
        if may_lag {
            // Otherwise, a promotion might not be noticed while there is neither a write nor a check of the readiness.
            self.probe.check_in_background();
        }
        (value, may_lag)
    }

    /// Returns the SQLSTATE with which Postgres has last refused a statement of the last 5 s because it lacks a permission,
    /// a table, a function or a schema; `None` if there was no such statement.
    pub fn denied_access(&self) -> Option<String> {
        self.probe.denied_access()
    }

    /// Returns how many requests currently wait for a connection, because all connections are in use.
    pub fn waiting(&self) -> usize {
        self.connections.status().waiting
    }
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = ConnectError;

    async fn create(&self) -> Result<Connection, ConnectError> {
        // On the heap: connecting is rare, and its future would enlarge the future of every query by some kilobytes.
        Box::pin(self.0.open()).await
    }

    /// Checks the connection without a query: a query before each query would double the cost of a read.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<ConnectError> {
        if std::thread::panicking() || !connection.is_usable() {
            return Err(RecycleError::message("not to be used any more"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("status", &self.connections.status()).finish_non_exhaustive()
    }
}
