//! Which changes cause an event, with which content, and which do not.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{STRATEGIES, Stores, seq, started_at_head};

/// Returns the changes without the envelope, and checks the envelope.
fn bare(events: Vec<Value>) -> Vec<Value> {
    let mut ids = Vec::new();
    let strip = |mut event: Value| {
        let fields = event.as_object_mut().expect("an object");
        assert_eq!(fields.remove("schema"), Some(json!(1)));
        assert!(fields.remove("seq").is_some_and(|seq| seq.is_u64()));
        assert!(fields.remove("epoch").is_some_and(|epoch| epoch.as_str().is_some_and(|epoch| epoch.len() == 36)));
        let id = fields.remove("event_id").and_then(|id| id.as_str().map(str::to_owned)).expect("an id");
        assert_eq!(id.len(), 36, "{id}");
        ids.push(id);
        let at = fields.remove("occurred_at").and_then(|at| at.as_str().map(str::to_owned)).expect("a time");
        assert!(at.ends_with('Z'), "{at}");
        DateTime::parse_from_rfc3339(&at).expect("RFC 3339");
        event
    };
    let bare: Vec<Value> = events.into_iter().map(strip).collect();
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "an id tells an event from every other one: {ids:?}");
    bare
}

#[tokio::test]
async fn every_write_through_the_api_is_announced_with_what_it_changed() {
    let (stores, api, head) = started_at_head().await;
    let new = json!({ "name": "New", "price_cents": 100, "category_id": 1 });
    let path = api.post("/products", &new).await.expect(201).header("location").to_owned();
    let id: i64 = path.trim_start_matches("/products/").parse().expect("an id");
    api.put(&path, &json!({ "price_cents": 200, "name": "New" })).await.expect(200);
    let all = json!({ "name": "Newer", "description": "x", "price_cents": 1, "stock": 1, "category_id": 2, "featured": true });
    api.put(&path, &all).await.expect(200);
    api.delete(&path).await.expect(204);
    api.put("/categories/2", &json!({ "name": "Renamed" })).await.expect(200);
    api.put("/categories/2", &json!({ "name": "Again", "description": "Other words." })).await.expect(200);
    api.delete("/products/explicit/7").await.expect(204);
    let shelf: i64 = stores.sql("SELECT category_id FROM products WHERE id = 8").await.parse().expect("an id");
    for (version, strategy) in (2..).zip(STRATEGIES) {
        api.put(&format!("/products/{strategy}/8"), &json!({ "stock": 5_000 + version })).await.expect(200);
    }

    let announced = bare(stores.announced_after(head).await);
    let (kind, columns) =
        ("product.updated", ["name", "description", "price_cents", "stock", "category_id", "featured"]);
    let expected = [
        json!({ "type": "product.created", "product_id": id, "version": 1, "category_id": 1, "changed": [] }),
        json!({ "type": kind, "product_id": id, "version": 2, "category_id": 1, "changed": ["price_cents"] }),
        json!({ "type": kind, "product_id": id, "version": 3, "category_id": 2, "previous_category_id": 1, "changed": columns }),
        json!({ "type": "product.deleted", "product_id": id, "version": 3, "category_id": 2, "changed": [] }),
        json!({ "type": "category.updated", "category_id": 2, "version": 2, "changed": ["name"] }),
        json!({ "type": "category.updated", "category_id": 2, "version": 3, "changed": ["name", "description"] }),
    ];
    assert_eq!(announced[..6], expected);
    assert_eq!((&announced[6]["type"], &announced[6]["product_id"]), (&json!("product.deleted"), &json!(7)));
    for (version, event) in (2..).zip(&announced[7..]) {
        let expected =
            json!({ "type": kind, "product_id": 8, "version": version, "category_id": shelf, "changed": ["stock"] });
        assert_eq!(*event, expected);
    }
    assert_eq!(announced.len(), 7 + STRATEGIES.len());
}

