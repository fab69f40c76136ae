//! The product API, Redis or the database is unavailable: lists come from the last known data, and say so.

use std::time::Duration;

use serde_json::json;
use testkit::eventually;
use tokio::time::sleep;

use crate::support::{
    Carts, SOON, Stores, ids, item, started, until_both_are_read, until_list, with_product_api,
    with_product_api_at_port,
};

#[tokio::test]
async fn lists_without_the_product_api_use_last_known_data_and_are_stale() {
    let (stores, port, api) = with_product_api_at_port().await;
    let service = stores.start_service(api.url(), &[]).await;
    until_list(&service, "/recommendations/1", "the copy to be current", |list| list["catalogue"]["stale"] == false)
        .await;
    api.process.kill9().await.expect("it is killed");
    stores.shop_sql("UPDATE products SET price_cents = 13999 WHERE id = 25").await;
    let stale = |list: &serde_json::Value| list["catalogue"]["stale"] == true;
    until_list(&service, "/recommendations/1", "the lists to be flagged", stale).await;
    let fresh = service.get("/recommendations/13").await.expect(200);
    assert!(
        fresh.header("cache-status").contains("catalogue-stale") || fresh.source() == "fwd=miss; stored",
        "{fresh:?}"
    );
    assert_eq!(item(&fresh.json(), 25).unwrap()["price_cents"], 13_900);
    let hit = service.get("/recommendations/13").await.expect(200);
    assert!(hit.header("cache-status").contains("detail=catalogue-stale"), "{hit:?}");
    // Changes of carts still have an effect.
    Carts::learned(&stores).await;
    assert_eq!(ids(&service.get("/recommendations/1").await.expect(200).json(), "bought_together"), [14]);
    // A busy machine delays the check of the events, and then a list is marked for a moment before the copy is old.
    eventually("the readiness to say so", SOON, async || service.readiness().await["status"] == "degraded").await;
    let _api = stores.product_api(&port).await;
    let is_new = |list: &serde_json::Value| {
        list["catalogue"]["stale"] == false && item(list, 25).is_some_and(|item| item["price_cents"] == 13_999)
    };
    until_list(&service, "/recommendations/13", "the new price", is_new).await;
}

#[tokio::test]
async fn outdated_list_is_not_stored_again_before_the_new_row_arrives() {
    let (stores, port, api) = with_product_api_at_port().await;
    let service = stores.start_service(api.url(), &[]).await;
    stores.until_shop_is_applied().await;
    until_both_are_read(&service).await;
    let source = async |id: i64| service.get(&format!("/recommendations/{id}")).await.expect(200).source().to_owned();
    eventually("a hit", SOON, async || source(1).await == "hit").await;
    eventually("another one", SOON, async || source(2).await == "hit").await;
    api.process.kill9().await.expect("it is killed");
    change_as_the_api_dies(&stores, "UPDATE products SET price_cents = 13999 WHERE id = 25").await;
    eventually("the list to be gone", SOON, async || source(1).await == "fwd=miss; detail=not-stored").await;
    for _ in 0..3 {
        assert_eq!(source(1).await, "fwd=miss; detail=not-stored");
        // The hit is marked as stale if the loop takes longer than the copy counts as current.
        let other = source(2).await;
        assert!(other.starts_with("hit"), "{other}");
    }
    let _api = stores.product_api(&port).await;
    stores.until_shop_is_applied().await;
    let list = service.get("/recommendations/1").await.expect(200);
    assert!(list.source().starts_with("fwd=miss; stored"), "{list:?}");
    assert_eq!(item(&list.json(), 25).unwrap()["price_cents"], 13_999);
    assert_eq!(stores.sql("SELECT max(cardinality(tags)) FROM awaited").await, "0");
}

