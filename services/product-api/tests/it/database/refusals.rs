//! Errors of Postgres are classified by their SQLSTATE, not by their message. A pool without a free connection leaves
//! the service ready.

use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, Stores, started};

/// Refuses this many updates with this SQLSTATE. The sequence counts across rollbacks.
async fn refuse_updates(stores: &Stores, sqlstate: &str, times: u32) {
    let refuse = format!(
        "DROP SEQUENCE IF EXISTS attempts; CREATE SEQUENCE attempts;
         CREATE OR REPLACE FUNCTION stand_in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('attempts') <= {times} THEN
                 RAISE EXCEPTION 'Es geht gerade nicht' USING ERRCODE = '{sqlstate}';
             END IF;
             RETURN new;
         END $$;
         CREATE OR REPLACE TRIGGER a_stand_in_the_way BEFORE UPDATE ON products
             FOR EACH ROW EXECUTE FUNCTION stand_in_the_way()"
    );
    stores.sql(&refuse).await;
}

#[tokio::test]
async fn contention_is_retried_and_exhausted_resources_are_503() {
    let (stores, api) = started().await;
    let change = json!({ "stock": 7 });
    for (sqlstate, strategy) in [("40P01", "explicit"), ("40001", "writethrough"), ("55P03", "production")] {
        refuse_updates(&stores, sqlstate, 2).await;
        let version = api.get("/products/1").await.expect(200).version();
        let written = api.put(&format!("/products/{strategy}/1"), &json!({ "stock": version })).await.expect(200);
        assert_eq!(written.version(), version + 1, "{sqlstate}: once, and not for each attempt");
        let read = api.get(&format!("/products/{strategy}/1")).await.expect(200);
        assert_eq!(read.version(), version + 1, "{sqlstate}");
    }
    for sqlstate in ["53100", "53300", "53200", "57014", "57P01", "57P03", "40P01"] {
        refuse_updates(&stores, sqlstate, 1_000_000).await;
        let refused = api.put("/products/1", &change).await;
        refused.problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "1", "{sqlstate}");
    }
    let writes = async || api.readiness().await["checks"]["postgres-writes"].clone();
    refuse_updates(&stores, "53100", 1_000_000).await;
    api.put("/products/1", &change).await.problem(503, "unavailable");
    let degraded = writes().await;
    assert!(degraded["detail"].as_str().is_some_and(|detail| detail.contains("disk")), "{degraded}");
    refuse_updates(&stores, "53100", 0).await;
    api.put("/products/1", &change).await.expect(200);
    eventually("a writable database", SOON, async || writes().await["status"] == "ok").await;
    refuse_updates(&stores, "22012", 1_000_000).await;
    api.put("/products/1", &change).await.problem(500, "internal");
}

/// The operator has added rules of which the program knows nothing.
#[tokio::test]
async fn value_that_the_database_does_not_allow_is_422() {
    let (stores, api) = started().await;
    stores
        .sql("ALTER TABLE products ALTER name TYPE varchar(100), ADD CONSTRAINT cap CHECK (price_cents < 100000)")
        .await;
    for strategy in ["", "explicit/", "writethrough/", "production/"] {
        let path = format!("/products/{strategy}1");
        api.put(&path, &json!({ "name": "x".repeat(150) })).await.problem(422, "invalid-fields");
        let problem = api.put(&path, &json!({ "price_cents": 200_000 })).await.problem(422, "invalid-fields");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`cap`")), "{problem}");
        api.put(&path, &json!({ "price_cents": 99_999 })).await.expect(200);
    }
    let new = json!({ "name": "a", "price_cents": 200_000, "category_id": 1 });
    api.post("/products", &new).await.problem(422, "invalid-fields");
}

#[tokio::test]
async fn write_that_contradicts_a_row_of_the_operator_is_409() {
    let (stores, api) = started().await;
    stores
        .sql(
            "CREATE UNIQUE INDEX one_name ON products (name); UPDATE products SET name = 'Taken' WHERE id = 2;
             CREATE TABLE reviews (product_id bigint CONSTRAINT reviewed REFERENCES products);
             INSERT INTO reviews VALUES (1)",
        )
        .await;
    for strategy in ["", "explicit/", "writethrough/", "production/"] {
        let path = format!("/products/{strategy}1");
        let problem = api.put(&path, &json!({ "name": "Taken" })).await.problem(409, "conflict");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`one_name`")), "{problem}");
        api.put(&path, &json!({ "category_id": 999_999 })).await.problem(422, "invalid-fields");
    }
    api.post("/products", &json!({ "name": "Taken", "price_cents": 1, "category_id": 1 }))
        .await
        .problem(409, "conflict");
    for path in ["/products/1", "/products/explicit/1"] {
        let problem = api.delete(path).await.problem(409, "conflict");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`reviewed`")), "{problem}");
    }
    api.delete("/products/3").await.expect(204);
}

/// One such row would make every page with it unreadable.
#[tokio::test]
async fn row_that_no_service_can_read_is_refused() {
    let (stores, api) = started().await;
    for sql in [
        "INSERT INTO products (id, name, price_cents, category_id) VALUES (0, 'x', 1, 1)",
        "INSERT INTO products (id, name, price_cents, category_id) VALUES (-1, 'x', 1, 1)",
        "INSERT INTO categories (id, name) VALUES (0, 'x')",
        "INSERT INTO products (name, price_cents, category_id, created_at) VALUES ('x', 1, 1, 'infinity')",
        "UPDATE products SET created_at = 'infinity' WHERE id = 1",
        "UPDATE products SET created_at = '-infinity' WHERE id = 1",
        "UPDATE products SET created_at = '290000-01-01' WHERE id = 1",
        "INSERT INTO categories (name, updated_at) VALUES ('x', '-infinity')",
    ] {
        let refused = stores.try_sql(sql).await.expect_err(sql).to_string();
        assert!(refused.contains("violates check constraint"), "{sql}: {refused}");
    }
    stores.sql("UPDATE products SET created_at = '0001-01-01 00:00:00+00' WHERE id = 1").await;
    assert_eq!(api.get("/products/1").await.expect(200).json()["created_at"], "0001-01-01T00:00:00Z");
}

#[tokio::test]
async fn pool_without_a_free_connection_leaves_the_service_ready() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("POSTGRES__WAIT_TIMEOUT", "20s"), ("POSTGRES__STATEMENT_TIMEOUT", "30s")]).await;
    let lock = stores.lock_products().await;
    let requests = async {
        let reads = (1..=9).map(|id| {
            let api = &api;
            async move { api.get(&format!("/products/ttl/{id}")).await.status }
        });
        futures_util::future::join_all(reads).await
    };
    let look = async {
        stores.until_waiting(8).await;
        let report = eventually("a request that waits", SOON, async || {
            let report = api.readiness().await;
            (report["checks"]["postgres-pool"]["status"] == "failing").then_some(report)
        })
        .await;
        assert_eq!((&report["status"], &report["checks"]["postgres"]["status"]), (&json!("degraded"), &json!("ok")));
        lock.release().await;
    };
    let (statuses, ()) = tokio::join!(requests, look);
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 8, "{statuses:?}");
    eventually("the readiness", SOON, async || api.readiness().await["status"] == "ready").await;
}
