//! A view that is read with the consistency token of a write to a product shows that write, or says that it may not.

use serde_json::json;
use testkit::eventually;

use crate::support::{CartOf, SOON, Service, Stores, line, started};

#[tokio::test]
async fn view_after_a_write_to_a_product_shows_it_or_says_that_it_may_not() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &[]).await;
    let cart = CartOf::with(&service, &[1]).await;
    cart.cached().await;
    let mut through_the_cache = 0;
    for price in 501..801 {
        if price > 520 && through_the_cache > 0 {
            break;
        }
        // Usually a hit, which shows the previous price.
        cart.view().await.expect(200);
        let written = api.put("/products/1", &json!({ "price_cents": price })).await.expect(200);
        // On a busy machine, neither the event nor the product API's response may arrive in time.
        let view = eventually("a view with the write", SOON, async || {
            let view = service.get_after(&cart.path(), &written).await.expect(200);
            (view.json()["stale"] == json!(false)).then_some(view)
        })
        .await;
        assert_eq!(line(&view.json(), 1)["price_cents"], price, "{}", view.source());
        through_the_cache += u32::from(!view.source().contains("consistency-token"));
    }
    assert!(through_the_cache > 0, "each view waited for its event in vain");
    service.get_after(&cart.path(), &api.put("/products/1", &json!({})).await.expect(200)).await.expect(200);
}

/// No event arrives: the product API is asked, although the cache is still trusted by other readers.
#[tokio::test]
async fn view_with_a_token_asks_the_product_api_while_events_are_delayed() {
    let stores = Stores::start().await;
    let api = stores.product_api("0").await;
    let service = stores.cart_with(api.url(), &[]).await;
    let cart = CartOf::with(&service, &[1]).await;
    api.put("/products/1", &json!({ "price_cents": 500 })).await.expect(200);
    stores.until_price(&cart, 1, 500).await;
    cart.cached().await;
    let _numbering = stores.shop.lock("LOCK TABLE outbox_head IN EXCLUSIVE MODE").await;
    let written = api.put("/products/1", &json!({ "price_cents": 600 })).await.expect(200);
    let view = service.get_after(&cart.path(), &written).await.expect(200);
    assert_eq!(view.source(), "fwd=bypass; detail=consistency-token");
    assert_eq!(line(&view.json(), 1)["price_cents"], 600);
    assert_eq!(cart.line(1).await["price_cents"], 500, "other readers have the entry");
}

#[tokio::test]
async fn text_that_is_no_token_is_refused() {
    let (_stores, _api, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    let request = service.request(reqwest::Method::GET, &cart.path()).header("x-consistency-token", "abc");
    Service::send(request).await.expect(400);
}
