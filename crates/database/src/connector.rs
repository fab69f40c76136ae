//! Opens the connections of one process, inside and outside the pool, and determines which of them remain usable.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::CacheSize;
use diesel_async::{AsyncConnection, AsyncPgConnection, TransactionManager};

use crate::connect::{ConnectError, NewConnection, open};
use crate::settings::PostgresSettings;
use crate::watchdog::{ConnectionState, Generation};

/// How much longer than the statement timeout a connection may stay silent before it is closed.
pub(crate) const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// Opens connections, and determines which existing ones remain usable.
pub(crate) struct Connector {
    url: String,
    setup: String,
    limits: Limits,
    wait_timeout: Duration,
    /// The generation of new connections.
    generation: Mutex<Arc<Generation>>,
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
}

impl Connector {
    /// Creates a connector. `service` is the name of the connections in `pg_stat_activity`.
    pub(crate) fn new(settings: &PostgresSettings, service: &str) -> Self {
        let limits = Limits::of(Some(settings.statement_timeout).filter(|timeout| !timeout.is_zero()));
        Self {
            url: settings.url.clone(),
            setup: format!("SET application_name = '{service}'; {}", limits.session_sql()),
            limits,
            wait_timeout: settings.wait_timeout,
            generation: Mutex::default(),
        }
    }

    /// Opens a connection, inside or outside the pool.
    pub(crate) async fn open(&self) -> Result<Connection, ConnectError> {
        // Before the connection opens: if the generation ends in the meantime, the connection belongs to the old one.
        let generation = self.generation();
        let NewConnection { session, connection_state } =
            open(&self.url, &self.setup, self.limits.silence(), generation).await?;
        Ok(Connection { session, connection_state })
    }

    /// Invalidates all existing connections; they are closed as soon as they are idle.
    pub(crate) fn renew(&self) {
        self.generation().end();
    }

    /// Returns the current generation, a new one if the last is over.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if !generation.is_current() {
            *generation = Arc::default();
        }
        Arc::clone(&generation)
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

    pub(crate) fn is_usable(&mut self) -> bool {
        type Transactions = <AsyncPgConnection as AsyncConnection>::TransactionManager;
        self.connection_state.is_usable()
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

    /// Returns the SQL for the limits of a session.
    fn session_sql(self) -> String {
        // Also the opposite direction: if a client vanishes within a transaction, it would keep its locks, and so block
        // the rows for all other clients, until TCP notices.
        let silence = milliseconds(self.silence());
        format!("SET {}; SET idle_in_transaction_session_timeout = {silence}", self.statement_timeout())
    }

    /// Returns the SQL for the limits of one transaction. Its client may not be idle for longer than in other ones.
    pub(crate) fn transaction_sql(self) -> String {
        format!("SET LOCAL {}", self.statement_timeout())
    }

    fn statement_timeout(self) -> String {
        format!("statement_timeout = {}", milliseconds(self.statement))
    }
}

fn milliseconds(limit: Option<Duration>) -> u128 {
    limit.map_or(0, |limit| limit.as_millis())
}
