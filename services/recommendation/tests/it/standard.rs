//! The inspection of the cache, and metrics. No operations route and no log shows the id of a cart.

use contract::cart_reference;
use reqwest::Method;
use testkit::eventually;

use crate::support::{Carts, SOON, started, with_product_api};

#[tokio::test]
async fn entries_carry_the_tags_of_everything_that_they_depend_on() {
    let (stores, _api, service) = started().await;
    let mut carts = Carts::new(&stores.redis);
    carts.many(5, &[1, 14]).await;
    carts.many(5, &[2, 26]).await;
    // 61 is sold out.
    carts.many(5, &[1, 61]).await;
    let cart = carts.with(&[2]).await;
    carts.many(10, &[50]).await;
    stores.until_learned(carts.last()).await;
    service.get("/recommendations/1").await.expect(200);
    service.get(&format!("/recommendations?cart={cart}")).await.expect(200);
    let tags = async |key: &str| {
        let info = service.get(&format!("/cache/stats/{key}")).await.expect(200).json();
        assert_eq!(info["state"], "fresh");
        info["tags"].as_array().expect("tags").iter().map(|tag| tag.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let list = tags("recommendation:list:1").await;
    for tag in ["product:1", "together:1", "products-of:1", "category:1", "product:25", "product:14", "category:2"] {
        assert!(list.contains(&tag.to_owned()), "{tag} is not in {list:?}");
    }
    assert!(list.contains(&"product:61".to_owned()), "it would be shown if it could be bought: {list:?}");
    let basket = tags(&format!("recommendation:basket:{}", cart_reference(cart))).await;
    for tag in [
        format!("basket:{}", cart_reference(cart)),
        "together:2".to_owned(),
        "products-of:2".to_owned(),
        "product:26".to_owned(),
    ] {
        assert!(basket.contains(&tag), "{tag} is not in {basket:?}");
    }
    let entries = service.get("/cache/entries").await.expect(200).json();
    assert_eq!(entries["entries"].as_array().expect("a list").len(), 2, "{entries}");
}

#[tokio::test]
async fn metrics_show_reads_events_and_the_position_of_the_copy() {
    let (stores, _api, service) = started().await;
    stores.shop_sql("UPDATE products SET price_cents = price_cents + 1 WHERE id = 25").await;
    stores.until_shop_is_applied().await;
    for _ in 0..3 {
        service.get("/recommendations/1").await.expect(200);
    }
    assert!(service.metric("cache_reads_total", "lane=\"list\"").await >= 3.0);
    assert!(service.metric("events_applied_total", "stream=\"product:events\"").await >= 1.0);
    eventually("the copy's position", SOON, async || {
        service.metric("recommendation_catalogue_position", "").await > 0.0
    })
    .await;
    eventually("both streams to be read", SOON, async || service.metric("events_connected", "").await == 2.0).await;
}

#[tokio::test]
async fn no_operations_route_and_no_log_shows_the_id_of_a_cart() {
    let (stores, api) = with_product_api().await;
    let service = stores.start_service(api.url(), &[("LOG__FILTER", "info,service=debug")]).await;
    let mut feed = service.request(Method::GET, "/cache/feed").send().await.expect("a stream");
    let mut carts = Carts::new(&stores.redis);
    let cart = carts.with(&[1, 2]).await;
    stores.until_applied("cart:events", carts.last()).await;
    // A client that knows the id still gets the cart's list.
    let key = format!("recommendation:basket:{}", cart_reference(cart));
    eventually("the cart's list to be cached", SOON, async || {
        let list = service.get(&format!("/recommendations?cart={cart}")).await.expect(200).json();
        assert_eq!(list["cart_id"], cart.to_string());
        service.get(&format!("/cache/stats/{key}")).await.status == 200
    })
    .await;
    let mut told = String::new();
    eventually("the feed to tell of the cart", SOON, async || {
        let chunk = feed.chunk().await.expect("the stream goes on").expect("it has no end");
        told.push_str(&String::from_utf8_lossy(&chunk));
        told.contains("cart.item_added") && told.contains("\"kind\":\"fill\"")
    })
    .await;
    // The log has the path of each request.
    service.get(&format!("/recommendations/{cart}")).await.problem(400, "malformed");
    let log = service.process.output();
    let entries = service.get("/cache/entries").await.expect(200).text();
    let keys = stores.redis(&["KEYS", "*"]).await;
    for (what, text) in [("/cache/entries", &entries), ("keys", &keys), ("/cache/feed", &told), ("the log", &log)] {
        assert!(text.contains(&cart_reference(cart).to_string()), "{what} does not name the cart at all: {text}");
        assert!(!text.contains(&cart.to_string()), "{what} shows the cart's id: {text}");
    }
    assert_eq!(stores.sql(&format!("SELECT count(*) FROM basket_items WHERE cart_id = '{cart}'")).await, "0");
}
