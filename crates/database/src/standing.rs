//! Whether the database answers, and whether it can be written to.
//!
//! Asked on a connection beside the pool: a pool whose connections are all in use says nothing about the database. The
//! answer of an old session says little about new ones (`default_transaction_read_only` is taken over when a session begins,
//! and a session with a demoted primary stays there), so the connection is made anew all the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::error::Error;
use crate::pool::{Connection, Opener, Pool};
use crate::sql;
use crate::sqlstate::Class;

/// How long one session is asked.
const RENEWED_AFTER: Duration = Duration::from_secs(5);

/// A read-only database is asked so often at most whether it can be written to again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the database can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Reads and writes.
    Writable,
    /// Reads: it is a standby, or was a primary before.
    Standby,
    /// Reads: new sessions are read-only (`default_transaction_read_only`).
    ReadOnly,
    /// It answers, and has no connection to spare: those of the pool are still good.
    NoConnectionLeft,
}

/// Asks the database beside the pool.
pub(crate) struct Probe {
    opener: Arc<Opener>,
    /// The session that is asked, and since when.
    session: tokio::sync::Mutex<Option<(Connection, Instant)>>,
    /// While writes are refused.
    read_only: Mutex<Option<ReadOnly>>,
}

#[derive(Clone, Copy)]
struct ReadOnly {
    looked_at: Instant,
    /// Not only one session, but new ones, too.
    is_confirmed: bool,
}

#[derive(diesel::QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    in_recovery: bool,
    #[diesel(sql_type = Bool)]
    read_only: bool,
}

impl Pool {
    /// Whether the database answers, and whether new sessions can write.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn standing(&self) -> Result<Standing, Error> {
        self.probe.standing().await
    }
}

impl Probe {
    pub(crate) fn new(opener: Arc<Opener>) -> Self {
        Self { opener, session: tokio::sync::Mutex::default(), read_only: Mutex::new(None) }
    }

    async fn standing(&self) -> Result<Standing, Error> {
        let answer = self.ask(&mut *self.session.lock().await).await;
        if let Ok(standing) = answer {
            self.note(standing);
        }
        answer
    }

    async fn ask(&self, session: &mut Option<(Connection, Instant)>) -> Result<Standing, Error> {
        let is_suspect = self.read_only.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let kept = session.take().filter(|(_, since)| !is_suspect && since.elapsed() < RENEWED_AFTER);
        // A session that was kept may have been ended meanwhile.
        if let Some((mut connection, since)) = kept
            && let Ok(Standing::Writable) = standing(&mut connection.session).await
        {
            *session = Some((connection, since));
            return Ok(Standing::Writable);
        }
        let mut connection = match self.open().await {
            Ok(connection) => connection,
            Err(error) if error.is_out_of_connections() => return Ok(Standing::NoConnectionLeft),
            Err(error) => return Err(error),
        };
        let standing = standing(&mut connection.session).await?;
        *session = Some((connection, Instant::now()));
        Ok(standing)
    }

    /// A write was refused, because its session is read-only. Returns whether new ones are not; then the old ones are
    /// replaced. While they are, that is looked at once a second, and not for each write.
    pub(crate) async fn new_sessions_can_write(&self) -> bool {
        {
            let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
            if read_only.is_some_and(|read_only| read_only.looked_at.elapsed() < ASKED_AGAIN_AFTER) {
                return false;
            }
            let is_confirmed = read_only.is_some_and(|read_only| read_only.is_confirmed);
            *read_only = Some(ReadOnly { looked_at: Instant::now(), is_confirmed });
        }
        let asked = async { standing(&mut self.open().await?.session).await };
        match asked.await {
            Ok(standing) => {
                self.note(standing);
                standing == Standing::Writable
            }
            Err(_) => false,
        }
    }

    /// Notes how new sessions are.
    fn note(&self, standing: Standing) {
        let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        match standing {
            Standing::Writable => {
                if read_only.take().is_some() {
                    self.opener.renew();
                    info!("the database can be written to; sessions that cannot are replaced");
                }
            }
            Standing::Standby | Standing::ReadOnly => {
                let known = read_only.replace(ReadOnly { looked_at: Instant::now(), is_confirmed: true });
                if !known.is_some_and(|read_only| read_only.is_confirmed) {
                    warn!(?standing, "the database is read-only; writes are refused until it is not");
                }
            }
            Standing::NoConnectionLeft => {}
        }
    }

    async fn open(&self) -> Result<Connection, Error> {
        let limit = self.opener.wait_timeout();
        match timeout(limit, self.opener.open()).await {
            Ok(opened) => Ok(opened?),
            Err(_) => Err(Error::without_sqlstate(Class::Unavailable, format!("no connection within {limit:?}"))),
        }
    }
}

/// What a session can do.
pub(crate) async fn standing(session: &mut AsyncPgConnection) -> Result<Standing, Error> {
    let question =
        "SELECT pg_is_in_recovery() AS in_recovery, current_setting('transaction_read_only') = 'on' AS read_only";
    let answer: Answer = sql(question).get_result(session).await?;
    Ok(match answer {
        Answer { in_recovery: true, .. } => Standing::Standby,
        Answer { read_only: true, .. } => Standing::ReadOnly,
        Answer { .. } => Standing::Writable,
    })
}
