//! Long and short statement timeouts on the same connections.

use std::time::Duration;

use database::{Error, ErrorClass, sql};
use diesel_async::RunQueryDsl;
use serde_json::json;

use crate::support::{Database, execute};

/// Longer than the statement timeout plus the two seconds after which a silent connection is closed.
const LONG: &str = "SELECT pg_sleep(3.5)";

#[tokio::test]
async fn transaction_timeout_may_exceed_the_timeout_of_the_pool() {
    let database = Database::start().await;
    let pool = database.pool_with(&json!({ "max_connections": 1, "statement_timeout": "1s" })).await;
    for limit in [Some(Duration::from_secs(60)), None] {
        let long = pool.build_transaction().statement_timeout(limit);
        let slept = long.run(async |connection| Ok::<_, Error>(sql(LONG).execute(connection).await?)).await;
        assert_eq!(slept.unwrap_or_else(|error| panic!("{limit:?}: {error}")), 1);
        let error = execute(&pool, LONG).await.expect_err("an ordinary statement may not take so long");
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    }
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool' AND datname = current_database()";
    assert_eq!(database.sql(sessions).await, "1", "the connection is still the same one");
}

#[tokio::test]
async fn statement_timeout_of_a_transaction_is_enforced_by_postgres() {
    let database = Database::start().await;
    let pool = database.pool(1).await;
    let short = pool.build_transaction().statement_timeout(Some(Duration::from_millis(50)));
    let error = short.run(async |connection| Ok::<_, Error>(sql(LONG).execute(connection).await?)).await;
    assert_eq!(error.expect_err("it takes longer").class(), ErrorClass::Unavailable);
}
