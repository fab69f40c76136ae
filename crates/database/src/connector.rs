//! Opens the connections of one process, inside and outside the pool, and determines which of them remain usable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::CacheSize;
use diesel_async::{AsyncConnection, AsyncPgConnection, TransactionManager};

use crate::connect::{ConnectError, NewConnection, open};
use crate::settings::PostgresSettings;
use crate::watchdog::ConnectionState;

/// How much longer than the statement timeout a connection may stay silent before it is closed.
pub(crate) const ANSWER_MARGIN: Duration = Duration::from_secs(2);

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

impl Connector {
    /// Creates a connector. `service` is the name of the connections in `pg_stat_activity`.
    pub(crate) fn new(settings: &PostgresSettings, service: &str) -> Self {
        let limits = Limits::of(Some(settings.statement_timeout).filter(|timeout| !timeout.is_zero()));
        Self {
            url: settings.url.clone(),
            setup: format!("SET application_name = '{service}'; {}", limits.sql("SET")),
            limits,
            wait_timeout: settings.wait_timeout,
            generation: AtomicU64::new(0),
        }
    }

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

    pub(crate) fn is_usable(&mut self, opener: &Connector) -> bool {
        type Transactions = <AsyncPgConnection as AsyncConnection>::TransactionManager;
        !self.connection_state.is_closed()
            && self.generation == opener.generation.load(Ordering::Acquire)
            && !<Transactions as TransactionManager<AsyncPgConnection>>::is_broken_transaction_manager(
                &mut self.session,
            )
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
