//! The type of a column changes while statements that return it are prepared.

use std::sync::Arc;

use database::{Error, Pool, cached, sql};
use diesel::AsChangeset;
use diesel_async::RunQueryDsl;
use tokio::sync::Barrier;

use crate::support::{Database, Name};

/// Reads on all connections of the pool at once, each in a transaction.
async fn read_on_each(pool: &Pool, connections: usize) -> Vec<Result<Name, Error>> {
    let barrier = Arc::new(Barrier::new(connections));
    let read = async || {
        pool.transaction(async |connection| {
            let name = sql("SELECT name FROM things").get_result(connection).await?;
            barrier.wait().await;
            Ok::<_, Error>(name)
        })
        .await
    };
    futures_util::future::join_all((0..connections).map(|_| read())).await
}

#[tokio::test]
async fn changed_column_type_fails_no_statement_and_no_transaction() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (name text); INSERT INTO things VALUES ('thing')").await;
    let pool = database.pool(4).await;
    for round in 0..4 {
        for read in read_on_each(&pool, 4).await {
            assert_eq!(read.unwrap_or_else(|error| panic!("round {round}: {error}")).name, "thing");
        }
        let read =
            async |connection: &mut _| Ok::<Name, Error>(sql("SELECT name FROM things").get_result(connection).await?);
        assert_eq!(pool.run(read).await.expect("outside of a transaction").name, "thing");
        let kind = ["varchar(200)", "text", "varchar(100)", "text"][round];
        database.sql(&format!("ALTER TABLE things ALTER name TYPE {kind}")).await;
        let read =
            async |connection: &mut _| Ok::<Name, Error>(sql("SELECT name FROM things").get_result(connection).await?);
        assert_eq!(pool.run(read).await.expect("outside of a transaction").name, "thing");
    }
}

#[tokio::test]
async fn deallocated_statement_is_prepared_again() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (name text); INSERT INTO things VALUES ('thing')").await;
    let pool = database.pool(1).await;
    let read =
        async |connection: &mut _| Ok::<Name, Error>(sql("SELECT name FROM things").get_result(connection).await?);
    pool.run(read).await.expect("it is prepared");
    let discard =
        async |connection: &mut _| Ok::<_, Error>(diesel::sql_query("DEALLOCATE ALL").execute(connection).await?);
    pool.run(discard).await.expect("nothing is prepared any more");
    assert_eq!(pool.run(read).await.expect("it is prepared again").name, "thing");
}

diesel::table! {
    things (name) {
        name -> Text,
    }
}

#[derive(AsChangeset)]
#[diesel(table_name = things)]
struct Change {
    name: Option<String>,
}

#[tokio::test]
async fn cached_update_stays_prepared() {
    let database = Database::start().await;
    database.sql("CREATE TABLE things (name text); INSERT INTO things VALUES ('thing')").await;
    let pool = database.pool(1).await;
    for name in ["a", "b"] {
        let update = async |connection: &mut _| {
            let change = Change { name: Some(name.to_owned()) };
            Ok::<_, Error>(cached(diesel::update(things::table).set(change)).execute(connection).await?)
        };
        assert_eq!(pool.run(update).await.expect("it is updated"), 1);
    }
    let count = "SELECT count(*)::text AS name FROM pg_prepared_statements WHERE statement LIKE 'UPDATE%' AND generic_plans + custom_plans = 2";
    let found = async |connection: &mut _| Ok::<Name, Error>(sql(count).get_result(connection).await?);
    assert_eq!(pool.run(found).await.expect("the statements are listed").name, "1");
}
