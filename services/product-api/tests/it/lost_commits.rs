//! The connection to Postgres breaks during a COMMIT: the writer does not know whether the write is committed. A
//! client disconnects: what is committed is invalidated nevertheless.
//!
//! The outbox is disabled here, so that only the writer can invalidate what its changes outdate.

use serde_json::{Value, json};
use testkit::{PostgresFault, PostgresProxy, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Api, FRESH, SOON, STRATEGIES, Stores};

/// A product API whose changes are not recorded in the outbox, behind a proxy that loses COMMITs.
async fn unannounced(stores: &Stores, settings: &[(&str, &str)]) -> (PostgresProxy, Api) {
    let proxy = PostgresProxy::to(stores.database.url()).await.expect("a proxy to the database");
    let settings = [&[("POSTGRES__URL", proxy.url())], settings].concat();
    let api = stores.api_with(&settings).await;
    stores.until_published().await;
    for (table, trigger) in [
        ("products", "products_announce_insert"),
        ("products", "products_announce_update"),
        ("products", "products_announce_delete"),
        ("categories", "categories_announce_update"),
    ] {
        stores.sql(&format!("ALTER TABLE {table} DISABLE TRIGGER {trigger}")).await;
    }
    (proxy, api)
}

async fn stock(api: &Api, path: &str) -> Value {
    api.get(path).await.expect(200).json()["stock"].clone()
}

/// Loads the entry and requires that it stays.
async fn fill(api: &Api, path: &str) {
    eventually("a hit", SOON, async || api.get(path).await.source().starts_with("hit")).await;
}

#[tokio::test]
async fn write_whose_commit_reply_is_lost_is_invalidated_at_once() {
    let stores = Stores::start().await;
    let (proxy, api) = unannounced(&stores, &[]).await;
    for &strategy in FRESH.iter() {
        let path = format!("/products/{strategy}/1");
        fill(&api, &path).await;
        proxy.set(PostgresFault::LoseCommitReplies);
        let written = json!({ "stock": 4_000 + strategy.len() });
        api.put(&path, &written).await.problem(503, "unavailable");
        proxy.set(PostgresFault::Pass);
        // The 503 guarantees nothing, but a committed value must not stay hidden until the TTL.
        eventually(strategy, SOON, async || stock(&api, &path).await == written["stock"]).await;
    }
}

/// The guard stays, because the write may be committed; until its lease is over, no fill is stored.
#[tokio::test]
async fn guarded_write_whose_commit_reply_is_lost_is_never_read_stale() {
    let stores = Stores::start().await;
    // A long time for statements, and so a long lease: longer than this test.
    let settings = [("PRODUCTION__WRITE_GUARD", "true"), ("POSTGRES__STATEMENT_TIMEOUT", "20s")];
    let (proxy, api) = unannounced(&stores, &settings).await;
    let path = "/products/production/1";
    fill(&api, path).await;
    proxy.set(PostgresFault::LoseCommitReplies);
    api.put(path, &json!({ "stock": 4_321 })).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    let is_committed = async || stores.sql("SELECT stock FROM products WHERE id = 1").await == "4321";
    eventually("the COMMIT", SOON, is_committed).await;
    for _ in 0..20 {
        assert_eq!(stock(&api, path).await, 4_321);
    }
    assert_eq!(stores.redis(&["EXISTS", "product:~guards"]).await, "1");
    assert!(!stores.has_entry("product:production:1").await);
}

#[tokio::test]
async fn delete_create_and_rename_with_lost_commit_replies_are_invalidated() {
    let stores = Stores::start().await;
    let (proxy, api) = unannounced(&stores, &[]).await;
    let lost = async |answer: testkit::http::TestResponse| {
        answer.problem(503, "unavailable");
        proxy.set(PostgresFault::Pass);
    };

    fill(&api, "/products/explicit/1").await;
    proxy.set(PostgresFault::LoseCommitReplies);
    lost(api.delete("/products/explicit/1").await).await;
    api.get("/products/explicit/1").await.problem(404, "not-found");

    let next = stores.sql("SELECT max(id) + 1 FROM products").await;
    stores.sql(&format!("ALTER SEQUENCE products_id_seq RESTART WITH {next}")).await;
    let path = format!("/products/explicit/{next}");
    fill(&api, &path).await;
    api.get(&path).await.problem(404, "not-found");
    proxy.set(PostgresFault::LoseCommitReplies);
    lost(api.post("/products", &json!({ "name": "New", "price_cents": 1, "category_id": 1 })).await).await;
    api.get(&path).await.expect(200);

    let shown = "SELECT min(id) FROM products WHERE category_id = 1";
    let path = format!("/products/tags/{}", stores.sql(shown).await);
    fill(&api, &path).await;
    proxy.set(PostgresFault::LoseCommitReplies);
    lost(api.put("/categories/1", &json!({ "name": "Renamed" })).await).await;
    assert_eq!(api.get(&path).await.expect(200).json()["category"]["name"], "Renamed");
}

