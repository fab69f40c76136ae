//! Determines whether the database responds, and whether it is writable.
//!
//! The probe uses a connection outside the pool: a pool whose connections are all in use says nothing about the
//! database. An old session says little about new ones: `default_transaction_read_only` is applied when a session
//! begins, and a session with a demoted primary stays there. So the probe renews its connection regularly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::connector::{Connection, Connector};
use crate::error::Error;
use crate::sql::sql;
use crate::sqlstate::ErrorClass;
use crate::watchdog::Generation;

/// How long one session is used for the probe.
const RENEWED_AFTER: Duration = Duration::from_secs(5);

/// The minimum interval between two checks whether a read-only database is writable again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long the database counts as full after it has refused a write for this reason. Nothing but another write shows
/// whether the disk is still full.
const DISK_FULL_FOR: Duration = Duration::from_secs(10);

/// How long access counts as denied after a statement has failed for this reason. Nothing but another statement shows
/// whether it is still denied.
const ACCESS_DENIED_FOR: Duration = Duration::from_secs(5);

/// The capabilities of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseMode {
    /// Reads and writes.
    Writable,
    /// Reads: the database is a standby, or a former primary.
    Standby,
    /// Reads: new sessions are read-only (`default_transaction_read_only`).
    ReadOnly,
    /// Reads: the disk was full for a write of the last ten seconds.
    DiskFull,
    /// The database responds, but has no connection left; those of the pool remain usable.
    NoConnectionLeft,
    /// The database refuses new logins, such as after a change of the password; open connections remain usable.
    LoginRefused,
}

/// Probes the database outside the pool.
pub(crate) struct ModeProbe {
    opener: Arc<Connector>,
    /// The session of the probe, and when it was opened.
    session: tokio::sync::Mutex<Option<(Connection, Instant)>>,
    /// Set while writes are refused.
    read_only: Mutex<Option<ReadOnly>>,
    /// Held while new sessions are checked for a write.
    asking: tokio::sync::Mutex<()>,
    /// When a check last found that they can write.
    writable_at: Mutex<Option<Instant>>,
    /// When a write was last refused because the disk is full.
    disk_full_at: Mutex<Option<Instant>>,
    /// When a statement last lacked a permission, a table, a function or a schema, and its SQLSTATE.
    access_denied: Mutex<Option<(Instant, String)>>,
}

#[derive(Clone, Copy)]
struct ReadOnly {
    looked_at: Instant,
    /// Whether not only one session, but also new sessions are read-only.
    is_confirmed: bool,
}

#[derive(diesel::QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    in_recovery: bool,
    #[diesel(sql_type = Bool)]
    read_only: bool,
}

impl ModeProbe {
    pub(crate) fn new(opener: Arc<Connector>) -> Self {
        Self {
            opener,
            session: tokio::sync::Mutex::default(),
            read_only: Mutex::new(None),
            asking: tokio::sync::Mutex::default(),
            writable_at: Mutex::new(None),
            disk_full_at: Mutex::new(None),
            access_denied: Mutex::new(None),
        }
    }

    /// Returns whether the database responds, and whether new sessions can write.
    pub(crate) async fn mode(&self) -> Result<DatabaseMode, Error> {
        let answer = self.ask(&mut *self.session.lock().await).await;
        if let Ok(mode) = answer {
            self.note(mode);
        }
        match answer {
            Ok(DatabaseMode::Writable) if self.is_disk_full() => Ok(DatabaseMode::DiskFull),
            answer => answer,
        }
    }