#[tokio::test]
async fn product_that_may_be_sold_out_is_hidden_until_its_row_arrives() {
    let (stores, port, api) = with_product_api_at_port().await;
    let service = stores.start_service(api.url(), &[]).await;
    stores.until_shop_is_applied().await;
    until_both_are_read(&service).await;
    assert!(item(&service.get("/recommendations/1").await.expect(200).json(), 25).is_some());
    api.process.kill9().await.expect("it is killed");
    change_as_the_api_dies(&stores, "UPDATE products SET stock = 0 WHERE id = 25").await;
    let is_left_out = |list: &serde_json::Value| item(list, 25).is_none();
    until_list(&service, "/recommendations/1", "it to be left out", is_left_out).await;
    stores.shop_sql("UPDATE products SET stock = 7 WHERE id = 25").await;
    let _api = stores.product_api(&port).await;
    until_list(&service, "/recommendations/1", "it to be back", |list| item(list, 25).is_some()).await;
}

/// Changes one row, and appends its event to the stream as the relay does. The product API, which has the new row, is
/// already down.
async fn change_as_the_api_dies(stores: &Stores, change: &str) {
    stores.shop_sql(change).await;
    let numbered = "SELECT head.seq + 1, event || jsonb_build_object('seq', head.seq + 1)
                    FROM outbox, outbox_head head WHERE outbox.seq IS NULL";
    let numbered = stores.shop_sql(numbered).await;
    let (seq, event) = numbered.split_once('|').expect("two columns");
    stores.redis(&["XADD", "product:events", &format!("{seq}-0"), "event", event]).await;
}

/// The event handler then opens a connection, several calls below the consumer that runs it: the deepest stack of the
/// service.
#[tokio::test]
async fn terminated_database_connections_are_replaced() {
    let (stores, _api, service) = started().await;
    stores.until_shop_is_applied().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for price in 13_901..13_906 {
        assert_ne!(stores.sql(end).await, "0");
        stores.shop_sql(&format!("UPDATE products SET price_cents = {price} WHERE id = 25")).await;
        eventually("the new price", SOON, async || {
            let list = service.get("/recommendations/13").await;
            list.status == 200 && item(&list.json(), 25).is_some_and(|item| item["price_cents"] == price)
        })
        .await;
    }
}

#[tokio::test]
async fn lists_without_redis_bypass_the_cache() {
    let (stores, api) = with_product_api().await;
    let service = stores.start_service(api.url(), &[("REDIS__COMMAND_TIMEOUT", "200ms")]).await;
    let before = service.get("/recommendations/1").await.expect(200).json();
    stores.redis.kill().await.expect("it is killed");
    for _ in 0..5 {
        let answer = service.get("/recommendations/1").await.expect(200);
        assert_eq!(answer.source(), "fwd=bypass; detail=redis-down");
        assert_eq!(ids(&answer.json(), "similar"), ids(&before, "similar"));
    }
    let ready = service.readiness().await;
    assert_eq!((&ready["status"], &ready["checks"]["redis"]["status"]), (&json!("degraded"), &json!("failing")));
    stores.shop_sql("UPDATE products SET price_cents = 13901 WHERE id = 25").await;
    stores.redis.restart().await.expect("it starts");
    let is_new = |list: &serde_json::Value| item(list, 25).is_some_and(|item| item["price_cents"] == 13_901);
    until_list(&service, "/recommendations/1", "the new price", is_new).await;
    eventually("hits", SOON, async || service.get("/recommendations/1").await.expect(200).source() == "hit").await;
}

/// Redis has lost everything: entries, streams and groups. Postgres has the data of the service and its positions.
#[tokio::test]
async fn changes_during_the_loss_of_redis_are_read_from_the_logs() {
    let (stores, api) = with_product_api().await;
    let service = stores.start_service(api.url(), &[]).await;
    Carts::learned(&stores).await;
    service.stop().await;
    stores.redis.kill().await.expect("it is killed");
    stores.shop_sql("UPDATE products SET price_cents = 13901 WHERE id = 25").await;
    stores.shop_sql("DELETE FROM products WHERE id = 37").await;
    stores.redis.restart().await.expect("it starts");
    let service = stores.start_service(api.url(), &[]).await;
    let is_new = |list: &serde_json::Value| {
        item(list, 25).is_some_and(|item| item["price_cents"] == 13_901) && item(list, 37).is_none()
    };
    let list = until_list(&service, "/recommendations/1", "the changes", is_new).await;
    assert_eq!(ids(&list, "bought_together"), [14]);
}

