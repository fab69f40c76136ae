//! Transactions that Postgres rolls back for a temporary reason are retried; all other errors are classified.

use std::sync::atomic::{AtomicU32, Ordering};

use database::{Error, ErrorClass, sql};
use diesel_async::RunQueryDsl;

use crate::support::{Database, execute};

/// Returns SQL that refuses inserts into `things` with this SQLSTATE for a number of times. The sequence counts across
/// rollbacks.
fn refusing(sqlstate: &str, times: u32) -> String {
    format!(
        "CREATE TABLE things (id int);
         CREATE SEQUENCE attempts;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('attempts') <= {times} THEN
                 RAISE EXCEPTION 'Verklemmung entdeckt' USING ERRCODE = '{sqlstate}';
             END IF;
             RETURN new;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
}

#[tokio::test]
async fn contention_is_retried_regardless_of_the_message_text() {
    for sqlstate in ["40001", "40P01", "55P03"] {
        let database = Database::start().await;
        database.sql(&refusing(sqlstate, 3)).await;
        let pool = database.pool(2).await;
        let calls = AtomicU32::new(0);
        let inserted = pool
            .transaction(async |connection| {
                calls.fetch_add(1, Ordering::Relaxed);
                sql("INSERT INTO things VALUES (1)").execute(connection).await?;
                Ok::<_, Error>(sql("INSERT INTO things VALUES (2)").execute(connection).await?)
            })
            .await;
        assert_eq!(inserted.expect(sqlstate), 1);
        assert_eq!(calls.into_inner(), 4, "{sqlstate}");
        assert_eq!(database.sql("SELECT count(*) FROM things").await, "2", "each attempt was rolled back whole");
        execute(&pool, "INSERT INTO things VALUES (3)").await.expect("not refused any more");
    }
}

#[tokio::test]
async fn permanent_contention_is_an_error_after_five_attempts() {
    let database = Database::start().await;
    database.sql(&refusing("40P01", 1_000_000)).await;
    let pool = database.pool(2).await;
    let error = execute(&pool, "INSERT INTO things VALUES (1)").await.expect_err("it is refused each time");
    assert_eq!(error.class(), ErrorClass::Contention);
    assert!(error.is_transient());
    assert_eq!(database.sql("SELECT last_value FROM attempts").await, "5");
}

#[tokio::test]
async fn resource_shortage_is_a_transient_error_without_retries() {
    for sqlstate in ["53100", "53200", "53300", "57014", "57P01", "57P02", "57P03", "58030"] {
        let database = Database::start().await;
        database.sql(&refusing(sqlstate, 1_000_000)).await;
        let pool = database.pool(2).await;
        let error = execute(&pool, "INSERT INTO things VALUES (1)").await.expect_err(sqlstate);
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
        assert!(error.is_transient() && error.to_string().contains(sqlstate), "{error}");
        assert_eq!(database.sql("SELECT last_value FROM attempts").await, "1", "{sqlstate}");
    }
}

#[tokio::test]
async fn bug_of_the_program_is_not_a_transient_error() {
    let database = Database::start().await;
    let pool = database.pool(1).await;
    for statement in ["SELECT nothing", "SELECT 1 / 0", "SELEKT 1"] {
        let error = execute(&pool, statement).await.expect_err(statement);
        assert_eq!(error.class(), ErrorClass::Fault, "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn violated_constraints_are_named() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (id int CONSTRAINT things_pkey PRIMARY KEY, other int CONSTRAINT other REFERENCES things)").await;
    let pool = database.pool(1).await;
    execute(&pool, "INSERT INTO things VALUES (1, 1)").await.expect("a new row");
    let error = execute(&pool, "INSERT INTO things VALUES (1, 1)").await.expect_err("a duplicate");
    assert!(error.violates_unique("things_pkey") && !error.violates_unique("other"), "{error:?}");
    let error = execute(&pool, "INSERT INTO things VALUES (2, 3)").await.expect_err("no such row");
    assert_eq!((error.class(), error.constraint()), (ErrorClass::ForeignKeyViolation, Some("other")));
}

#[tokio::test]
async fn serialization_failure_retries_the_whole_transaction() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (id int, n int); INSERT INTO things VALUES (1, 0)").await;
    let pool = database.pool(2).await;
    let calls = AtomicU32::new(0);
    let transaction = pool.build_transaction().repeatable_read().run(async |connection| {
        sql("SELECT n FROM things").execute(connection).await?;
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            database.sql("UPDATE things SET n = n + 10").await;
        }
        Ok::<_, Error>(sql("UPDATE things SET n = n + 1").execute(connection).await?)
    });
    assert_eq!(transaction.await.expect("the second attempt"), 1);
    assert_eq!((calls.into_inner(), database.sql("SELECT n FROM things").await.as_str()), (2, "11"));
}

#[tokio::test]
async fn deadlock_retries_the_losing_transaction() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (id int, n int); INSERT INTO things VALUES (1, 0), (2, 0)").await;
    let pool = database.pool(2).await;
    let barrier = tokio::sync::Barrier::new(2);
    let work = async |first: i32, second: i32| {
        let calls = AtomicU32::new(0);
        pool.transaction(async |connection| {
            sql(format!("UPDATE things SET n = n + 1 WHERE id = {first}")).execute(connection).await?;
            // Only the first attempts wait for each other.
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                barrier.wait().await;
            }
            Ok::<_, Error>(sql(format!("UPDATE things SET n = n + 1 WHERE id = {second}")).execute(connection).await?)
        })
        .await
    };
    let (one, other) = tokio::join!(work(1, 2), work(2, 1));
    assert_eq!((one.expect("both win in the end"), other.expect("both win in the end")), (1, 1));
    assert_eq!(database.sql("SELECT n FROM things ORDER BY id").await, "2\n2");
}
