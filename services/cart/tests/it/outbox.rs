//! Each change of a line is recorded in the outbox, for every writer; the database refuses a change that cannot be
//! recorded.

use serde_json::{Value, json};
use testkit::{Proxy, eventually};

use crate::support::{CartOf, SOON, Service, Stores, started};

/// Returns type, product, quantity and version of the events after `after`.
async fn events_after(service: &Service, after: u64) -> Vec<(String, i64, i64, i64)> {
    let page = service.get(&format!("/events?after={after}")).await.expect(200).json();
    let events = page["events"].as_array().cloned().unwrap_or_default();
    let number = |event: &Value, field: &str| event[field].as_i64().unwrap_or_else(|| panic!("no {field} in {event}"));
    let row = |event: &Value| {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        (kind, number(event, "product_id"), number(event, "quantity"), number(event, "version"))
    };
    events.iter().map(row).collect()
}

fn added(product: i64, quantity: i64, version: i64) -> (String, i64, i64, i64) {
    ("cart.item_added".to_owned(), product, quantity, version)
}

fn removed(product: i64, version: i64) -> (String, i64, i64, i64) {
    ("cart.item_removed".to_owned(), product, 0, version)
}

#[tokio::test]
async fn each_change_of_a_line_is_announced_once_and_nothing_else_is() {
    let (stores, _fake, service) = started(3).await;
    let cart = CartOf::with(&service, &[1]).await;
    cart.put(1, 1).await.expect(200);
    cart.put(1, 4).await.expect(200);
    cart.remove(1).await.expect(204);
    cart.remove(1).await.expect(204);
    cart.remove(2).await.expect(204);
    cart.put(1, 2).await.expect(201);
    cart.view().await.expect(200);
    // Also by SQL: two lines in a statement, one of them of no pieces; a change; no change; a removal; a rollback.
    stores.sql("ALTER TABLE cart_items ADD twice bigint GENERATED ALWAYS AS (quantity * 2) STORED").await;
    stores
        .sql(
            "INSERT INTO cart_items (cart_id, product_id, quantity, added_price_cents)
                SELECT id, n, n - 2, 5 FROM carts, generate_series(2, 3) n",
        )
        .await;
    stores.sql("UPDATE cart_items SET quantity = 7 WHERE product_id = 3").await;
    stores.sql("UPDATE cart_items SET quantity = 7 WHERE product_id = 3").await;
    stores.sql("UPDATE cart_items SET quantity = 0").await;
    stores.sql("BEGIN; UPDATE cart_items SET quantity = 9; ROLLBACK").await;
    stores.until_published().await;
    let expected = [
        added(1, 1, 1),
        added(1, 4, 2),
        removed(1, 3),
        added(1, 2, 4),
        added(3, 1, 1),
        added(3, 7, 2),
        removed(1, 5),
        removed(3, 3),
    ];
    assert_eq!(events_after(&service, 0).await, expected);

    let page = service.get("/events?after=2&limit=3").await.expect(200).json();
    let seqs: Vec<_> = page["events"].as_array().expect("a list").iter().map(|event| event["seq"].clone()).collect();
    assert_eq!((json!(seqs), &page["head"]), (json!([3, 4, 5]), &json!(8)));
    let event = &page["events"][0];
    assert_eq!((&event["cart_id"], &event["schema"]), (&json!(cart.reference()), &json!(1)));
    let time = event["occurred_at"].as_str().expect("a time");
    assert!(time.len() == 27 && time.ends_with('Z') && time.contains('T'), "{time}");

    let entry = stores.redis(&["XRANGE", "cart:events", "3-0", "3-0"]).await;
    let streamed: Value = serde_json::from_str(entry.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!((&streamed, stores.redis(&["XLEN", "cart:events"]).await.as_str()), (event, "8"));
}

#[tokio::test]
async fn the_view_shows_what_was_written_by_sql() {
    let (stores, _fake, service) = started(2).await;
    let cart = stores.cached_cart(&service, &[1]).await;
    stores.sql("UPDATE cart_items SET quantity = 8").await;
    eventually("psql's write", SOON, async || cart.line(1).await["quantity"] == 8).await;
    stores
        .sql("INSERT INTO cart_items (cart_id, product_id, quantity, added_price_cents) SELECT id, 2, 2, 5 FROM carts")
        .await;
    eventually("psql's line", SOON, async || cart.line(2).await["quantity"] == 2).await;
    stores.sql("UPDATE cart_items SET quantity = 0 WHERE product_id = 1").await;
    eventually("psql's removal", SOON, async || cart.line(1).await == json!(null)).await;
}

#[tokio::test]
async fn change_that_cannot_be_announced_is_refused_by_the_database() {
    let (stores, _fake, service) = started(1).await;
    CartOf::at(&service).await.put(1, 1).await.expect(201);
    for (sql, says) in [
        ("DELETE FROM cart_items", "quantity = 0"),
        ("TRUNCATE cart_items", "quantity = 0"),
        ("UPDATE cart_items SET product_id = 2", "insert another one"),
        ("UPDATE cart_items SET quantity = -1", "cart_items_quantity_range"),
        ("UPDATE cart_items SET quantity = 1000", "cart_items_quantity_range"),
        ("UPDATE cart_items SET added_price_cents = -1", "cart_items_price_not_negative"),
        ("DELETE FROM carts", "carts are kept"),
        ("TRUNCATE carts CASCADE", "quantity = 0"),
        ("UPDATE carts SET id = gen_random_uuid()", "insert another one"),
        ("INSERT INTO cart_items SELECT gen_random_uuid(), 1, 1, 1", "cart_items_cart_exists"),
    ] {
        let error = stores.try_sql(sql).await.expect_err(sql);
        assert!(format!("{error:#}").contains(says), "{sql}: {error:#}");
    }
    // No client can choose the version.
    stores.sql("UPDATE cart_items SET version = 99").await;
    stores.sql("UPDATE cart_items SET version = 99, quantity = 2").await;
    assert_eq!(stores.sql("SELECT version FROM cart_items").await, "2");
    stores.until_published().await;
    assert_eq!(events_after(&service, 0).await, [added(1, 1, 1), added(1, 2, 2)]);
}

/// Postgres fires the triggers of a row in the order of their names.
#[tokio::test]
async fn change_by_a_trigger_of_an_administrator_is_announced_or_refused() {
    let (stores, _fake, service) = started(1).await;
    CartOf::at(&service).await.put(1, 1).await.expect(201);
    stores
        .sql(
            "CREATE FUNCTION one_more() RETURNS trigger LANGUAGE plpgsql AS
                 $$ begin new.quantity := new.quantity + 1; return new; end $$;
             CREATE TRIGGER trg_more BEFORE UPDATE ON cart_items FOR EACH ROW EXECUTE FUNCTION one_more();
             UPDATE cart_items SET added_price_cents = added_price_cents",
        )
        .await;
    stores.until_published().await;
    assert_eq!(events_after(&service, 0).await, [added(1, 1, 1), added(1, 2, 2)]);

    stores.sql("ALTER TRIGGER trg_more ON cart_items RENAME TO zzz_more").await;
    let sql = "UPDATE cart_items SET added_price_cents = added_price_cents";
    let refused = stores.try_sql(sql).await.expect_err("it is refused");
    assert!(format!("{refused:#}").contains("after its version was set"), "{refused:#}");
}

#[tokio::test]
async fn events_that_are_no_longer_kept_are_gone() {
    let (stores, _fake, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    for quantity in 1..=3 {
        cart.put(1, quantity).await;
    }
    stores.until_published().await;
    stores.sql("DELETE FROM outbox WHERE seq <= 2").await;
    service.get("/events?after=1").await.problem(410, "gone");
    assert_eq!(events_after(&service, 2).await, [added(1, 3, 3)]);
    let ahead = service.get("/events?after=99").await.expect(200).json();
    assert_eq!((&ahead["events"], &ahead["head"]), (&json!([]), &json!(3)));
}

/// The writer has committed and is killed before Redis receives its invalidation; the relay of another process makes it.
#[tokio::test]
async fn deferred_change_is_invalidated_after_the_death_of_its_writer() {
    let (stores, fake) = Stores::with_fake(1).await;
    let wire = Proxy::to(stores.redis.port()).await.expect("a wire");
    let url = stores.redis.url_of("cart");
    let url = url.replace(&format!(":{}", stores.redis.port()), &format!(":{}", wire.port()));
    let settings = [("REDIS__URL", url.as_str()), ("REDIS__COMMAND_TIMEOUT", "300ms")];
    let writer = stores.cart_with(fake.url(), &settings).await;
    let cart = stores.cached_cart(&writer, &[1]).await;
    wire.hold_requests();
    assert_eq!(cart.put(1, 7).await.expect(200).source(), "fwd=method; detail=deferred");
    assert_eq!(stores.redis(&["EXISTS", &cart.key()]).await, "1", "there is nothing to repeat");
    writer.process.kill9().await.expect("it is killed");
    wire.cut();
    let service = stores.cart(&fake).await;
    stores.until_published().await;
    assert_eq!(cart.through(&service).line(1).await["quantity"], 7);
}