/// The log no longer has the missed events, so the service copies the whole catalogue again.
#[tokio::test]
async fn catalogue_is_copied_again_when_the_log_lacks_missed_events() {
    let (stores, api) = with_product_api().await;
    let service = stores.start_service(api.url(), &[]).await;
    stores.until_shop_is_applied().await;
    service.stop().await;
    stores.shop_sql("UPDATE products SET price_cents = 13901 WHERE id = 25").await;
    stores.shop_sql("DELETE FROM products WHERE id = 37").await;
    stores
        .shop_sql("INSERT INTO products (name, price_cents, stock, category_id) VALUES ('Tent pegs', 900, 9, 1)")
        .await;
    eventually("all of it to be announced", SOON, async || {
        stores.shop_sql("SELECT count(*) FROM outbox WHERE done_at IS NULL").await == "0"
    })
    .await;
    stores.shop_sql("DELETE FROM outbox").await;
    stores.redis(&["DEL", "product:events"]).await;
    let service = stores.start_service(api.url(), &[]).await;
    let is_new = |list: &serde_json::Value| {
        item(list, 25).is_some_and(|item| item["price_cents"] == 13_901) && item(list, 37).is_none()
    };
    until_list(&service, "/recommendations/1", "the changes", is_new).await;
    assert!(service.metric("events_resyncs_total", "").await >= 1.0);
    assert_eq!(stores.sql("SELECT count(*) FROM products WHERE name = 'Tent pegs' AND NOT deleted").await, "1");
}

/// The process is killed after it has copied the catalogue, and before Redis has removed the lists from before.
#[tokio::test]
async fn lists_of_the_old_copy_are_removed_by_the_next_process() {
    let (stores, api) = with_product_api().await;
    let service = stores.start_service(api.url(), &[]).await;
    stores.until_shop_is_applied().await;
    eventually("a hit", SOON, async || service.get("/recommendations/1").await.expect(200).source() == "hit").await;
    let announced = async || {
        eventually("it to be announced", SOON, async || {
            stores.shop_sql("SELECT count(*) FROM outbox WHERE done_at IS NULL").await == "0"
        })
        .await;
    };
    // Neither the stream nor the log has this change; the next event shows the gap.
    service.stop().await;
    stores.shop_sql("UPDATE products SET price_cents = 13901 WHERE id = 25").await;
    announced().await;
    stores.shop_sql("DELETE FROM outbox").await;
    stores.redis(&["XTRIM", "product:events", "MAXLEN", "0"]).await;
    stores.redis(&["ACL", "SETUSER", "recommendation", "-unlink"]).await;
    stores.shop_sql("UPDATE products SET featured = NOT featured WHERE id = 60").await;
    announced().await;
    let service = stores.start_service(api.url(), &[]).await;
    eventually("the copy", SOON, async || {
        stores.sql("SELECT price_cents FROM products WHERE id = 25").await == "13901"
    })
    .await;
    sleep(Duration::from_millis(200)).await;
    service.process.kill9().await.expect("it is killed");
    stores.redis(&["ACL", "SETUSER", "recommendation", "+unlink"]).await;
    let service = stores.start_service(api.url(), &[]).await;
    // Until the events are verified, no list from Redis is used.
    let read = async || service.get("/recommendations/1").await.expect(200);
    eventually("a hit", SOON, async || read().await.source() == "hit").await;
    let list = read().await.json();
    assert!(item(&list, 25).is_some_and(|item| item["price_cents"] == 13_901), "{list}");
}
