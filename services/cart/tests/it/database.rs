//! The cart's database: temporarily read-only, changed online, and written to by other clients. The connection
//! breaks during a COMMIT: the view must not hide a committed write.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Postgres, PostgresFault, PostgresProxy, eventually};
use tokio::time::sleep;

use crate::support::{CartOf, SOON, Service, Stores, started};

/// A cart whose events are late does not read past its cache, so only an event brings a new price.
const ONLY_BY_EVENTS: [(&str, &str); 1] = [("EVENTS__STALE_AFTER", "10m")];

async fn turn(stores: &Stores, read_only: &str) {
    let database = stores.database.name();
    let postgres = Postgres::shared().await;
    let turn = format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = {read_only}");
    postgres.sql("postgres", &turn).await.expect("the test's own SQL");
    if read_only == "on" {
        // Existing sessions keep the setting with which they began.
        end_sessions(stores).await;
    }
}

async fn end_sessions(stores: &Stores) {
    let database = stores.database.name();
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'");
    Postgres::shared().await.sql("postgres", &end).await.expect("the test's own SQL");
}

async fn readiness(service: &Service) -> Value {
    service.readiness().await
}

/// The sessions end, and the service does not know that yet when it uses them.
#[tokio::test]
async fn ended_sessions_fail_no_request() {
    let (stores, fake) = Stores::with_fake(1).await;
    let proxy = PostgresProxy::to(stores.database.url()).await.expect("a proxy to the database");
    let service = stores.cart_with(fake.url(), &[("POSTGRES__URL", proxy.url())]).await;
    let end = async || {
        proxy.set(PostgresFault::WithholdReplies);
        end_sessions(&stores).await;
        proxy.until_withheld().await;
        // Long enough for a request to use an ended session.
        sleep(Duration::from_millis(100)).await;
        proxy.set(PostgresFault::Pass);
    };
    let (cart, ()) = tokio::join!(CartOf::at(&service), end());
    let (put, ()) = tokio::join!(cart.put(1, 2), end());
    put.expect(201);
    let (view, ()) = tokio::join!(cart.view(), end());
    view.expect(200);
}

#[tokio::test]
async fn read_only_database_serves_current_views_refuses_writes_and_recovers() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &ONLY_BY_EVENTS).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 2).await.expect(201);
    cart.cached().await;
    turn(&stores, "on").await;
    eventually("new sessions", SOON, async || service.get(&format!("{}?", cart.path())).await.status == 200).await;
    let refused = cart.put(1, 3).await;
    refused.problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    cart.remove(1).await.problem(503, "unavailable");
    service.post("/carts", &json!({})).await.problem(503, "unavailable");
    let report = readiness(&service).await;
    assert_eq!((&report["status"], &report["checks"]["postgres"]["status"]), (&json!("degraded"), &json!("ok")));
    let detail = report["checks"]["postgres-writes"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("read-only"), "{report}");
    // The cart shows data that it cannot store.
    api.put("/products/1", &json!({ "price_cents": 4_711, "stock": 50 })).await.expect(200);
    stores.until_price(&cart, 1, 4_711).await;
    turn(&stores, "off").await;
    eventually("a write", SOON, async || cart.put(1, 4).await.status == 200).await;
    // One session may be new by then, and the others may not.
    let writes = async || readiness(&service).await["checks"]["postgres-writes"]["status"] == "ok";
    eventually("all sessions", SOON, writes).await;
    for quantity in 5..13 {
        cart.put(1, quantity).await.expect(200);
    }
    // The event that was held up meanwhile is applied.
    let floor = "SELECT floor_version FROM known_products WHERE id = 1";
    let version = api.get("/products/1").await.expect(200).version().to_string();
    eventually("the event", SOON, async || stores.sql(floor).await == version).await;
    eventually("the readiness", SOON, async || readiness(&service).await["status"] == "ready").await;
}

/// A full disk refuses what is new. Prices that changed are shown all the same, and `/readyz` says that nothing can be written.
#[tokio::test]
async fn full_disk_delays_no_price_and_fails_no_read() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &ONLY_BY_EVENTS).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 2).await.expect(201);
    cart.cached().await;
    let refuse = "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100';
         END $$;
         CREATE TRIGGER a_disk_full BEFORE INSERT OR UPDATE ON known_products
             FOR EACH ROW EXECUTE FUNCTION disk_full()";
    stores.sql(refuse).await;
    api.put("/products/1", &json!({ "price_cents": 4_711, "stock": 50 })).await.expect(200);
    stores.until_price(&cart, 1, 4_711).await;
    eventually("the full disk", SOON, async || {
        let report = readiness(&service).await;
        report["checks"]["postgres-writes"]["detail"].as_str().is_some_and(|detail| detail.contains("disk"))
    })
    .await;
    cart.view().await.expect(200);
    stores.sql("DROP TRIGGER a_disk_full ON known_products").await;
    eventually("the readiness", SOON, async || readiness(&service).await["status"] == "ready").await;
}

