//! A temporarily read-only database: reads continue, writes return a classified error, and no restart is needed.

use database::{DatabaseMode, ErrorClass};
use testkit::{Postgres, eventually};

use crate::support::{Database, SOON, execute};

const WRITE: &str = "INSERT INTO things VALUES (1)";
const READ: &str = "SELECT id FROM things";

/// Sets whether new sessions are read-only; the existing sessions keep their mode.
async fn turn(database: &Database, read_only: &str) {
    let name = database.name();
    let turn = format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = {read_only}");
    // From another database, because this one may refuse the statement.
    Postgres::shared().await.sql("postgres", &turn).await.expect("the test's own SQL");
}

async fn end_sessions(database: &Database) {
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'pool'";
    database.sql(end).await;
}

#[tokio::test]
async fn read_only_sessions_are_replaced_without_a_restart() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (id int)").await;
    let pool = database.pool(4).await;
    execute(&pool, WRITE).await.expect("it can be written to");
    for _ in 0..2 {
        turn(&database, "on").await;
        end_sessions(&database).await;
        eventually("new sessions", SOON, async || execute(&pool, READ).await.is_ok()).await;
        for _ in 0..8 {
            let error = execute(&pool, WRITE).await.expect_err("it is read-only");
            assert_eq!(error.class(), ErrorClass::ReadOnly, "{error}");
            execute(&pool, READ).await.expect("reads go on");
        }
        assert_eq!(pool.mode().await.expect("it answers"), DatabaseMode::ReadOnly);
        turn(&database, "off").await;
        eventually("the first write", SOON, async || execute(&pool, WRITE).await.is_ok()).await;
        // All other sessions, whichever connection they use.
        for _ in 0..8 {
            let writes = (0..4).map(|_| execute(&pool, WRITE));
            for written in futures_util::future::join_all(writes).await {
                written.expect("every session can write");
            }
        }
        assert_eq!(pool.mode().await.expect("it answers"), DatabaseMode::Writable);
    }
}

#[tokio::test]
async fn stale_read_only_sessions_fail_no_write() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (id int)").await;
    turn(&database, "on").await;
    let pool = database.pool(4).await;
    turn(&database, "off").await;
    for _ in 0..8 {
        execute(&pool, WRITE).await.expect("a new session can write");
    }
}

/// All of them have a read-only session. One of them checks whether new sessions can write, and the others wait for it.
#[tokio::test]
async fn concurrent_writes_of_read_only_sessions_do_not_fail() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (id int)").await;
    turn(&database, "on").await;
    let pool = database.pool(8).await;
    turn(&database, "off").await;
    let writes = (0..8).map(|_| execute(&pool, WRITE));
    for written in futures_util::future::join_all(writes).await {
        written.expect("a new session can write");
    }
}

#[tokio::test]
async fn standby_is_reported_until_its_promotion() {
    let postgres = Postgres::start().await.expect("a private Postgres");
    let url = postgres.create_database("shop").await.expect("a new cluster has no such database");
    let sql = async |sql: &str| postgres.sql("shop", sql).await.expect("the test's own SQL");
    sql("CREATE TABLE things (id int)").await;
    let database = Database { url };
    let pool = database.pool(4).await;
    let signal = std::path::Path::new(&sql("SHOW data_directory").await).join("standby.signal");
    std::fs::write(&signal, "").expect("the cluster is this test's");
    postgres.restart().await.expect("it starts as a standby");
    eventually("the standby", SOON, async || pool.mode().await.is_ok_and(|mode| mode == DatabaseMode::Standby)).await;
    eventually("a read", SOON, async || execute(&pool, READ).await.is_ok()).await;
    let error = execute(&pool, WRITE).await.expect_err("a standby");
    assert_eq!(error.class(), ErrorClass::ReadOnly, "{error}");
    sql("SELECT pg_promote()").await;
    eventually("a write", SOON, async || execute(&pool, WRITE).await.is_ok()).await;
    assert_eq!(pool.mode().await.expect("it answers"), DatabaseMode::Writable);
}
