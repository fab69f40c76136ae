//! The migration of the outbox: the same tables in a new database and in one whose service has created them itself.

use std::time::Duration;

use database::PostgresSettings;
use outbox::relay::MIGRATIONS;
use serde_json::json;
use testkit::{Postgres, shared_database};

/// The outbox as the services created it themselves.
const BEFORE: &str = include_str!("migrations/before.sql");

/// Two numbered events in two epochs, and one that is not numbered.
const ROWS: &str = "
    INSERT INTO outbox (event, seq, done_at)
        SELECT jsonb_build_object('order_id', id), id, now() FROM generate_series(1, 2) AS id;
    UPDATE outbox_head SET seq = 2, run_id = 'a run', last_epoch = '00000000-0000-0000-0000-000000000002';
    INSERT INTO outbox_epochs VALUES
        ('00000000-0000-0000-0000-000000000001', 1), ('00000000-0000-0000-0000-000000000002', 2);
    SET shop.writer = 'checkout'; INSERT INTO outbox (event) VALUES ('{\"order_id\": 3}')";

/// The migrations of the outbox.
const MIGRATION_COUNT: usize = 6;

/// Everything that the tables contain, without the column that the second migration adds.
const CONTENT: &str =
    "SELECT (to_jsonb(o) - 'transaction_id')::text FROM outbox o UNION ALL SELECT row(h)::text FROM outbox_head h
    UNION ALL SELECT row(e)::text FROM outbox_epochs e UNION ALL SELECT last_value::text FROM outbox_id_seq";

/// Columns, indexes, constraints, triggers, functions and sequences.
const STRUCTURE: &str = "
    SELECT concat_ws(' ', table_name, ordinal_position, column_name, data_type, is_nullable, column_default, is_identity)
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE 'outbox%'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename LIKE 'outbox%'
    UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid IN ('outbox'::regclass, 'outbox_head'::regclass, 'outbox_epochs'::regclass)
    UNION ALL SELECT tgenabled::text || ' ' || pg_get_triggerdef(oid) FROM pg_trigger
        WHERE tgrelid IN ('outbox'::regclass, 'outbox_head'::regclass, 'outbox_epochs'::regclass)
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'outbox%'
    UNION ALL SELECT 'the sequence belongs to ' || pg_get_serial_sequence('outbox', 'id')
    ORDER BY 1";

struct Database(String);

impl Database {
    async fn start() -> Self {
        Self(shared_database().await)
    }

    async fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).await.unwrap()
    }

    async fn try_sql(&self, sql: &str) -> Result<String, String> {
        let name = self.0.rsplit_once('/').map_or("", |(_, name)| name);
        Postgres::shared().await.sql(name, sql).await.map_err(|error| format!("{error:#}"))
    }

    async fn migrate(&self) -> usize {
        let settings: PostgresSettings = serde_json::from_value(json!({ "url": self.0 })).unwrap();
        database::migrate(&settings, [MIGRATIONS], Duration::from_secs(20)).await.unwrap()
    }
}

#[tokio::test]
async fn outbox_that_a_service_has_created_itself_is_kept() {
    let (new, old) = (Database::start().await, Database::start().await);
    assert_eq!((new.migrate().await, new.migrate().await), (MIGRATION_COUNT, 0));

    old.sql(BEFORE).await;
    old.sql(ROWS).await;
    let content = old.sql(CONTENT).await;
    assert!(content.contains("checkout") && content.lines().count() == 7, "{content}");
    assert_eq!((old.migrate().await, old.migrate().await), (MIGRATION_COUNT, 0));
    assert_eq!(old.sql(CONTENT).await, content);
    assert_eq!(old.sql(STRUCTURE).await, new.sql(STRUCTURE).await);
}

#[tokio::test]
async fn migration_without_a_record_of_it_changes_nothing() {
    let database = Database::start().await;
    database.migrate().await;
    database.sql(ROWS).await;
    let (content, structure) = (database.sql(CONTENT).await, database.sql(STRUCTURE).await);
    database.sql("DELETE FROM __diesel_schema_migrations").await;
    assert_eq!(database.migrate().await, MIGRATION_COUNT);
    assert_eq!((database.sql(CONTENT).await, database.sql(STRUCTURE).await), (content, structure));
}

/// Such a row leaves no gap in the numbers, so no consumer would ever learn of its change.
#[tokio::test]
async fn row_without_a_number_cannot_be_deleted() {
    let database = Database::start().await;
    database.migrate().await;
    database.sql(ROWS).await;
    for sql in ["DELETE FROM outbox", "SET session_replication_role = replica; DELETE FROM outbox", "TRUNCATE outbox"] {
        let refused = database.try_sql(sql).await.expect_err(sql);
        assert!(refused.contains("committed changes"), "{sql}: {refused}");
    }
    assert_eq!(database.sql("SELECT count(*) FROM outbox").await, "3");
    database.sql("DELETE FROM outbox WHERE seq IS NOT NULL").await;
    assert_eq!(database.sql("SELECT count(*) FROM outbox").await, "1");
}