/// A write of any strategy may move a product to another list, create it or delete it.
#[tokio::test]
async fn lists_are_invalidated_when_the_reply_to_a_commit_is_lost() {
    let stores = Stores::start().await;
    let (proxy, api) = unannounced(&stores, &[]).await;
    let list = |category: i64| format!("/products/by-category/{category}");
    let shows = async |category: i64, field: &str, value: &Value| {
        let products = api.get(&list(category)).await.expect(200).json()["products"].clone();
        products.as_array().expect("a list").iter().any(|product| product[field] == *value)
    };
    let id = api.get(&list(1)).await.expect(200).json()["products"][0]["id"].clone();
    for (strategy, (from, to)) in STRATEGIES.into_iter().zip([(1, 2), (2, 1)].into_iter().cycle()) {
        fill(&api, &list(from)).await;
        fill(&api, &list(to)).await;
        assert!(shows(from, "id", &id).await && !shows(to, "id", &id).await, "{strategy}");
        proxy.set(PostgresFault::LoseCommitReplies);
        let change = json!({ "category_id": to });
        api.put(&format!("/products/{strategy}/{id}"), &change).await.problem(503, "unavailable");
        proxy.set(PostgresFault::Pass);
        assert!(!shows(from, "id", &id).await, "{strategy}: the list that the product left");
        assert!(shows(to, "id", &id).await, "{strategy}: the list that the product entered");
    }
    let name = json!("Created in doubt");
    fill(&api, &list(1)).await;
    proxy.set(PostgresFault::LoseCommitReplies);
    let created = json!({ "name": name, "price_cents": 1, "category_id": 1 });
    api.post("/products", &created).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    assert!(shows(1, "name", &name).await, "the list of the created product");
    let created = stores.sql("SELECT max(id) FROM products").await;
    fill(&api, &list(1)).await;
    proxy.set(PostgresFault::LoseCommitReplies);
    api.delete(&format!("/products/{created}")).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    assert!(!shows(1, "name", &name).await, "the list of the deleted product");

    // The list of featured products may show an older row until its soft TTL, but not after an acknowledged write.
    let featured = api.get("/products/featured").await.expect(200).json();
    let id = featured["products"][0]["id"].clone();
    fill(&api, "/products/featured").await;
    proxy.set(PostgresFault::LoseCommitReplies);
    api.put(&format!("/products/{id}"), &json!({ "name": "Renamed in doubt" })).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    eventually("the new name in the list of featured products", SOON, async || {
        api.get("/products/featured").await.expect(200).text().contains("Renamed in doubt")
    })
    .await;
}

/// The service's connection is lost before Postgres has read the COMMIT, and a reader stores the old row in between.
#[tokio::test]
async fn write_committed_after_its_connection_was_lost_is_invalidated_again() {
    let stores = Stores::start().await;
    // Postgres reads the COMMIT within 2 s more than that, or never. The second invalidation follows after 15 s.
    let (proxy, api) = unannounced(&stores, &[("POSTGRES__STATEMENT_TIMEOUT", "6s")]).await;
    for (id, strategy) in (1..).zip(["explicit", "writethrough"]) {
        let path = format!("/products/{strategy}/{id}");
        let before = stock(&api, &path).await;
        proxy.set(PostgresFault::DelayCommits);
        api.put(&path, &json!({ "stock": 4_711 })).await.problem(503, "unavailable");
        eventually("the old row to be stored", SOON, async || {
            assert_eq!(stock(&api, &path).await, before, "it was committed too early");
            api.get(&path).await.source().starts_with("hit")
        })
        .await;
        proxy.set(PostgresFault::Pass);
        let committed = format!("SELECT stock FROM products WHERE id = {id}");
        eventually("the commit", SOON, async || stores.sql(&committed).await == "4711").await;
        eventually("the second invalidation", 3 * SOON, async || stock(&api, &path).await == 4_711).await;
    }
}

/// Sends a request and resets the connection before the response, while `stores` hold up its COMMIT.
async fn hang_up_in_the_middle_of(stores: &Stores, api: &Api, request: &str) {
    let mut client = TcpStream::connect(api.address()).await.expect("it listens");
    client.write_all(request.as_bytes()).await.expect("a request");
    stores.until_waiting(1).await;
    client.set_zero_linger().expect("a socket option");
    drop(client);
    // There is one worker, and it has seen the reset before it responds to these.
    for _ in 0..5 {
        api.get("/livez").await.expect(200);
    }
}

/// If the write were cancelled with its client, its COMMIT would be left to Postgres and the old entry to its TTL.
#[tokio::test]
async fn a_client_that_hangs_up_during_the_commit_leaves_no_stale_entry() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("HTTP__WORKERS", "1")]).await;
    // A COMMIT that takes as long as the test needs.
    stores
        .sql(
            "CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER hold_up AFTER UPDATE OR DELETE ON products
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold_up();",
        )
        .await;
    let body = json!({ "stock": 4711 }).to_string();
    let put = format!(
        "PUT /products/explicit/1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let delete = "DELETE /products/explicit/2 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
    for (id, request, committed) in [(1, put, "stock = 4711"), (2, delete, "false")] {
        let read = api.get(&format!("/products/explicit/{id}")).await.expect(200);
        assert_eq!(read.source(), "fwd=miss; stored");
        let held = stores.hold_commits(4711).await;
        hang_up_in_the_middle_of(&stores, &api, &request).await;
        held.release().await;
        let pending = format!("SELECT count(*) FROM products WHERE id = {id} AND NOT ({committed})");
        eventually("the commit", SOON, async || stores.sql(&pending).await == "0").await;
        eventually("the invalidation", SOON, async || !stores.has_entry(&format!("product:explicit:{id}")).await).await;
    }
}