#[tokio::test]
async fn every_row_changed_in_psql_is_announced() {
    let (stores, _api, head) = started_at_head().await;
    let moved: i64 = stores.sql("SELECT category_id FROM products WHERE id = 3").await.parse().expect("an id");
    for sql in [
        "INSERT INTO products (id, name, price_cents, category_id) VALUES (9001, 'a', 1, 1), (9002, 'b', 2, 2)",
        "UPDATE products SET stock = 77, version = 400, updated_at = 'epoch' WHERE id = 9001",
        // One of the two already has that price.
        "UPDATE products SET price_cents = 2 WHERE id > 9000",
        "BEGIN; UPDATE products SET name = 'c' WHERE id = 9001; UPDATE products SET featured = true WHERE id = 9001; COMMIT",
        "INSERT INTO products (id, name, price_cents, category_id) VALUES (9002, 'd', 2, 2), (9003, 'e', 3, 3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        "UPDATE products SET category_id = 12 WHERE id = 3",
        "DELETE FROM products WHERE id > 9000",
        "INSERT INTO categories (id, name) VALUES (900, 'Shelf')",
        "UPDATE categories SET description = 'It is new.' WHERE id IN (900, 901)",
        "DELETE FROM categories WHERE id = 900",
    ] {
        stores.sql(sql).await;
    }
    let product = |kind: &str, id: i64, version: i64, category: i64, changed: &[&str]| json!({ "type": format!("product.{kind}"), "product_id": id, "version": version, "category_id": category, "changed": changed });
    let category = |version: i64, changed: &[&str]| json!({ "type": "category.updated", "category_id": 900, "version": version, "changed": changed });
    let mut into_twelve = product("updated", 3, 2, 12, &["category_id"]);
    into_twelve["previous_category_id"] = json!(moved);
    let mut announced = bare(stores.announced_after(head).await);
    // An upsert is an INSERT and an UPDATE, and Postgres decides which of them is recorded first.
    announced[6..8].sort_by_key(|event| event["product_id"].as_i64());
    let expected = [
        product("created", 9001, 1, 1, &[]),
        product("created", 9002, 1, 2, &[]),
        product("updated", 9001, 2, 1, &["stock"]),
        product("updated", 9001, 3, 1, &["price_cents"]),
        product("updated", 9001, 4, 1, &["name"]),
        product("updated", 9001, 5, 1, &["featured"]),
        product("updated", 9002, 2, 2, &["name"]),
        product("created", 9003, 1, 3, &[]),
        into_twelve,
        product("deleted", 9001, 5, 1, &[]),
        product("deleted", 9002, 2, 2, &[]),
        product("deleted", 9003, 1, 3, &[]),
        category(1, &[]),
        category(2, &["description"]),
        category(2, &[]),
    ];
    assert_eq!(announced, expected);
}

/// The equality of a type is not the equality of what clients see.
#[tokio::test]
async fn change_that_the_type_of_a_column_does_not_see_is_announced() {
    let (stores, api, head) = started_at_head().await;
    stores.sql("UPDATE products SET name = 'Lamp' WHERE id = 1").await;
    stores.sql("CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)").await;
    stores.sql("ALTER TABLE products ALTER name TYPE text COLLATE any_case, ADD attributes json").await;
    stores.sql("ALTER TABLE categories ALTER name TYPE text COLLATE any_case").await;
    let before = bare(stores.announced_after(head).await).len();
    stores.sql("UPDATE products SET name = 'LAMP' WHERE id = 1").await;
    stores.sql("UPDATE products SET attributes = '{\"a\": 1}' WHERE id = 1").await;
    stores.sql("UPDATE products SET attributes = '{\"a\": 1}' WHERE id = 1").await;
    stores.sql("UPDATE categories SET name = upper(name) WHERE id = 1").await;
    let announced = bare(stores.announced_after(head).await);
    let changed: Vec<_> = announced[before..].iter().map(|event| event["changed"].clone()).collect();
    assert_eq!(changed, [json!(["name"]), json!([]), json!(["name"])]);
    let stock = api.get("/products/1").await.expect(200).json()["stock"].clone();
    let written = api.put("/products/1", &json!({ "stock": stock })).await.expect(200);
    assert_eq!(written.json()["name"], "LAMP");
}

