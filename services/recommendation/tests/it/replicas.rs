//! Two replicas on one database and one Redis share the entries, and each applies a part of the events.

use testkit::eventually;

use crate::support::{Carts, SOON, Service, ids, item, with_product_api};

#[tokio::test]
async fn two_replicas_share_the_events_and_show_the_same_lists() {
    let (stores, api) = with_product_api().await;
    let (a, b) = tokio::join!(stores.start_service(api.url(), &[]), stores.start_service(api.url(), &[]));
    let mut carts = Carts::new(&stores.redis);
    for round in 0..20 {
        stores.shop_sql(&format!("UPDATE products SET price_cents = {} WHERE id = 25", 13_000 + round)).await;
        carts.with(&[1, 14]).await;
        carts.with(&[2, 26]).await;
        for service in [&a, &b] {
            service.get("/recommendations/1").await.expect(200);
        }
    }
    stores.until_shop_is_applied().await;
    stores.until_learned(carts.last()).await;
    for service in [&a, &b] {
        let list = service.get("/recommendations/1").await.expect(200).json();
        assert_eq!(item(&list, 25).unwrap()["price_cents"], 13_019, "{list}");
        assert_eq!(ids(&list, "bought_together"), [14]);
    }
    assert_eq!(stores.sql("SELECT count(*), sum(quantity) FROM basket_items").await, "80|80");
    let applied = async |service: &Service| service.metric("events_applied_total", "stream=\"cart:events\"").await;
    let (by_a, by_b) = (applied(&a).await, applied(&b).await);
    assert_eq!(by_a + by_b, 80.0, "each by one of them");
    assert!(by_a > 0.0 && by_b > 0.0, "both have a share: {by_a} and {by_b}");
    assert_eq!(stores.sql("SELECT applied FROM streams WHERE name = 'cart:events'").await, "{[0,81)}");
}

/// One replica is killed in the middle of the transaction for three events. The other replica is not blocked, and has
/// applied two more events by then.
#[tokio::test]
async fn replica_takes_over_the_events_of_a_killed_replica() {
    let (stores, api) = with_product_api().await;
    // Long: on a busy machine, the held replica could otherwise extend its claim too late, and lose its events alive.
    let settings = [("EVENTS__CLAIM_AFTER", "30m")];
    let (a, b) = tokio::join!(stores.start_service(api.url(), &settings), stores.start_service(api.url(), &settings));
    let mut carts = Carts::new(&stores.redis);
    let known = [carts.with(&[1]).await, carts.with(&[1]).await, carts.with(&[1]).await];
    stores.until_learned(3).await;
    let count = async |service: &Service, what: &str| service.metric(what, "stream=\"cart:events\"").await;
    let before = count(&a, "events_applied_total").await;

    let lock = stores.hold_reactions().await;
    carts.lines_at_once(&known, 1, 2, 2).await;
    stores.until_waiting(1).await;
    let pending = stores.pending("cart:events").await;
    assert!(pending.iter().map(|(seq, _)| *seq).eq(4..=6), "{pending:?}");
    assert!(pending.iter().all(|(_, who)| *who == pending[0].1), "one has all of them: {pending:?}");
    carts.with(&[1, 2]).await;
    let written = "SELECT count(*), sum(quantity) FROM basket_items";
    eventually("the other to carry out what it was given", SOON, async || stores.sql(written).await == "5|5").await;
    eventually("only these to be left", SOON, async || stores.pending("cart:events").await == pending).await;
    let is_a = count(&a, "events_received_total").await > count(&a, "events_applied_total").await;
    let (killed, other, before) = if is_a { (&a, &b, 3.0 - before) } else { (&b, &a, before) };
    let open = count(killed, "events_received_total").await - count(killed, "events_applied_total").await;
    assert_eq!(open, 3.0, "it is the one that is held");
    assert_eq!(count(other, "events_applied_total").await, before + 2.0);

    killed.process.kill9().await.expect("it is killed");
    lock.release().await;
    stores.make_idle("cart:events", &pending).await;
    eventually("the other to have taken over", SOON, async || {
        stores.sql(written).await == "5|8" && stores.pending("cart:events").await.is_empty()
    })
    .await;
    assert_eq!(count(other, "events_claimed_total").await, 3.0);
    assert_eq!(count(other, "events_applied_total").await, before + 5.0, "each once");
    assert_eq!(stores.sql("SELECT applied FROM streams WHERE name = 'cart:events'").await, "{[0,9)}");
    assert_eq!(stores.sql("SELECT number FROM lessons WHERE name = 'changes'").await, "8", "each changed a line once");
    stores.until_learned(carts.last()).await;
}
