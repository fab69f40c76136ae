//! Settings of the role or the database do not affect sessions of the pool or migrations.

use std::time::{Duration, Instant};

use database::{Error, PostgresSettings, StartupError, sql};
use diesel_async::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use serde_json::json;
use testkit::{FOREIGN_SETTINGS, Postgres, eventually};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::{Database, Name, SOON, execute};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");
/// Needs a lock of the table `things`.
const NOTE: EmbeddedMigrations = embed_migrations!("tests/locking_migrations");

/// The settings that the administrator chooses. The pool has its own limits for statements and idle transactions.
const NOT_OURS: [&str; 5] =
    ["check_function_bodies", "row_security", "plan_cache_mode", "statement_timeout", "idle_in_tr"];

fn settings(url: &str) -> PostgresSettings {
    serde_json::from_value(json!({ "url": url })).expect("settings")
}

#[tokio::test]
async fn pool_session_ignores_role_settings_that_change_results() {
    let (database, postgres) = (Database::start().await, Postgres::shared().await);
    let url = postgres.create_owner(database.name()).await.expect("a new role");
    // A pool without settings of the role.
    let usual = database.pool(1).await;
    for setting in FOREIGN_SETTINGS {
        postgres.set_for_owner(database.name(), &[setting]).await.expect("the test's own SQL");
        let pool = database.pool_at(&url, &json!({ "max_connections": 1 })).await;
        let (name, _) = setting.split_once(" = ").expect("a name and a value");
        if NOT_OURS.iter().any(|other| name.starts_with(other)) {
            continue;
        }
        let show = format!("SELECT current_setting('{name}') AS name");
        let show = async |connection: &mut _| Ok::<Name, Error>(sql(&show).get_result(connection).await?);
        let (theirs, ours) = (usual.run(show).await.expect("it is one"), pool.run(show).await.expect("it is one"));
        assert_eq!(ours.name, theirs.name, "{setting}");
    }
}

#[tokio::test]
async fn migrations_run_despite_foreign_role_settings() {
    let (database, postgres) = (Database::start().await, Postgres::shared().await);
    let url = postgres.create_owner(database.name()).await.expect("a new role");
    postgres.set_for_owner(database.name(), &FOREIGN_SETTINGS).await.expect("the test's own SQL");
    let ran = database::migrate(&settings(&url), [MIGRATIONS], SOON).await;
    assert_eq!(ran.expect("nothing stands in their way"), 2);
    assert_eq!(database.sql("SELECT name FROM public.things").await, "thing");
}

#[tokio::test]
async fn read_only_database_without_missing_migrations_is_accepted() {
    let (database, postgres) = (Database::start().await, Postgres::shared().await);
    assert_eq!(database::migrate(&settings(&database.url), [MIGRATIONS], SOON).await.expect("they run"), 2);
    postgres.set_read_only(database.name(), true).await.expect("the test's own SQL");
    assert_eq!(database::migrate(&settings(&database.url), [MIGRATIONS], SOON).await.expect("there is none"), 0);
}

#[tokio::test]
async fn migrate_waits_for_a_read_only_database_and_then_reports_it() {
    let (database, postgres) = (Database::start().await, Postgres::shared().await);
    postgres.set_read_only(database.name(), true).await.expect("the test's own SQL");
    let (began, max_wait) = (Instant::now(), Duration::from_millis(600));
    let error = database::migrate(&settings(&database.url), [MIGRATIONS], max_wait).await.expect_err("it is read-only");
    assert!(matches!(error, StartupError::ReadOnly { .. }) && began.elapsed() >= max_wait, "{error}");
    for word in ["read-only", "20260101000001", "20260101000002"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    let url = settings(&database.url);
    let (ran, ()) = tokio::join!(database::migrate(&url, [MIGRATIONS], SOON), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        postgres.set_read_only(database.name(), false).await.expect("the test's own SQL");
    });
    assert_eq!(ran.expect("it can be written to"), 2);
    eventually("the tables", SOON, async || database.sql("SELECT name FROM things").await == "thing").await;
}

/// While a migration waits for a lock, all later statements on the table wait as well.
#[tokio::test]
async fn migration_that_waits_for_a_table_does_not_block_its_readers() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (name text NOT NULL)").await;
    let pool = database.pool_with(&json!({ "max_connections": 2, "statement_timeout": "2m" })).await;
    let (url, locked, done) = (settings(&database.url), Notify::new(), Notify::new());
    let reads = pool.transaction(async |connection| {
        sql("SELECT 1 FROM things LIMIT 1").execute(connection).await?;
        locked.notify_one();
        done.notified().await;
        Ok::<_, Error>(())
    });
    let migrates = async {
        locked.notified().await;
        let others = async {
            eventually("the migration to wait", SOON, async || database.sql(WAITING).await != "0").await;
            let read = async || execute(&pool, "SELECT 1 FROM things LIMIT 1").await;
            let read = timeout(SOON, async { (read().await, read().await, read().await) }).await;
            let (one, two, three) = read.expect("they do not wait for the migration");
            one.and(two).and(three).expect("the table can be read");
            assert_eq!(database.sql(COLUMNS).await, "1");
            done.notify_one();
        };
        tokio::join!(database::migrate(&url, [NOTE], 3 * SOON), others).0
    };
    let (read, ran) = tokio::join!(reads, migrates);
    read.expect("it was not disturbed");
    assert_eq!(ran.expect("the table is free"), 1);
    assert_eq!(database.sql(COLUMNS).await, "2");
}

const COLUMNS: &str = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'things'";

const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'things'::regclass AND database =
         (SELECT oid FROM pg_database WHERE datname = current_database())";