/// In a trigger before the change, the generated columns of the new row have no value.
#[tokio::test]
async fn generated_column_makes_no_change() {
    let (stores, api, head) = started_at_head().await;
    stores.sql("CREATE DOMAIN initial AS text NOT NULL").await;
    for table in ["products", "categories"] {
        stores
            .sql(&format!(
                "ALTER TABLE {table} ADD lower_name text GENERATED ALWAYS AS (lower(name)) STORED, ADD note text"
            ))
            .await;
        stores.sql(&format!("UPDATE {table} SET name = name")).await;
    }
    let tag = api.get("/products/1").await.expect(200).header("etag").to_owned();
    api.put("/products/1", &json!({})).await.expect(200);
    api.put("/products/explicit/1", &json!({})).await.expect(200);
    assert_eq!(api.get("/products/1").await.expect(200).header("etag"), tag);
    stores.sql("UPDATE products SET name = 'LAMP' WHERE id = 1").await;
    stores.sql("UPDATE products SET note = 'x' WHERE id = 1").await;
    stores.sql("UPDATE categories SET name = 'Lamps' WHERE id = 1").await;
    let announced = bare(stores.announced_after(head).await);
    let changed: Vec<_> = announced.iter().map(|event| (event["version"].clone(), event["changed"].clone())).collect();
    assert_eq!(changed, [(json!(2), json!(["name"])), (json!(3), json!([])), (json!(2), json!(["name"]))]);
    // A null could not be assigned to this column, so each update counts as a change.
    stores.sql("ALTER TABLE products ADD short initial GENERATED ALWAYS AS (left(name, 1)) STORED").await;
    api.put("/products/1", &json!({ "stock": 5 })).await.expect(200);
}

#[tokio::test]
async fn change_of_the_whole_catalogue_records_one_event_per_product() {
    let stores = Stores::start().await;
    let _api = stores.api_with(&[("SEED_PRODUCTS", "1500")]).await;
    let head = stores.settled_head().await;
    assert_eq!(head, 1512, "the seed is announced as well");
    stores.sql("UPDATE products SET price_cents = price_cents + 1").await;
    let announced = stores.announced_after(head).await;
    let ids: Vec<i64> = announced.iter().map(|event| event["product_id"].as_i64().expect("an id")).collect();
    assert_eq!(ids, (1..=1500).collect::<Vec<i64>>());
    assert!(announced.iter().all(|event| event["version"] == 2 && event["changed"] == json!(["price_cents"])));
    stores.whole_stream().await;
}

#[tokio::test]
async fn rollbacks_and_changes_without_effect_are_not_announced() {
    let (stores, api, head) = started_at_head().await;
    for sql in [
        "BEGIN; UPDATE products SET stock = stock + 1; DELETE FROM products WHERE id = 5; ROLLBACK",
        "BEGIN; SAVEPOINT a; UPDATE products SET stock = 1234 WHERE id = 1; ROLLBACK TO a; COMMIT",
        "UPDATE products SET stock = stock, version = version + 1, updated_at = now()",
        "UPDATE products SET stock = 0 WHERE false",
        "UPDATE categories SET name = name",
        "DELETE FROM products WHERE id = 4711",
    ] {
        stores.sql(sql).await;
    }
    for path in ["/products/1", "/products/explicit/1", "/products/production/1"] {
        api.put(path, &json!({})).await.expect(200);
        api.put(path, &json!({ "category_id": 999_999 })).await.problem(422, "invalid-fields");
    }
    api.put("/categories/1", &json!({})).await.expect(200);
    api.put("/products/1", &json!({ "stock": 4_321 })).await.expect(200);
    let announced = stores.announced_after(head).await;
    assert_eq!(announced.len(), 1, "{announced:#?}");
    assert_eq!((seq(&announced[0]), &announced[0]["version"]), (head + 1, &json!(2)), "no number was wasted");
}

