//! Statements that Postgres refuses until an administrator restores what they need.

use std::time::Duration;

use database::{Error, ErrorClass, Pool, sql};
use diesel_async::RunQueryDsl;
use serde_json::json;
use service::health::{CheckOutcome, Readiness, Status};
use testkit::{Database, eventually};
use tokio_util::sync::CancellationToken;

const AT_MOST: Duration = testkit::SOON;

async fn read(pool: &Pool) -> Result<usize, Error> {
    pool.read(async |connection| Ok::<_, Error>(sql("SELECT id FROM things").execute(connection).await?)).await
}

#[tokio::test]
async fn denied_statements_are_unavailable_and_degrade_readiness_until_restored() {
    let database = Database::shared().await;
    let role = format!("reader_of_{}", database.name());
    let create = format!("CREATE TABLE things (id int); CREATE ROLE \"{role}\" LOGIN");
    database.sql(&format!("{create}; GRANT SELECT ON things TO \"{role}\"")).await;
    let url = database.url().replacen("postgres@", &format!("{role}@"), 1);
    let settings = serde_json::from_value(json!({ "url": url, "max_connections": 2 })).unwrap();
    let pool = database::connect(&settings, "pool", AT_MOST).await.unwrap();
    let readiness = Readiness::new(CancellationToken::new()).requires_database(&pool);
    read(&pool).await.unwrap();
    assert_eq!(readiness.report().await.status, Status::Ready);

    let revoke = format!("REVOKE ALL ON things FROM \"{role}\"");
    let grant = format!("GRANT SELECT ON things TO \"{role}\"");
    for (deny, restore, sqlstate) in [
        (revoke.as_str(), grant.as_str(), "42501"),
        ("ALTER TABLE things RENAME TO others", "ALTER TABLE others RENAME TO things", "42P01"),
    ] {
        database.sql(deny).await;
        let error = read(&pool).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
        assert!(error.is_transient(), "{error}");
        let report = readiness.report().await;
        let check = &report.checks["postgres-access"];
        assert_eq!((report.status, check.outcome), (Status::Degraded, CheckOutcome::Failing));
        assert!(check.detail.as_ref().is_some_and(|detail| detail.contains(sqlstate)), "{:?}", check.detail);

        database.sql(restore).await;
        read(&pool).await.unwrap();
        let is_ready = async || readiness.report().await.status == Status::Ready;
        eventually("the readiness without a restart", AT_MOST, is_ready).await;
    }
}
