//! Every change is recorded in the outbox, by any role and under any session settings.

use serde_json::Value;
use testkit::Postgres;

use crate::support::{Stores, started, started_at_head};

const CHANGE: &str = "UPDATE public.products SET stock = stock + 1 WHERE id = 1";

/// Returns the types and products of the events after `head`.
async fn announced(stores: &Stores, head: i64) -> Vec<(String, i64)> {
    let bare = |event: Value| {
        let kind = event["type"].as_str().expect("a type").to_owned();
        (kind, event["product_id"].as_i64().unwrap_or_default())
    };
    stores.announced_after(head).await.into_iter().map(bare).collect()
}

#[tokio::test]
async fn change_is_announced_under_any_session_settings() {
    let (stores, _api) = started().await;
    for setting in [
        "search_path = ''", "search_path = nowhere", "session_replication_role = replica", "timezone = 'Asia/Tokyo'",
        "datestyle = 'German'", "intervalstyle = 'sql_standard'", "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on", "constraint_exclusion = on", "plpgsql.variable_conflict = 'use_column'",
        "enable_seqscan = off", "shop.traceparent = ''", "row_security = off",
    ] {
        let head = stores.settled_head().await;
        stores.sql(&format!("SET {setting}; {CHANGE}")).await;
        assert_eq!(announced(&stores, head).await, [("product.updated".to_owned(), 1)], "{setting}");
    }
    // Temporary tables with the same names.
    let head = stores.settled_head().await;
    stores.sql(&format!("CREATE TEMP TABLE outbox (event jsonb); CREATE TEMP TABLE products (id int); {CHANGE}")).await;
    assert_eq!(announced(&stores, head).await, [("product.updated".to_owned(), 1)]);
}

#[tokio::test]
async fn event_carries_the_valid_trace_of_its_transaction_or_none() {
    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (stores, _api) = started().await;
    let trace_of = async |set: &str| {
        let head = stores.settled_head().await;
        stores.sql(&format!("BEGIN; {set}; {CHANGE}; COMMIT; {CHANGE}")).await;
        let events = stores.announced_after(head).await;
        let traces: Vec<_> = events.iter().map(|event| event["traceparent"].as_str().map(str::to_owned)).collect();
        let [trace, later] = traces.try_into().expect("two events");
        assert_eq!(later, None, "the setting ends with its transaction");
        trace
    };
    let set = |trace: &str| format!("SET LOCAL shop.traceparent = '{trace}'");
    assert_eq!(trace_of(&set(VALID)).await.as_deref(), Some(VALID));
    let regex_settings = format!("{}; SET standard_conforming_strings = off", set(VALID));
    assert_eq!(trace_of(&regex_settings).await.as_deref(), Some(VALID));
    assert_eq!(trace_of(&format!("{}; SET LOCAL search_path = ''", set(VALID))).await.as_deref(), Some(VALID));
    for malformed in [
        "",
        "00-zz",
        &VALID[1..],
        &format!("{VALID}0"),
        &format!("{VALID}\n"),
        &VALID.to_uppercase(),
        &VALID.replacen("00", "ff", 1),
        &VALID.replace("00f067aa0ba902b7", "0000000000000000"),
        &VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        &"a".repeat(100_000),
    ] {
        assert_eq!(trace_of(&set(malformed)).await, None, "{malformed:.80}");
    }
}

#[tokio::test]
async fn change_by_a_role_without_rights_on_the_outbox_is_announced() {
    let (stores, _api) = started().await;
    // Roles belong to the whole server, so this one is named after the database.
    let role = format!("writer_{}", stores.database.name());
    stores.sql(&format!("CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON products TO {role}")).await;
    let head = stores.settled_head().await;
    for sql in [
        CHANGE,
        "INSERT INTO products (name, price_cents, category_id) VALUES ('theirs', 1, 1)",
        "DELETE FROM products WHERE name = 'theirs'",
    ] {
        Postgres::shared().await.sql_as(&role, stores.database.name(), sql).await.expect("it may write products");
    }
    let expected = [("product.updated", 1), ("product.created", 131), ("product.deleted", 131)];
    assert_eq!(announced(&stores, head).await, expected.map(|(kind, id)| (kind.to_owned(), id)));
    Postgres::shared()
        .await
        .sql_as(&role, stores.database.name(), "SELECT FROM outbox")
        .await
        .expect_err("nothing more");
}

