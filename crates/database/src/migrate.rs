//! Brings the tables up to date before the service answers its first request.
//!
//! Several replicas may start at once: they take turns, and all but the first find nothing to do.
//! A Postgres that is still starting is waited for; one that refuses the login is not.

use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use tokio::time::{Instant, sleep, timeout};

use crate::connect::open;
use crate::{DbError, PostgresSettings};

/// Any number will do, as long as nobody else in a service's database locks it.
const MIGRATION_LOCK: i64 = 0x6d69_6772_6174_6573;

/// Waits up to `patience` for Postgres, then runs the migrations that are missing; returns how many.
///
/// Uses a connection of its own, to which the pool's `statement_timeout` does not apply.
pub async fn migrate(
    settings: &PostgresSettings,
    migrations: EmbeddedMigrations,
    patience: Duration,
) -> Result<usize, DbError> {
    let failed = |reason: String| DbError::Migration { place: settings.place().to_owned(), reason };

    let mut connection = wait_for_postgres(settings, patience).await?;
    // The harness takes no lock, and two at once fail with duplicate tables. Whoever comes second
    // waits here. A holder that dies loses its connection, and the lock with it.
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(MIGRATION_LOCK)
        .execute(&mut connection)
        .await
        .map_err(|error| failed(error.to_string()))?;

    // The harness blocks its thread, and actix's threads must not be blocked.
    let (connection, outcome) = tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(connection);
        let outcome = harness
            .run_pending_migrations(migrations)
            .map(|versions| versions.len())
            .map_err(|error| error.to_string());
        (harness.into_inner(), outcome)
    })
    .await
    .map_err(|panic| failed(panic.to_string()))?;

    // Nothing to unlock by hand: the lock belongs to the session, which ends here.
    drop(connection);
    let count = outcome.map_err(failed)?;
    if count > 0 {
        tracing::info!(migrations = count, "brought the tables up to date");
    }
    Ok(count)
}

async fn wait_for_postgres(settings: &PostgresSettings, patience: Duration) -> Result<AsyncPgConnection, DbError> {
    let deadline = Instant::now() + patience;
    let mut next_line = Instant::now() + Duration::from_secs(1);
    loop {
        let attempt = timeout(Duration::from_secs(5), open(&settings.url, None, || {})).await;
        let error = match attempt {
            Ok(Ok(opened)) => return Ok(opened.session),
            Ok(Err(error)) => DbError::connecting(settings, &error),
            Err(_) => DbError::unreachable(settings, "no answer within 5 s".to_owned()),
        };
        let now = Instant::now();
        if now >= deadline || matches!(error, DbError::Refused { .. }) {
            return Err(error);
        }
        if now >= next_line {
            let left = (deadline - now).as_secs();
            tracing::info!("waiting for Postgres, for {left} s more at most: {error}");
            next_line = now + Duration::from_secs(1);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
