//! The record of the trusted incarnation of Redis, in the service's own database
//! ([ADR 37](../../../docs/adr/0037-the-source-of-truth-trusts-one-redis.md)).

use std::num::NonZeroUsize;
use std::time::Duration;

use cache::incarnation::{IncarnationRecord, RecordFuture};
use database::{Error, Pool, PostgresSettings, StartupError, sql};
use diesel::OptionalExtension;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use serde::Deserialize;
use tokio::sync::OnceCell;

/// The table of the record.
pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// How long one attempt to open the connection may take. The next access tries again.
const CONNECT_WAIT: Duration = Duration::from_millis(400);

/// Whether the database says which Redis may be used. The `[incarnation]` section.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncarnationSettings {
    /// The service uses only the Redis that its database trusts. All processes of the service must have the same value.
    pub trusted: bool,
}

/// The record of one keyspace. It has a connection of its own, because all connections of the pool may be in use.
#[derive(Debug)]
pub(crate) struct DatabaseRecord {
    keyspace: &'static str,
    service: &'static str,
    settings: PostgresSettings,
    pool: OnceCell<Pool>,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    record: String,
}

impl DatabaseRecord {
    pub(crate) fn new(keyspace: &'static str, service: &'static str, settings: &PostgresSettings) -> Self {
        let settings = PostgresSettings { max_connections: NonZeroUsize::MIN, ..settings.clone() };
        Self { keyspace, service, settings, pool: OnceCell::new() }
    }

    async fn pool(&self) -> Result<&Pool, StartupError> {
        self.pool.get_or_try_init(|| database::connect(&self.settings, self.service, CONNECT_WAIT)).await
    }
}

impl IncarnationRecord for DatabaseRecord {
    fn load(&self) -> RecordFuture<'_, Option<String>> {
        Box::pin(async {
            let select = async |connection: &mut AsyncPgConnection| {
                let select = sql("SELECT record FROM incarnations WHERE keyspace = $1").bind::<Text, _>(self.keyspace);
                Ok::<Option<Row>, Error>(select.get_result(connection).await.optional()?)
            };
            Ok(self.pool().await?.read(select).await?.map(|row| row.record))
        })
    }

    fn replace<'a>(&'a self, expected: Option<&'a str>, text: &'a str) -> RecordFuture<'a, bool> {
        Box::pin(async move {
            let changed = match expected {
                None => {
                    let insert = "INSERT INTO incarnations VALUES ($1, $2) ON CONFLICT DO NOTHING";
                    let insert = || sql(insert).bind::<Text, _>(self.keyspace).bind::<Text, _>(text);
                    self.pool().await?.run_sql(insert).await?
                }
                Some(expected) => {
                    let update = "UPDATE incarnations SET record = $2 WHERE keyspace = $1 AND record = $3";
                    let update =
                        || sql(update).bind::<Text, _>(self.keyspace).bind::<Text, _>(text).bind::<Text, _>(expected);
                    self.pool().await?.run_sql(update).await?
                }
            };
            Ok(changed == 1)
        })
    }
}
