//! The attempts to run some work, and whether a failed one is followed by another.

use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::error::{AsDatabaseError, Error};
use crate::pool::{Pool, PooledConnection};
use crate::sqlstate::ErrorClass;

/// The maximum number of attempts.
const ATTEMPTS: u32 = 5;

/// The maximum pause before the second attempt; the maximum doubles with each further attempt.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// No attempt begins later than this after the first one.
const MAX_RETRY_TIME: Duration = Duration::from_secs(5);

/// What an attempt has changed in the database if its session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: the work only reads, or its transaction was not to be committed yet.
    None,
    /// Possibly something.
    Unknown,
}

/// The attempts to run some work; see `work.rs`.
pub(crate) struct Attempts<'p> {
    pool: &'p Pool,
    began: Instant,
    number: u32,
    pause: Duration,
    reusable: Option<PooledConnection>,
    has_lost_session: bool,
}

impl<'p> Attempts<'p> {
    pub(crate) fn on(pool: &'p Pool) -> Self {
        Self { pool, began: Instant::now(), number: 0, pause: FIRST_BACKOFF, reusable: None, has_lost_session: false }
    }

    /// Returns the connection for the next attempt.
    pub(crate) async fn connection(&mut self) -> Result<PooledConnection, Error> {
        self.number += 1;
        let connection = match self.reusable.take() {
            Some(connection) => connection,
            None => self.pool.connection().await?,
        };
        connection.connection_state.clear_errors();
        Ok(connection)
    }

    /// Completes the error, and returns whether to retry. Waits for the pause before a retry.
    pub(crate) async fn may_repeat<E: AsDatabaseError>(
        &mut self, mut connection: PooledConnection, error: &mut E, effect: Effect,
    ) -> bool {
        let Some(cause) = error.database_error() else { return false };
        cause.complete(&connection.connection_state.server_errors());
        if let Some(sqlstate) = cause.denied_access() {
            self.pool.probe.note_denied_access(sqlstate);
        }
        if self.number >= ATTEMPTS || self.began.elapsed() >= MAX_RETRY_TIME {
            return false;
        }
        match cause.class() {
            ErrorClass::StalePlan => {
                connection.clear_prepared();
                self.reusable = Some(connection);
            }
            ErrorClass::Contention => {
                debug!(%cause, attempt = self.number, "Postgres rolled back a transaction for a temporary reason; it is retried");
                drop(connection);
                let jittered = rand::rng().random_range(Duration::ZERO..self.pause);
                sleep(jittered).await;
                self.pause *= 2;
            }
            ErrorClass::ReadOnly => {
                drop(connection);
                return self.pool.probe.new_sessions_can_write().await;
            }
            ErrorClass::Unavailable
                if effect == Effect::None
                    && cause.has_ended_session()
                    && !connection.connection_state.has_lost_server()
                    && !self.has_lost_session =>
            {
                // Postgres has ended this session, and probably the idle ones as well. The pool may not have noticed that yet.
                connection.connection_state.end_generation();
                self.has_lost_session = true;
            }
            _ => return false,
        }
        true
    }
}