#[tokio::test]
async fn every_kind_of_statement_is_announced() {
    let (stores, _api, head) = started_at_head().await;
    let row = "(9001, 'a', 1, 1)";
    let columns = "products (id, name, price_cents, category_id)";
    for sql in [
        format!("COPY {columns} FROM PROGRAM 'printf \"9001\\ta\\t1\\t1\\n\"'"),
        format!("INSERT INTO {columns} VALUES {row} ON CONFLICT (id) DO UPDATE SET stock = 5"),
        format!(
            "MERGE INTO products p USING (VALUES {row}, (9002, 'b', 2, 2)) AS n (id, name, cents, shelf) ON p.id = n.id
             WHEN MATCHED THEN DELETE
             WHEN NOT MATCHED THEN INSERT (id, name, price_cents, category_id) VALUES (n.id, n.name, n.cents, n.shelf)"
        ),
        "WITH gone AS (DELETE FROM products WHERE id = 9002 RETURNING 1) SELECT count(*) FROM gone".to_owned(),
        format!("BEGIN; SAVEPOINT a; {CHANGE}; ROLLBACK TO a; {CHANGE}; COMMIT"),
    ] {
        stores.sql(&sql).await;
    }
    let mut announced = announced(&stores, head).await;
    // The order of the two halves of a MERGE is not guaranteed.
    announced[2..4].sort();
    let expected = [
        ("product.created", 9001),
        ("product.updated", 9001),
        ("product.created", 9002),
        ("product.deleted", 9001),
        ("product.deleted", 9002),
        ("product.updated", 1),
    ];
    assert_eq!(announced, expected.map(|(kind, id)| (kind.to_owned(), id)));
    for sql in ["TRUNCATE products", "SET session_replication_role = replica; TRUNCATE products CASCADE"] {
        assert!(stores.try_sql(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn data_only_restore_brings_back_and_announces_every_row() {
    let (stores, api) = started().await;
    stores.sql("UPDATE products SET stock = 1 WHERE id < 30").await;
    stores.whole_stream().await;
    api.stop().await;
    let restored = testkit::shared_database().await;
    for part in ["--schema-only", "--data-only"] {
        let copy =
            format!("pg_dump {part} -d '{}' | psql -X -q -v ON_ERROR_STOP=1 -d '{restored}'", stores.database.url());
        let copied = tokio::process::Command::new("sh").args(["-c", &format!("set -e; {copy}")]).output().await;
        let copied = copied.expect("a shell");
        assert!(copied.status.success(), "{part}: {}", String::from_utf8_lossy(&copied.stderr));
    }
    let (_, name) = restored.rsplit_once('/').expect("a database in the URL");
    let sql = async |sql: &str| Postgres::shared().await.sql(name, sql).await.expect("the test's own SQL");
    let rows = "SELECT count(*), sum(version) FROM products";
    assert_eq!(sql(rows).await, stores.sql(rows).await);
    let news = "SELECT count(DISTINCT event->>'product_id') FROM outbox WHERE seq IS NULL AND event->>'type' = 'product.created'";
    assert_eq!(sql(news).await, "130");
    assert_eq!(
        sql("SELECT count(*) FROM outbox WHERE seq IS NOT NULL").await,
        stores.sql("SELECT count(*) FROM outbox").await
    );
    // The sequences are correct as well.
    sql("INSERT INTO products (name, price_cents, category_id) VALUES ('new', 1, 1)").await;
    assert_eq!(sql("SELECT max(id) FROM products").await, "131");
}
