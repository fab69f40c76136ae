//! Applies the missing migrations before the service handles its first request.
//!
//! Several replicas may start at once: they run one after the other, and only the first one finds missing migrations.
//! Without missing migrations nothing is written, so a service also starts on a read-only database. A service waits for
//! a Postgres that is still starting, and for one that is read-only and lacks migrations (a failover), but not for one
//! that refuses the login.
//!
//! A migration locks its tables. While it waits for a lock, such as for the end of a `pg_dump`, all later statements on
//! the table wait as well, those of the older replicas included. So each wait is short, and the migration is repeated.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::connect::{NewConnection, open};
use crate::mode::{DatabaseMode, mode};
use crate::settings::PostgresSettings;
use crate::sql::sql;
use crate::startup::{StartupError, until_reached};

/// Any number that no other client in a service's database locks.
const MIGRATION_LOCK: i64 = 0x6d69_6772_6174_6573;

/// The interval between two checks whether a read-only database is writable.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// The longest wait of a migration for a lock. For as long, the requests of other replicas may wait, too.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '200ms'";

/// The pause before a migration that got no lock is run again.
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// The SQLSTATE of a statement that got no lock in time.
const NO_LOCK: &str = "55P03";

#[derive(diesel::QueryableByName)]
struct Exists {
    #[diesel(sql_type = Bool)]
    exists: bool,
}

#[derive(diesel::QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Waits up to `max_wait` for Postgres and for the locks of the migrations, and applies the missing ones, one set after
/// the other. Returns their number.
///
/// Uses a connection outside the pool, to which the pool's `statement_timeout` does not apply.
///
/// # Errors
/// Returns an error if Postgres does not respond in time or refuses the login, if a migration fails or gets no lock in
/// time, or if a migration is missing and the database stays read-only.
pub async fn migrate(
    settings: &PostgresSettings, migrations: impl Into<Vec<EmbeddedMigrations>>, max_wait: Duration,
) -> Result<usize, StartupError> {
    let migrations = migrations.into();
    let failed = |reason: String| StartupError::Migration { address: settings.address().to_owned(), reason };
    let deadline = Instant::now() + max_wait;
    let mut has_waited = false;
    let connection = loop {
        // A new connection for each attempt: a session keeps the mode with which it began.
        let mut connection = until_reached(deadline, || open_connection(settings)).await?;
        let session = &mut connection.session;
        let missing = missing(session, &migrations).await.map_err(failed)?;
        if missing.is_empty() {
            return Ok(0);
        }
        let mode = mode(session).await.map_err(|error| failed(error.to_string()))?;
        if mode == DatabaseMode::Writable {
            break connection;
        }
        let (address, missing) = (settings.address().to_owned(), missing.join(", "));
        if Instant::now() >= deadline {
            return Err(StartupError::ReadOnly { address, missing });
        }
        if !has_waited {
            warn!(
                address,
                missing,
                ?max_wait,
                "the database is read-only and lacks migrations; waiting until it can be written to"
            );
        }
        has_waited = true;
        sleep(RETRY_INTERVAL).await;
    };
    let count = run(connection, migrations, deadline).await.map_err(failed)?;
    if count > 0 {
        info!(migrations = count, "migrations applied");
    }
    Ok(count)
}

/// Returns the versions of the missing migrations.
async fn missing(connection: &mut AsyncPgConnection, sets: &[EmbeddedMigrations]) -> Result<Vec<String>, String> {
    let exists = "SELECT to_regclass('public.__diesel_schema_migrations') IS NOT NULL AS exists";
    let found: Exists = sql(exists).get_result(connection).await.map_err(|error| error.to_string())?;
    let applied: Vec<Applied> = if found.exists {
        let versions = "SELECT version::text FROM public.__diesel_schema_migrations";
        sql(versions).load(connection).await.map_err(|error| error.to_string())?
    } else {
        Vec::new()
    };
    let applied: HashSet<String> = applied.into_iter().map(|applied| applied.version).collect();
    let mut missing = Vec::new();
    for set in sets {
        let all = MigrationSource::<Pg>::migrations(set).map_err(|error| error.to_string())?;
        missing.extend(all.iter().map(|migration| migration.name().version().to_string()));
    }
    missing.retain(|version| !applied.contains(version));
    Ok(missing)
}

/// Acquires the migration lock, then applies the missing migrations. Returns their number.
async fn run(connection: NewConnection, sets: Vec<EmbeddedMigrations>, deadline: Instant) -> Result<usize, String> {
    let NewConnection { mut session, connection_state } = connection;
    // The harness takes no lock, and two concurrent runs fail with duplicate tables. The second process waits here. If
    // the lock holder dies, it loses its connection, and the lock with it.
    sql("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(MIGRATION_LOCK)
        .execute(&mut session)
        .await
        .map_err(|error| error.to_string())?;
    sql(LOCK_TIMEOUT).execute(&mut session).await.map_err(|error| error.to_string())?;

    // The harness blocks its thread, and the threads of actix must not be blocked. No explicit unlock is needed: the
    // lock belongs to the session, which ends with the harness.
    tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(session);
        let (mut count, mut has_waited) = (0, false);
        for set in sets {
            for migration in harness.pending_migrations(set).map_err(|error| error.to_string())? {
                connection_state.clear_errors();
                while let Err(error) = harness.run_migration(&migration) {
                    let got_no_lock = connection_state.server_errors().iter().any(|error| error.sqlstate == NO_LOCK);
                    if !got_no_lock || Instant::now() >= deadline {
                        return Err(error.to_string());
                    }
                    if !has_waited {
                        let name = migration.name().to_string();
                        warn!(
                            name,
                            "a long transaction has locked a table of a migration, which is therefore repeated"
                        );
                    }
                    has_waited = true;
                    Handle::current().block_on(sleep(LOCK_PAUSE));
                    connection_state.clear_errors();
                }
                count += 1;
            }
        }
        Ok(count)
    })
    .await
    .map_err(|panic| panic.to_string())?
}

async fn open_connection(settings: &PostgresSettings) -> Result<NewConnection, StartupError> {
    match timeout(Duration::from_secs(5), open(&settings.url, "", None, Arc::default())).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(StartupError::connecting(settings, &error)),
        Err(_) => Err(StartupError::unreachable(settings, "no answer within 5 s".to_owned())),
    }
}
