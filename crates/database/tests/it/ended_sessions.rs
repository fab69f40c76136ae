//! Postgres ends sessions: a restart, an administrator, or an idle limit. The next use of the pool does not fail for it.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use database::{Error, Pool, sql};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::support::{Database, Name};

const OPEN: usize = 4;

/// Ends all sessions of the pool. The pool may not have noticed that when this returns.
async fn end_sessions(database: &Database) {
    let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.sql(&format!("SELECT count(pg_terminate_backend(pid)) {others}")).await;
}

async fn name(connection: &mut AsyncPgConnection) -> Result<Name, Error> {
    Ok(sql("SELECT name FROM things").get_result(connection).await?)
}

async fn things() -> (Database, Pool) {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (name text); INSERT INTO things VALUES ('thing')").await;
    let pool = database.pool(OPEN as u32).await;
    (database, pool)
}

#[tokio::test]
async fn ended_sessions_fail_no_read() {
    let (database, pool) = things().await;
    for round in 0..20 {
        end_sessions(&database).await;
        let reads = (0..OPEN).map(|_| pool.read(async |connection: &mut AsyncPgConnection| name(connection).await));
        for read in futures_util::future::join_all(reads).await {
            assert_eq!(read.unwrap_or_else(|error| panic!("round {round}: {error}")).name, "thing");
        }
    }
}

#[tokio::test]
async fn ended_sessions_fail_no_transaction() {
    let (database, pool) = things().await;
    for round in 0..20 {
        end_sessions(&database).await;
        let add = async |connection: &mut AsyncPgConnection| {
            Ok::<_, Error>(sql("INSERT INTO things VALUES ('another')").execute(connection).await?)
        };
        let added = pool.write(add).await.map_err(|error| error.cause);
        assert_eq!(added.unwrap_or_else(|error| panic!("round {round}: {error}")), 1);
    }
    assert_eq!(database.sql("SELECT count(*) FROM things").await, "21", "each was made once");
}

/// It may have had an effect: Postgres may have committed it before it ended the session.
#[tokio::test]
async fn statement_whose_session_ends_is_not_repeated_if_it_may_write() {
    let (database, pool) = things().await;
    let calls = AtomicU32::new(0);
    let end_own = async |connection: &mut AsyncPgConnection| {
        calls.fetch_add(1, Relaxed);
        Ok::<_, Error>(sql("SELECT pg_terminate_backend(pg_backend_pid())").execute(connection).await?)
    };
    pool.run(end_own).await.expect_err("the session has ended");
    assert_eq!(calls.swap(0, Relaxed), 1);
    pool.read(end_own).await.expect_err("the session has ended twice");
    assert_eq!(calls.swap(0, Relaxed), 2, "a read is repeated once");
    assert_eq!(database.sql("SELECT count(*) FROM things").await, "1");
}
