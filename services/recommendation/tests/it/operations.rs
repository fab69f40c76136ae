//! No operations route and no log shows the id of a cart.

use contract::cart_reference;
use reqwest::Method;
use testkit::eventually;

use crate::support::{Carts, SOON, with_product_api};

#[tokio::test]
async fn no_operations_route_and_no_log_shows_the_id_of_a_cart() {
    let (stores, api) = with_product_api().await;
    let ours = stores.ours_with(api.url(), &[("LOG__FILTER", "info,service=debug")]).await;
    let mut feed = ours.request(Method::GET, "/cache/feed").send().await.expect("a stream");
    let mut carts = Carts::new(&stores.redis);
    let cart = carts.with(&[1, 2]).await;
    stores.until_applied("cart:events", carts.last()).await;
    // A client that knows the id still gets the cart's list.
    let key = format!("recommendation:basket:{}", cart_reference(cart));
    eventually("the cart's list to be cached", SOON, async || {
        let list = ours.get(&format!("/recommendations?cart={cart}")).await.expect(200).json();
        assert_eq!(list["cart_id"], cart.to_string());
        ours.get(&format!("/cache/stats/{key}")).await.status == 200
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
    ours.get(&format!("/recommendations/{cart}")).await.problem(400, "malformed");
    let log = ours.process.output();
    let entries = ours.get("/cache/entries").await.expect(200).text();
    let keys = stores.redis(&["KEYS", "*"]).await;
    for (what, text) in [("/cache/entries", &entries), ("keys", &keys), ("/cache/feed", &told), ("the log", &log)] {
        assert!(text.contains(&cart_reference(cart).to_string()), "{what} does not name the cart at all: {text}");
        assert!(!text.contains(&cart.to_string()), "{what} shows the cart's id: {text}");
    }
    assert_eq!(stores.sql(&format!("SELECT count(*) FROM basket_items WHERE cart_id = '{cart}'")).await, "0");
}
