//! Migrations and seed: each process runs them at its start, they take effect once, and they overwrite no change of a
//! client.

use crate::support::{Stores, started};

#[tokio::test]
async fn three_concurrent_starts_fill_the_database_once() {
    let stores = Stores::start().await;
    let apis = tokio::join!(stores.api(), stores.api(), stores.api());
    for api in [&apis.0, &apis.1, &apis.2] {
        api.get("/products/ttl/130").await.expect(200);
    }
    let counts = "SELECT count(*), min(id), max(id), count(DISTINCT name) > 100, bool_and(version = 1) FROM products";
    assert_eq!(stores.sql(counts).await, "130|1|130|t|t");
    assert_eq!(stores.sql("SELECT count(*) FROM categories").await, "12");
    let migrations = ["/migrations", "/../../crates/outbox/migrations"].map(|folder| {
        let folder = format!("{}{folder}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(folder).expect("a folder of migrations").count()
    });
    let applied = stores.sql("SELECT count(*) FROM __diesel_schema_migrations").await;
    assert_eq!(applied, migrations.iter().sum::<usize>().to_string());
}

/// Until the outbox had a migration of its own, this service created it in migrations that no longer exist.
#[tokio::test]
async fn database_of_the_previous_version_is_migrated() {
    let stores = Stores::start().await;
    stores.api().await.stop().await;
    stores.sql("DELETE FROM __diesel_schema_migrations WHERE version = '20261127000001'").await;
    stores.sql("INSERT INTO __diesel_schema_migrations VALUES ('20261126000002'), ('20261126000003')").await;
    let numbered = stores.whole_stream().await.len();

    let api = stores.api().await;
    api.put("/products/1", &serde_json::json!({ "stock": 4711 })).await.expect(200);
    assert_eq!(stores.whole_stream().await.len(), numbered + 1, "the numbers go on");
}

#[tokio::test]
async fn second_start_restores_no_deleted_product_and_overwrites_nothing() {
    let (stores, api) = started().await;
    api.delete("/products/explicit/7").await.expect(204);
    api.delete("/products/130").await.expect(204);
    api.put("/products/8", &serde_json::json!({ "name": "Mine", "price_cents": 1 })).await.expect(200);
    api.put("/categories/2", &serde_json::json!({ "name": "My shelf" })).await.expect(200);
    let new = serde_json::json!({ "name": "Mine too", "price_cents": 1, "category_id": 1 });
    let own = api.post("/products", &new).await.expect(201).json()["id"].as_i64().expect("an id");
    api.stop().await;
    let everything = "SELECT md5(string_agg(p::text, '' ORDER BY id)), count(*) FROM products p";
    let before = stores.sql(everything).await;

    let api = stores.api().await;
    assert_eq!(stores.sql(everything).await, before);
    assert_eq!(stores.sql("SELECT name FROM categories WHERE id = 2").await, "My shelf");
    api.stop().await;

    // A larger catalogue is added after the existing ids, and skips the ids of other products.
    let api = stores.api_with(&[("SEED_PRODUCTS", "150")]).await;
    api.get("/products/7").await.problem(404, "not-found");
    assert_eq!(api.get("/products/8").await.expect(200).json()["name"], "Mine");
    assert_eq!(api.get(&format!("/products/{own}")).await.expect(200).json()["name"], "Mine too");
    assert_eq!(stores.sql("SELECT count(*) FROM products WHERE id > 131").await, "19");
    let next = api.post("/products", &new).await.expect(201).json()["id"].as_i64();
    assert_eq!(next, Some(151));
}

#[tokio::test]
async fn seed_of_zero_products_leaves_a_working_empty_catalogue() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("SEED_PRODUCTS", "0")]).await;
    assert_eq!(api.get("/products").await.expect(200).json()["products"], serde_json::json!([]));
    assert_eq!(api.get("/products/featured").await.expect(200).json()["products"], serde_json::json!([]));
    let new = serde_json::json!({ "name": "First", "price_cents": 1, "category_id": 1 });
    assert_eq!(api.post("/products", &new).await.expect(201).json()["id"], 1);
}

