//! The checks of a service's own database: whether it responds, whether it is writable, whether its tables can be
//! used, whether the pool has connections to spare.
//!
//! Only the first check is required. A pool whose connections are all in use must not make every replica unready at
//! once, and a database that is read-only (during a failover) or whose disk is full still serves reads.
//! A statement that lacks a permission or a table may belong to a single route.

use std::time::Duration;

use database::{DatabaseMode, Pool};

use super::{Check, Readiness};

/// Shorter than the time that the `healthcheck` command waits for the whole report. No check waits for a connection of
/// the pool.
const LIMIT: Duration = Duration::from_millis(1_800);

impl Readiness {
    /// Adds the database of `pool`: required as `postgres`, and preferred as `postgres-writes`, `postgres-access` and
    /// `postgres-pool`.
    #[must_use]
    pub fn requires_database(self, pool: &Pool) -> Self {
        let (answers, writes, access, spare) = (pool.clone(), pool.clone(), pool.clone(), pool.clone());
        self.requires(Check::new("postgres", LIMIT, move || {
            let pool = answers.clone();
            async move { pool.mode().await.map(drop) }
        }))
        .prefers(
            Check::new("postgres-writes", LIMIT, move || {
                let pool = writes.clone();
                async move {
                    match pool.mode().await {
                        Ok(mode) => can_write(mode),
                        Err(_) => Err("the database does not answer"),
                    }
                }
            })
            .public(),
        )
        .prefers(Check::of_state("postgres-access", move || may_access(access.denied_access())))
        .prefers(Check::of_state("postgres-pool", move || is_spare(spare.waiting())))
    }
}

fn can_write(mode: DatabaseMode) -> Result<(), &'static str> {
    match mode {
        DatabaseMode::Writable => Ok(()),
        DatabaseMode::Standby => Err("the database is a read-only standby; reads are served, writes are refused"),
        DatabaseMode::ReadOnly => Err("the database is read-only; reads are served, writes are refused"),
        DatabaseMode::DiskFull => {
            Err("the disk of the database was full for a write of the last 10 s; reads are served")
        }
        DatabaseMode::NoConnectionLeft => Err("the database has no connection to spare"),
        DatabaseMode::LoginRefused => {
            Err("the database refuses new logins; requests use the open connections while there are any")
        }
    }
}

fn may_access(denied: Option<String>) -> Result<(), String> {
    match denied {
        None => Ok(()),
        Some(sqlstate) => Err(format!(
            "a statement of the last 5 s lacked a permission, a table, a function or a schema (SQLSTATE {sqlstate}); \
             requests that need it fail"
        )),
    }
}

fn is_spare(waiting: usize) -> Result<(), String> {
    if waiting == 0 {
        return Ok(());
    }
    Err(format!("all connections of the pool are in use; requests that wait for one: {waiting}"))
}
