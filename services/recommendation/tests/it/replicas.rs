//! Two of them on one database and one Redis: one set of entries, one share each of the events.

use testkit::eventually;

use crate::support::{Carts, SOON, Stores, ids, item};

#[tokio::test]
async fn two_share_the_events_and_show_the_same() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let (a, b) = tokio::join!(stores.ours_with(api.url(), &[]), stores.ours_with(api.url(), &[]));
    let mut carts = Carts::new(&stores.redis);
    for round in 0..20 {
        stores.shop_sql(&format!("UPDATE products SET price_cents = {} WHERE id = 25", 13_000 + round)).await;
        carts.with(&[1, 14]).await;
        carts.with(&[2, 26]).await;
        for service in [&a, &b] {
            service.get("/recommendations/1").await.expect(200);
        }
    }
    stores.until_all_is_heard().await;
    stores.until_learned(carts.last()).await;
    for service in [&a, &b] {
        let list = service.get("/recommendations/1").await.expect(200).json();
        assert_eq!(item(&list, 25).unwrap()["price_cents"], 13_019, "{list}");
        assert_eq!(ids(&list, "bought_together"), [14]);
    }
    assert_eq!(stores.sql("SELECT count(*), sum(quantity) FROM basket_items").await, "80|80");
    let applied = async |stream: &str| {
        let labels = format!("stream=\"{stream}\"");
        a.metric("events_applied_total", &labels).await + b.metric("events_applied_total", &labels).await
    };
    assert_eq!(applied("cart:events").await, 80.0, "each by one of them");
    assert_eq!(stores.sql("SELECT applied FROM streams WHERE name = 'cart:events'").await, "{[0,81)}");
}

#[tokio::test]
async fn what_a_killed_one_has_read_and_not_carried_out_the_other_takes_over() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let settings = [("EVENTS__CLAIM_AFTER", "300ms")];
    let (a, b) = tokio::join!(stores.ours_with(api.url(), &settings), stores.ours_with(api.url(), &settings));
    let mut carts = Carts::new(&stores.redis);
    carts.with(&[1]).await;
    stores.until_carried_out("cart:events", 1).await;
    a.process.kill9().await.expect("it is killed");
    // Somebody reads an event in the group's name and is never seen again.
    b.process.pause();
    let cart = carts.with(&[2]).await;
    let read = ["XREADGROUP", "GROUP", "recommendation", "gone", "COUNT", "1", "STREAMS", "cart:events", ">"];
    stores.redis(&read).await;
    b.process.resume();
    stores.until_carried_out("cart:events", 2).await;
    eventually("the line", SOON, async || {
        stores.sql(&format!("SELECT product_id FROM basket_items WHERE cart_id = '{cart}'")).await == "2"
    })
    .await;
}
