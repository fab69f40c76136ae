//! The connections that the requests of one process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, PoolError, QueueMode, RecycleError, RecycleResult};
use diesel::connection::CacheSize;
use diesel_async::{AsyncConnection, AsyncPgConnection, TransactionManager};
use futures_util::future::try_join_all;

use crate::connect::{ConnectError, NewConnection, open};
use crate::error::Error;
use crate::mode::ModeProbe;
use crate::watchdog::ConnectionState;
use crate::{PostgresSettings, StartupError};

/// Connections that are opened at the start, so that requests do not wait for logins during an outage of Redis.
const WARM: usize = 8;

/// How much longer than the statement timeout a connection may stay silent before it is closed.
pub(crate) const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// Connections to the service's own database. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    connections: managed::Pool<Manager>,
    pub(crate) probe: Arc<ModeProbe>,
}

/// A connection that returns to the pool when it is dropped.
pub(crate) type PooledConnection = managed::Object<Manager>;

/// Opens connections, and determines which existing ones remain usable.
pub(crate) struct Connector {
    url: String,
    setup: String,
    limits: Limits,
    wait_timeout: Duration,
    /// Incremented when the existing connections must no longer be used.
    generation: AtomicU64,
}

/// The time limits of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The limit that Postgres enforces.
    statement: Option<Duration>,
}

/// A connection of the pool.
pub(crate) struct Connection {
    pub(crate) session: AsyncPgConnection,
    pub(crate) connection_state: Arc<ConnectionState>,
    generation: u64,
}

pub(crate) struct Manager(Arc<Connector>);

/// Builds the pool and opens the first connections, so that a wrong setting is reported at the start.
///
/// `service` is the name of the connections in `pg_stat_activity`.
///
/// # Errors
/// Returns an error if the database is unreachable, or refuses the login.
pub async fn connect(settings: &PostgresSettings, service: &str) -> Result<Pool, StartupError> {
    let timeout = settings.statement_timeout;
    let limits = Limits::of(Some(timeout).filter(|timeout| !timeout.is_zero()));
    let opener = Arc::new(Connector {
        url: settings.url.clone(),
        setup: format!("SET application_name = '{service}'; {}", limits.sql("SET")),
        limits,
        wait_timeout: settings.wait_timeout,
        generation: AtomicU64::new(0),
    });
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
    match try_join_all((0..warm).map(|_| connections.get())).await {
        Ok(_) => Ok(Pool { connections, probe: Arc::new(ModeProbe::new(opener)) }),
        Err(PoolError::Backend(error)) => Err(StartupError::connecting(settings, &error)),
        Err(error) => Err(StartupError::unreachable(settings, error.to_string())),
    }
}

impl Pool {
    pub(crate) async fn connection(&self) -> Result<PooledConnection, Error> {
        Ok(self.connections.get().await?)
    }

    /// Returns how many requests currently wait for a connection, because all connections are in use.
    pub fn waiting(&self) -> usize {
        self.connections.status().waiting
    }
}

impl Connector {
    /// Opens a connection, inside or outside the pool.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<Connection, ConnectError> {
        // Read before the connection opens: if the generation changes in the meantime, the connection is an old one.
        let generation = self.generation.load(Ordering::Acquire);
        let opener = Arc::downgrade(self);
        // The idle connections have lost their server as well.
        let on_dead_connection = move || {
            if let Some(opener) = opener.upgrade() {
                opener.renew();
            }
        };
        let NewConnection { session, connection_state } =
            open(&self.url, &self.setup, self.limits.silence(), on_dead_connection).await?;
        Ok(Connection { session, connection_state, generation })
    }

    /// Invalidates all existing connections; they are closed as soon as they are idle.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn wait_timeout(&self) -> Duration {
        self.wait_timeout
    }
}

impl Connection {
    /// Closes the prepared statements. They are prepared again on their next use.
    pub(crate) fn clear_prepared(&mut self) {
        self.session.set_prepared_statement_cache_size(CacheSize::Disabled);
        self.session.set_prepared_statement_cache_size(CacheSize::Unbounded);
    }

    fn is_usable(&mut self, opener: &Connector) -> bool {
        type Transactions = <AsyncPgConnection as AsyncConnection>::TransactionManager;
        !self.connection_state.is_closed()
            && self.generation == opener.generation.load(Ordering::Acquire)
            && !<Transactions as TransactionManager<AsyncPgConnection>>::is_broken_transaction_manager(
                &mut self.session,
            )
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
        if std::thread::panicking() || !connection.is_usable(&self.0) {
            return Err(RecycleError::message("not to be used any more"));
        }
        Ok(())
    }
}

impl Limits {
    pub(crate) fn of(statement: Option<Duration>) -> Self {
        Self { statement }
    }

    /// Returns how long Postgres may leave a request unanswered without sending anything.
    pub(crate) fn silence(self) -> Option<Duration> {
        self.statement.map(|statement| statement + ANSWER_MARGIN)
    }

    /// Returns the SQL for the limits: for this session with `SET`, for this transaction with `SET LOCAL`.
    pub(crate) fn sql(self, set: &str) -> String {
        let milliseconds = |limit: Option<Duration>| limit.map_or(0, |limit| limit.as_millis());
        // Also the opposite direction: if a client vanishes within a transaction, it would keep its locks, and so block
        // the rows for all other clients, until TCP notices.
        format!(
            "{set} statement_timeout = {}; {set} idle_in_transaction_session_timeout = {}",
            milliseconds(self.statement),
            milliseconds(self.silence())
        )
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("status", &self.connections.status()).finish_non_exhaustive()
    }
}
