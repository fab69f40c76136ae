//! A database is restored from an older backup while Redis keeps its data: the shop's, or the service's own.

use testkit::eventually;

use crate::support::{
    Carts, SOON, Stores, ids, item, started, until_both_are_read, until_list, with_product_api_at_port,
};

/// Removes the last five events of the shop while its API is down, and assigns their numbers to other changes.
async fn restore_shop(stores: &Stores, changes: &str) {
    stores.shop_sql("DELETE FROM outbox WHERE seq > (SELECT seq - 5 FROM outbox_head)").await;
    stores.shop_sql("UPDATE outbox_head SET seq = seq - 5").await;
    stores.shop_sql(changes).await;
}

#[tokio::test]
async fn recommendation_copies_a_restored_catalogue_whether_it_ran_or_not() {
    for (runs, is_redis_empty) in [(true, false), (false, false), (false, true)] {
        let (stores, port, api) = with_product_api_at_port().await;
        let service = stores.start_service(api.url(), &[]).await;
        for stock in 1..=5 {
            stores.shop_sql(&format!("UPDATE products SET stock = {stock}, price_cents = 13950 WHERE id = 25")).await;
        }
        stores.until_shop_is_applied().await;
        until_both_are_read(&service).await;
        let service = if runs {
            Some(service)
        } else {
            service.stop().await;
            None
        };
        api.process.kill9().await.expect("it is killed");
        // Five versions of one product are lost; six others have changed since.
        let back = "ALTER TABLE products DISABLE TRIGGER USER;
            UPDATE products SET version = 1, stock = 50, price_cents = 13900 WHERE id = 25;
            ALTER TABLE products ENABLE TRIGGER USER;
            UPDATE products SET featured = NOT featured WHERE id IN (2, 3, 4, 5, 6, 7)";
        restore_shop(&stores, back).await;
        let api = stores.product_api(&port).await;
        if is_redis_empty {
            stores.redis(&["FLUSHALL"]).await;
        }
        let service = match service {
            Some(service) => service,
            None => stores.start_service(api.url(), &[]).await,
        };
        let is_back = |list: &serde_json::Value| item(list, 25).is_some_and(|item| item["price_cents"] == 13_900);
        until_list(&service, "/recommendations/13", "the price of the backup", is_back).await;
        // The service follows further changes.
        stores.shop_sql("UPDATE products SET price_cents = 13901 WHERE id = 25").await;
        let is_new = |list: &serde_json::Value| item(list, 25).is_some_and(|item| item["price_cents"] == 13_901);
        until_list(&service, "/recommendations/13", "a new price", is_new).await;
        eventually("hits", SOON, async || service.get("/recommendations/13").await.expect(200).source() == "hit").await;
    }
}

#[tokio::test]
async fn recommendation_with_a_restored_database_gets_its_events_again() {
    let (stores, api, service) = started().await;
    Carts::learned(&stores).await;
    let (rows, streams) = (stores.sql("SELECT count(*) FROM basket_items").await, "UPDATE streams SET applied = ");
    // The backup is older than the last ten lines and the last two changes of the catalogue.
    stores.shop_sql("UPDATE products SET price_cents = 13901 WHERE id = 25").await;
    stores.shop_sql("UPDATE products SET price_cents = 13902 WHERE id = 25").await;
    stores.until_shop_is_applied().await;
    let backup = "UPDATE products SET version = version - 2, price_cents = 13900 WHERE id = 25;
        DELETE FROM basket_items WHERE seq > 10;";
    let less = |name: &str, by: i64| {
        format!("{streams} int8multirange(int8range(0, upper(applied) - {by})) WHERE name = '{name}'")
    };
    let backup = format!("{backup} {}; {}", less("product:events", 2), less("cart:events", 10));
    stores.sql(&backup).await;
    eventually("the lines", SOON, async || stores.sql("SELECT count(*) FROM basket_items").await == rows).await;
    let price = "SELECT price_cents FROM products WHERE id = 25";
    eventually("the row", SOON, async || stores.sql(price).await == "13902").await;
    service.stop().await;
    // The same restore while the service is down.
    stores.sql(&backup).await;
    let service = stores.start_service(api.url(), &[]).await;
    eventually("the lines", SOON, async || stores.sql("SELECT count(*) FROM basket_items").await == rows).await;
    eventually("the row", SOON, async || stores.sql(price).await == "13902").await;
    // Learned from all lines again, not only from those of the backup.
    until_list(&service, "/recommendations/1", "what is learned", |list| ids(list, "bought_together") == [14]).await;
}