#[tokio::test]
async fn change_that_cannot_be_announced_is_refused_with_a_reason() {
    let (stores, _api, head) = started_at_head().await;
    for (sql, reason) in [
        ("TRUNCATE products", "TRUNCATE would not be announced; use DELETE"),
        ("TRUNCATE categories CASCADE", "TRUNCATE would not be announced; use DELETE"),
        ("TRUNCATE products, categories", "TRUNCATE would not be announced; use DELETE"),
        ("UPDATE products SET id = 9000 WHERE id = 1", "every cache knows the row by its id; insert another one"),
        ("UPDATE categories SET id = 900 WHERE id = 1", "every cache knows the row by its id; insert another one"),
    ] {
        let refused = stores.try_sql(sql).await.expect_err(sql).to_string();
        assert!(refused.contains(reason), "{sql}: {refused}");
    }
    assert_eq!(stores.sql("SELECT count(*), min(id) FROM products").await, "130|1");
    stores.sql("UPDATE products SET id = id, stock = 99 WHERE id = 1").await;
    assert_eq!(stores.announced_after(head).await.len(), 1);
}

/// Postgres fires the triggers of a row in the order of their names.
#[tokio::test]
async fn change_by_a_trigger_of_an_administrator_is_announced_or_refused() {
    let (stores, _api, head) = started_at_head().await;
    stores
        .sql(
            "CREATE FUNCTION raise_price() RETURNS trigger LANGUAGE plpgsql AS
                 $$ begin new.price_cents := new.price_cents + 1; return new; end $$;
             CREATE TRIGGER trg_price BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION raise_price();
             UPDATE products SET stock = stock WHERE id = 3",
        )
        .await;
    let announced = stores.announced_after(head).await;
    assert_eq!(announced[0]["changed"], json!(["price_cents"]), "{announced:#?}");

    stores.sql("ALTER TRIGGER trg_price ON products RENAME TO zzz_price").await;
    let refused = stores.try_sql("UPDATE products SET stock = stock WHERE id = 3").await.expect_err("it is refused");
    assert!(refused.to_string().contains("after its version was set"), "{refused}");
    // A generated column whose expression returns something else by now is not a change.
    stores
        .sql(
            "DROP TRIGGER zzz_price ON products;
             CREATE FUNCTION answer(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
             ALTER TABLE products ADD answer bigint GENERATED ALWAYS AS (answer(id)) STORED;
             CREATE OR REPLACE FUNCTION answer(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2::bigint';
             UPDATE products SET stock = stock WHERE id = 3",
        )
        .await;
    // The version counts this change.
    stores.sql("UPDATE products SET stock = stock + 1 WHERE id = 3").await;
    assert_eq!(stores.announced_after(head).await.len(), 2);
}

#[tokio::test]
async fn an_event_is_dated_by_the_write_and_not_by_its_relay() {
    let (stores, _api, head) = started_at_head().await;
    let before: DateTime<Utc> = stores.sql(NOW).await.parse().expect("a time");
    stores.sql("BEGIN; UPDATE products SET stock = 9999 WHERE id = 1; SELECT pg_sleep(0.3); COMMIT").await;
    let event = stores.announced_after(head).await.remove(0);
    let occurred: DateTime<Utc> = event["occurred_at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    let written: DateTime<Utc> = stores.sql("SELECT to_char(updated_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM products WHERE id = 1").await.parse().expect("a time");
    assert!(before <= written && written <= occurred, "{before} {written} {event}");
    assert!((occurred - written).num_milliseconds() < 300, "{written} {event}");
}

const NOW: &str = "SELECT to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
