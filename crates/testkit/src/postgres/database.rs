//! A database of one test, and functions that inspect and delay it.

use anyhow::{Result, anyhow};
use tokio_postgres::{Client, NoTls};

use super::{Postgres, query, shared_database};
use crate::eventually::{SOON, eventually};

/// A database, which is accessed as a superuser.
#[derive(Debug)]
pub struct Database(String);

/// A lock that a test holds, on tables, on rows or an advisory one. A session that needs it waits until it is released.
#[derive(Debug)]
pub struct HeldLock(Client);

impl Database {
    /// Creates an empty database on the server that all tests of this process share.
    ///
    /// # Panics
    /// Panics if no server can be started or no database can be created.
    pub async fn shared() -> Self {
        Self(shared_database().await)
    }

    /// Creates an empty database on a server that the test may stop.
    ///
    /// # Panics
    /// Panics if the server refuses it.
    pub async fn on(postgres: &Postgres, name: &str) -> Self {
        Self(postgres.create_database(name).await.expect("a new cluster has no such database"))
    }

    /// Returns its address.
    pub fn url(&self) -> &str {
        &self.0
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Runs SQL and returns one line per row, with columns separated by `|`.
    ///
    /// # Panics
    /// Panics if the database refuses it.
    pub async fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).await.expect("the test's own SQL")
    }

    /// Runs SQL that the database may refuse.
    ///
    /// # Errors
    /// Returns the error of the server or of the connection.
    pub async fn try_sql(&self, sql: &str) -> Result<String> {
        query::run(&self.0, sql).await.map_err(|error| anyhow!("{}: {sql}: {error:#}", self.name()))
    }

    /// Runs a statement that takes a lock, in a transaction that lasts until the release.
    ///
    /// # Panics
    /// Panics if the database refuses it.
    pub async fn lock(&self, statement: &str) -> HeldLock {
        let (client, connection) = tokio_postgres::connect(&self.0, NoTls).await.expect("the database is there");
        // It ends with the client.
        tokio::spawn(connection);
        client.batch_execute(&format!("BEGIN; {statement}")).await.expect("no other session holds the lock for long");
        HeldLock(client)
    }

    /// Returns how many statements of sessions with this application name wait for a lock.
    pub async fn waiting(&self, application: &str) -> usize {
        let waiting = format!("SELECT count(*) FROM pg_stat_activity {}", waits(application));
        self.sql(&waiting).await.parse().expect("a count")
    }

    /// Waits until that many statements of sessions with this application name wait for a lock.
    pub async fn until_waiting(&self, application: &str, count: usize) {
        let what = format!("{count} statements that wait for a lock");
        eventually(&what, SOON, async || self.waiting(application).await == count).await;
    }

    /// Ends the sessions with this application name that wait for a lock: otherwise Postgres would execute the
    /// statements of a killed process as soon as it can.
    pub async fn end_waiting(&self, application: &str) {
        self.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity {}", waits(application))).await;
    }

    /// Waits until the relay has appended every event of the database's outbox to the stream.
    pub async fn until_published(&self) {
        let waiting = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
        eventually("every event to be published", SOON, async || self.sql(waiting).await == "0").await;
    }

    /// Returns the number of the last event in the database's outbox.
    pub async fn last_event(&self) -> u64 {
        self.sql("SELECT seq FROM outbox_head").await.parse().expect("a number")
    }
}

impl HeldLock {
    /// Commits the transaction that holds the lock.
    ///
    /// # Panics
    /// Panics if the session has ended.
    pub async fn release(self) {
        self.0.batch_execute("COMMIT").await.expect("the lock's session lives");
    }
}

fn waits(application: &str) -> String {
    format!("WHERE datname = current_database() AND application_name = '{application}' AND wait_event_type = 'Lock'")
}