/// The seed is killed after its first chunk: a trigger keeps it in the second one.
#[tokio::test]
async fn killed_seed_is_finished_by_the_next_start() {
    let stores = Stores::start().await;
    stores.api_with(&[("SEED_PRODUCTS", "0")]).await.stop().await;
    let trigger = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
                       'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
                   CREATE TRIGGER wait BEFORE INSERT ON products FOR EACH ROW WHEN (NEW.id = 11000)
                       EXECUTE FUNCTION wait()";
    stores.sql(trigger).await;
    let lock = stores.database.lock("SELECT pg_advisory_xact_lock(1)").await;
    let process = testkit::ChildProcess::start(&stores.command(&[("SEED_PRODUCTS", "12000")])).expect("it starts");
    stores.until_waiting(1).await;
    process.kill9().await.expect("it is killed");
    stores.end_waiting().await;
    assert_eq!(stores.sql("SELECT count(*), min(id), max(id) FROM products").await, "10000|1|10000");
    lock.release().await;
    let api = stores.api_with(&[("SEED_PRODUCTS", "12000")]).await;
    assert_eq!(stores.sql("SELECT count(*), min(id), max(id) FROM products").await, "12000|1|12000");
    api.get("/products/ttl/12000").await.expect(200);
}

/// On an ordinary connection, Postgres may be silent for at most 7 s.
#[tokio::test]
async fn seed_waits_for_another_process_without_a_time_limit() {
    let stores = Stores::start().await;
    stores.api_with(&[("SEED_PRODUCTS", "0")]).await.stop().await;
    let mut other = stores.connect().await;
    let lock = "BEGIN; SELECT FROM seed_state FOR UPDATE";
    diesel_async::SimpleAsyncConnection::batch_execute(&mut other, lock).await.expect("no process is seeding");
    let release = async {
        stores.until_waiting(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(7_500)).await;
        diesel_async::SimpleAsyncConnection::batch_execute(&mut other, "COMMIT").await.expect("the session lives");
    };
    let (api, ()) = tokio::join!(stores.api(), release);
    api.get("/products/130").await.expect(200);
    assert!(!api.process.output().contains("to Postgres does not answer"), "{}", api.process.output());
}

/// `schema.rs` is written by hand. This test compares it with the tables that the migrations create.
#[tokio::test]
async fn the_schema_in_the_code_is_the_schema_in_the_database() {
    let (stores, _api) = started().await;
    let columns = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
                   FROM information_schema.columns
                   WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' AND table_name NOT LIKE 'outbox%'";
    let (in_database, mut in_code) = (stores.sql(columns).await, Vec::new());
    let mut table = "";
    for line in include_str!("../../src/schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            table = name;
        } else if let Some((column, kind)) = line.strip_suffix(',').and_then(|line| line.split_once(" -> ")) {
            in_code.push(format!("{table}.{column} {}", in_postgres(kind)));
        }
    }
    let mut in_database: Vec<&str> = in_database.lines().collect();
    in_code.sort();
    in_database.sort();
    assert_eq!(in_code, in_database);
}

/// Returns a column's type and nullability in the words of the information schema.
fn in_postgres(kind: &str) -> String {
    let (kind, is_nullable) = match kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>')) {
        Some(kind) => (kind, "YES"),
        None => (kind, "NO"),
    };
    let name = match kind {
        "BigInt" => "bigint",
        "Integer" => "integer",
        "SmallInt" => "smallint",
        "Text" => "text",
        "Bool" => "boolean",
        "Timestamptz" => "timestamp with time zone",
        other => panic!("what is {other} in Postgres?"),
    };
    format!("{name} {is_nullable}")
}
