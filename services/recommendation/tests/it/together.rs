//! Learning from carts.

use contract::cart_reference;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use serde_json::json;
use testkit::eventually;
use uuid::Uuid;

use crate::support::{Carts, SOON, ids, item, started};

#[tokio::test]
async fn products_that_share_carts_significantly_recommend_each_other() {
    let (stores, _api, service) = started().await;
    assert_eq!(ids(&service.get("/recommendations/1").await.expect(200).json(), "bought_together"), [] as [i64; 0]);
    let mut carts = Carts::new(&stores.redis);
    carts.many(5, &[1, 14]).await;
    // Product 37 is in most carts, so sharing carts with 1 is not significant.
    carts.many(3, &[1, 37]).await;
    carts.many(32, &[37, 50]).await;
    carts.many(1, &[1, 26]).await;
    stores.until_learned(carts.last()).await;
    let list = service.get("/recommendations/1").await.expect(200).json();
    assert_eq!(ids(&list, "bought_together"), [14], "{list}");
    assert_eq!(ids(&service.get("/recommendations/14").await.expect(200).json(), "bought_together"), [1]);
    let found = item(&list, 14).unwrap();
    // 5 of 9 and 5 of 5 carts, of 41 in all: the ratio is 18.0.
    assert_eq!((&found["score"], &found["reason"]), (&json!(4.2), &json!("often_in_the_same_carts")), "{found}");
}

#[tokio::test]
async fn unavailable_product_is_recommended_again_when_available() {
    let (stores, _api, service) = started().await;
    Carts::learned(&stores).await;
    let together = async || ids(&service.get("/recommendations/1").await.expect(200).json(), "bought_together");
    assert_eq!(together().await, [14]);
    stores.shop_sql("UPDATE products SET stock = 0 WHERE id = 14").await;
    stores.until_shop_is_applied().await;
    assert_eq!(together().await, [] as [i64; 0]);
    assert!(service.get("/recommendations/1").await.expect(200).is_hit());
    stores.shop_sql("UPDATE products SET stock = 1 WHERE id = 14").await;
    stores.until_shop_is_applied().await;
    assert_eq!(together().await, [14]);
    stores.shop_sql("DELETE FROM products WHERE id = 14").await;
    stores.until_shop_is_applied().await;
    assert_eq!(together().await, [] as [i64; 0]);
    service.get("/recommendations/14").await.problem(404, "not-found");
}

#[tokio::test]
async fn cart_list_fits_the_whole_cart_and_excludes_its_products() {
    let (stores, _api, service) = started().await;
    let mut carts = Carts::new(&stores.redis);
    carts.many(6, &[1, 14, 26]).await;
    carts.many(6, &[2, 38, 26]).await;
    carts.many(60, &[50]).await;
    let cart = carts.with(&[1, 2]).await;
    stores.until_learned(carts.last()).await;
    let path = format!("/recommendations?cart={cart}");
    let list = service.get(&path).await.expect(200).json();
    assert_eq!(list["cart_id"], cart.to_string());
    // 26 goes with both.
    assert_eq!(ids(&list, "bought_together"), [26, 14, 38], "{list}");
    let similar = ids(&list, "similar");
    assert!(!similar.is_empty() && ![1, 2].iter().any(|id| similar.contains(id)), "{similar:?}");
    assert!(service.get(&path).await.expect(200).is_hit());
    let seq = carts.line(cart, 26, 1, 1).await;
    stores.until_applied("cart:events", seq).await;
    let list = service.get(&path).await.expect(200).json();
    assert!(item(&list, 26).is_none(), "it lies in the cart: {list}");
    let seq = carts.line(cart, 26, 0, 2).await;
    stores.until_applied("cart:events", seq).await;
    assert!(item(&service.get(&path).await.expect(200).json(), 26).is_some());
}

#[tokio::test]
async fn unknown_cart_gets_empty_lists_that_are_not_stored() {
    let (_stores, _api, service) = started().await;
    for _ in 0..2 {
        let answer = service.get(&format!("/recommendations?cart={}", Uuid::new_v4())).await.expect(200);
        assert_eq!(answer.source(), "fwd=miss; detail=not-stored");
        assert_eq!((&answer.json()["bought_together"], &answer.json()["similar"]), (&json!([]), &json!([])));
    }
}

#[tokio::test]
async fn repeated_or_late_event_has_no_effect() {
    let (stores, _api, service) = started().await;
    let mut carts = Carts::new(&stores.redis);
    let cart = Uuid::new_v4();
    for (quantity, version) in [(3, 2), (1, 1), (3, 2), (0, 4), (7, 3), (0, 4)] {
        carts.line(cart, 1, quantity, version).await;
    }
    let other = carts.with(&[1]).await;
    stores.until_applied("cart:events", carts.last()).await;
    let lines = "SELECT cart_id, quantity, version FROM basket_items ORDER BY version DESC";
    assert_eq!(stores.sql(lines).await, format!("{}|0|4\n{}|1|1", cart_reference(cart), cart_reference(other)));
    assert_eq!(stores.sql("SELECT applied FROM streams WHERE name = 'cart:events'").await, "{[0,8)}");
    drop(service);
}

#[tokio::test]
async fn products_removed_from_carts_are_unlearned() {
    let (stores, _api, service) = started().await;
    let mut carts = Carts::new(&stores.redis);
    carts.many(6, &[2, 26]).await;
    let mut with_both = Vec::new();
    for _ in 0..6 {
        with_both.push(carts.with(&[1, 14]).await);
    }
    stores.until_learned(carts.last()).await;
    let together = async || ids(&service.get("/recommendations/1").await.expect(200).json(), "bought_together");
    assert_eq!(together().await, [14]);
    for cart in with_both {
        carts.line(cart, 14, 0, 2).await;
    }
    stores.until_learned(carts.last()).await;
    assert_eq!(together().await, [] as [i64; 0]);
}

/// An ordinary connection to Postgres is given up after 7 s without a response.
#[tokio::test]
async fn learning_run_longer_than_a_request_timeout_is_finished() {
    let (stores, _api, service) = started().await;
    let mut other =
        diesel_async::AsyncPgConnection::establish(stores.database.url()).await.expect("the database is there");
    other.batch_execute("BEGIN; LOCK TABLE together IN EXCLUSIVE MODE").await.expect("no session holds it for long");
    let mut carts = Carts::new(&stores.redis);
    carts.many(5, &[1, 14]).await;
    carts.many(32, &[37, 50]).await;
    stores.until_waiting(1).await;
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'recommendation' AND wait_event_type = 'Lock'";
    let learns = stores.sql(waiting).await;
    tokio::time::sleep(std::time::Duration::from_millis(7_500)).await;
    assert_eq!(stores.sql(waiting).await, learns, "the same session still waits");
    other.batch_execute("COMMIT").await.expect("the session lives");
    // The next run comes much later, because this one has taken so long.
    let learned = "SELECT number > 0 FROM lessons WHERE name = 'learned'";
    eventually("the lesson to be finished", SOON, async || stores.sql(learned).await == "t").await;
    assert!(!service.process.output().contains("to Postgres does not answer"), "{}", service.process.output());
}