    /// Returns the generation of new connections.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.opener.generation()
    }

    /// Records that a write was refused because the disk is full.
    pub(crate) fn note_full_disk(&self) {
        let was_full = self.is_disk_full();
        *self.disk_full_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if !was_full {
            warn!("the disk of the database is full; a write was refused");
        }
    }

    fn is_disk_full(&self) -> bool {
        let at = *self.disk_full_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.is_some_and(|at| at.elapsed() < DISK_FULL_FOR)
    }

    /// Records the SQLSTATE of a statement that lacked a permission, a table, a function or a schema.
    pub(crate) fn note_denied_access(&self, sqlstate: &str) {
        let denied = (Instant::now(), sqlstate.to_owned());
        *self.access_denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(denied);
    }

    /// Returns the SQLSTATE of the last such statement, if it is recent.
    pub(crate) fn denied_access(&self) -> Option<String> {
        let denied = self.access_denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.as_ref().filter(|(at, _)| at.elapsed() < ACCESS_DENIED_FOR).map(|(_, sqlstate)| sqlstate.clone())
    }

    async fn ask(&self, session: &mut Option<(Connection, Instant)>) -> Result<DatabaseMode, Error> {
        let is_suspect = self.read_only.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let mut kept = session.take();
        // Postgres may have ended the kept session in the meantime.
        if let Some((connection, since)) = &mut kept
            && !is_suspect
            && since.elapsed() < RENEWED_AFTER
            && let Ok(DatabaseMode::Writable) = mode(&mut connection.session).await
        {
            *session = kept;
            return Ok(DatabaseMode::Writable);
        }
        let opened = match self.open().await {
            // The kept session may be the one that is too many.
            Err(error) if error.is_out_of_connections() && kept.take().is_some() => self.open().await,
            opened => opened,
        };
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) if error.is_out_of_connections() => return Ok(DatabaseMode::NoConnectionLeft),
            Err(error) => {
                // Those of the pool began before the refusal, too.
                if let (true, Some((connection, _))) = (error.is_refused_login(), &mut kept)
                    && mode(&mut connection.session).await.is_ok()
                {
                    *session = kept;
                    return Ok(DatabaseMode::LoginRefused);
                }
                return Err(error);
            }
        };
        let mode = mode(&mut connection.session).await?;
        *session = Some((connection, Instant::now()));
        Ok(mode)
    }

    /// Returns whether new sessions can write, after a write was refused because its session is read-only. If they can,
    /// the old sessions are replaced. If they cannot, the check is repeated once a second at most, not for each write.
    /// Writes that are refused at the same time wait for one check.
    pub(crate) async fn new_sessions_can_write(&self) -> bool {
        let refused = Instant::now();
        let _turn = self.asking.lock().await;
        {
            let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
            match *read_only {
                // The check of another write has ended after this one was refused.
                None if self
                    .writable_at
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .is_some_and(|at| at > refused) =>
                {
                    return true;
                }
                Some(read_only) if read_only.looked_at.elapsed() < ASKED_AGAIN_AFTER => return false,
                _ => {}
            }
            let is_confirmed = read_only.is_some_and(|read_only| read_only.is_confirmed);
            *read_only = Some(ReadOnly { looked_at: Instant::now(), is_confirmed });
        }
        let asked = async { mode(&mut self.open().await?.session).await };
        match asked.await {
            Ok(mode) => {
                self.note(mode);
                mode == DatabaseMode::Writable
            }
            Err(_) => false,
        }
    }

    /// Checks new sessions as [`new_sessions_can_write`](Self::new_sessions_can_write), unless such a check is under way.
    pub(crate) fn check_in_background(self: &Arc<Self>) {
        if self.asking.try_lock().is_ok() {
            let probe = Arc::clone(self);
            tokio::spawn(async move { probe.new_sessions_can_write().await });
        }
    }

    /// Records the mode of new sessions.
    fn note(&self, mode: DatabaseMode) {
        let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        match mode {
            DatabaseMode::Writable => {
                *self.writable_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                if read_only.take().is_some() {
                    self.opener.renew();
                    info!("the database accepts writes again; read-only sessions are replaced");
                }
            }
            DatabaseMode::Standby | DatabaseMode::ReadOnly => {
                let known = read_only.replace(ReadOnly { looked_at: Instant::now(), is_confirmed: true });
                if !known.is_some_and(|read_only| read_only.is_confirmed) {
                    warn!(?mode, "the database is read-only; writes are refused until it accepts them");
                }
            }
            DatabaseMode::DiskFull | DatabaseMode::NoConnectionLeft | DatabaseMode::LoginRefused => {}
        }
    }

    async fn open(&self) -> Result<Connection, Error> {
        let limit = self.opener.wait_timeout();
        match timeout(limit, self.opener.open()).await {
            Ok(opened) => Ok(opened?),
            Err(_) => Err(Error::without_sqlstate(ErrorClass::Unavailable, format!("no connection within {limit:?}"))),
        }
    }
}

/// Queries the mode of a session.
pub(crate) async fn mode(session: &mut AsyncPgConnection) -> Result<DatabaseMode, Error> {
    let question =
        "SELECT pg_is_in_recovery() AS in_recovery, current_setting('transaction_read_only') = 'on' AS read_only";
    let answer: Answer = sql(question).get_result(session).await?;
    Ok(match answer {
        Answer { in_recovery: true, .. } => DatabaseMode::Standby,
        Answer { read_only: true, .. } => DatabaseMode::ReadOnly,
        Answer { .. } => DatabaseMode::Writable,
    })
}
