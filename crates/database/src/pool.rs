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

/// Connections that are opened at the start: an outage of Redis should not have to wait for logins.
const WARM: usize = 8;

/// How much longer than a statement may take it takes until a connection without any answer is closed.
pub(crate) const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// Connections to the service's own database. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    connections: managed::Pool<Manager>,
    pub(crate) probe: Arc<ModeProbe>,
}

/// A connection that goes back to the pool when it is dropped.
pub(crate) type PooledConnection = managed::Object<Manager>;

/// How connections are made, and which ones are still to be used.
pub(crate) struct Connector {
    url: String,
    setup: String,
    limits: Limits,
    wait_timeout: Duration,
    /// Raised when connections that were made before are not to be used any more.
    generation: AtomicU64,
}

/// How long statements may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// As Postgres keeps it.
    statement: Option<Duration>,
}

/// A connection of the pool.
pub(crate) struct Connection {
    pub(crate) session: AsyncPgConnection,
    pub(crate) connection_state: Arc<ConnectionState>,
    generation: u64,
}

pub(crate) struct Manager(Arc<Connector>);

/// Builds the pool and opens the first connections, so that a wrong setting shows at the start.
///
/// `service` is the name under which `pg_stat_activity` shows them.
///
/// # Errors
/// When the database cannot be reached, or refuses the login.
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
        // The one that was used last: its statements are prepared, and its process is awake.
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

    /// How many requests wait for a connection just now, because all are in use.
    pub fn waiting(&self) -> usize {
        self.connections.status().waiting
    }
}

impl Connector {
    /// Opens one more connection, inside of the pool or beside it.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<Connection, ConnectError> {
        // Before it is opened: what changes meanwhile makes it an old one.
        let generation = self.generation.load(Ordering::Acquire);
        let opener = Arc::downgrade(self);
        // Those that are idle have been left alone as well.
        let on_dead_connection = move || {
            if let Some(opener) = opener.upgrade() {
                opener.renew();
            }
        };
        let NewConnection { session, connection_state } =
            open(&self.url, &self.setup, self.limits.silence(), on_dead_connection).await?;
        Ok(Connection { session, connection_state, generation })
    }

    /// Connections that were made until now are closed as soon as they are idle.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn wait_timeout(&self) -> Duration {
        self.wait_timeout
    }
}

impl Connection {
    /// Closes the statements that are prepared. They are prepared anew when they are used next.
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
        // On the heap: it is rare, and would make the future of every query, which holds it, some kilobytes larger.
        Box::pin(self.0.open()).await
    }

    /// Asks nothing of Postgres: a query before each query would double what a read costs.
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

    /// How long Postgres may owe an answer without any sign of life.
    pub(crate) fn silence(self) -> Option<Duration> {
        self.statement.map(|statement| statement + ANSWER_MARGIN)
    }

    /// For this session with `SET`, for this transaction with `SET LOCAL`.
    pub(crate) fn sql(self, set: &str) -> String {
        let milliseconds = |limit: Option<Duration>| limit.map_or(0, |limit| limit.as_millis());
        // Also the same seen from Postgres: a client that has vanished within a transaction would keep its locks, and with
        // them the rows, from everybody else for as long as TCP does not notice.
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