#[tokio::test]
async fn column_type_changed_online_fails_no_request() {
    let (stores, _fake, service) = started(8).await;
    let carts: Vec<CartOf<'_>> =
        vec![CartOf::at(&service).await, CartOf::at(&service).await, CartOf::at(&service).await];
    for (round, kind) in [(1, "timestamptz(3)"), (2, "timestamptz"), (3, "timestamptz(0)")] {
        for repetition in [0, 1] {
            let requests = carts.iter().flat_map(|cart| (1..=4).map(move |product| (cart, product)));
            let requests = requests.map(|(cart, product)| async move {
                let put = cart.put(product, 2 * round + repetition).await;
                assert!([200, 201].contains(&put.status), "{put:?}");
                cart.view().await.expect(200);
            });
            futures_util::future::join_all(requests).await;
            if repetition == 0 {
                stores.sql(&format!("ALTER TABLE carts ALTER created_at TYPE {kind}")).await;
                stores.sql(&format!("ALTER TABLE cart_items ALTER added_at TYPE {kind}")).await;
            }
        }
    }
}

#[tokio::test]
async fn change_of_a_line_is_announced_under_any_session_settings_and_role() {
    let (stores, _fake, service) = started(3).await;
    let cart = CartOf::with(&service, &[1]).await;
    let change = "UPDATE public.cart_items SET quantity = quantity + 1";
    for setting in ["search_path = ''", "session_replication_role = replica", "timezone = 'Asia/Tokyo'"] {
        stores.sql(&format!("SET {setting}; {change}")).await;
    }
    stores.sql(&format!("CREATE TEMP TABLE outbox (event jsonb); {change}")).await;
    // Roles belong to the whole server, so this one is named after the database.
    let role = format!("writer_{}", stores.database.name());
    stores.sql(&format!("CREATE ROLE {role} LOGIN; GRANT SELECT, UPDATE ON cart_items TO {role}")).await;
    Postgres::shared().await.sql_as(&role, stores.database.name(), change).await.expect("it may write lines");
    // The ids of the outbox may be chosen by hand as well.
    let by_hand = "INSERT INTO outbox (id, event) SELECT (SELECT last_value FROM outbox_id_seq) + n, event
                   FROM (SELECT event FROM outbox LIMIT 1) AS one, generate_series(1, 1000) AS n";
    stores.sql(by_hand).await;
    stores.sql("SELECT setval('outbox_id_seq', 2)").await;
    cart.put(1, 50).await.expect(200);
    let quantities = "SELECT string_agg(event->>'quantity', ' ' ORDER BY (event->>'version')::bigint)
                      FROM (SELECT DISTINCT event->>'version', event FROM outbox) AS outbox (version, event)";
    stores.until_published().await;
    assert_eq!(stores.sql(quantities).await, "1 2 3 4 5 6 50");
}

#[tokio::test]
async fn view_is_removed_when_the_reply_to_a_commit_is_lost() {
    let (stores, fake) = Stores::with_fake(2).await;
    let proxy = PostgresProxy::to(stores.database.url()).await.expect("a proxy to the database");
    let service = stores.cart_with(fake.url(), &[("POSTGRES__URL", proxy.url())]).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    // Only the writer can remove the view.
    stores.sql("ALTER TABLE cart_items DISABLE TRIGGER cart_items_announce_insert").await;
    stores.sql("ALTER TABLE cart_items DISABLE TRIGGER cart_items_announce_update").await;

    cart.cached().await;
    proxy.set(PostgresFault::LoseCommitReplies);
    cart.put(1, 7).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    assert_eq!(cart.line(1).await["quantity"], 7);

    cart.cached().await;
    proxy.set(PostgresFault::LoseCommitReplies);
    cart.remove(1).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    assert!(cart.line(1).await.is_null());
}

/// Postgres has not read the COMMIT yet, and a reader stores the old view in between.
#[tokio::test]
async fn view_is_removed_again_after_a_late_commit_on_a_lost_connection() {
    let (stores, fake) = Stores::with_fake(1).await;
    let proxy = PostgresProxy::to(stores.database.url()).await.expect("a proxy to the database");
    let settings = [("POSTGRES__URL", proxy.url()), ("POSTGRES__STATEMENT_TIMEOUT", "6s")];
    let service = stores.cart_with(fake.url(), &settings).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    stores.sql("ALTER TABLE cart_items DISABLE TRIGGER cart_items_announce_update").await;

    proxy.set(PostgresFault::DelayCommits);
    cart.put(1, 7).await.problem(503, "unavailable");
    assert_eq!(cart.cached().await.json()["lines"][0]["quantity"], 1, "it was committed too early");
    proxy.set(PostgresFault::Pass);
    let quantity = "SELECT quantity FROM cart_items WHERE product_id = 1";
    eventually("the commit", SOON, async || stores.sql(quantity).await == "7").await;
    eventually("the second invalidation", 3 * SOON, async || cart.line(1).await["quantity"] == 7).await;
}
