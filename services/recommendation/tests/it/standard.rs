//! The behaviour that every service has: health, metrics, the OpenAPI description, and access to the cache.

use events::contract::cart_reference;
use serde_json::json;
use testkit::http::{assert_description_holds, assert_head_as_get};
use testkit::{ChildProcess, eventually};

use crate::support::{Carts, SOON, Stores};

#[tokio::test]
async fn recommendation_is_ready_when_its_dependencies_are_available() {
    let stores = Stores::start().await;
    let (_api, ours) = stores.both().await;
    eventually("it to be ready", SOON, async || ours.get("/readyz").await.expect(200).json()["status"] == "ready")
        .await;
    assert_eq!(ours.get("/livez").await.expect(200).json(), json!({ "status": "alive" }));
}

#[tokio::test]
async fn openapi_description_names_every_route() {
    let stores = Stores::start().await;
    let (_api, ours) = stores.both().await;
    let api = ours.get("/openapi.json").await.expect(200).json();
    for path in
        ["/recommendations", "/recommendations/{product_id}", "/cache/stats/{key}", "/cache/entries", "/cache/feed"]
    {
        assert!(api["paths"][path]["get"].is_object(), "{path} is not in {}", api["paths"]);
    }
    ours.get("/docs/").await.expect(200);
    let port = ours.url().rsplit_once(':').expect("a port").1.to_owned();
    for (argument, port, code) in [("healthcheck", port.as_str(), 0), ("healthcheck", "9", 1), ("openapi", "0", 0)] {
        let mut command = stores.our_command("http://127.0.0.1:9", &[("HTTP__PORT", port)]);
        let process = ChildProcess::start(command.arg(argument)).expect("it was built");
        assert_eq!(process.exit().await.expect("it ends").code, code, "{argument}: {}", process.output());
    }
}

#[tokio::test]
async fn entries_carry_the_tags_of_everything_that_they_depend_on() {
    let stores = Stores::start().await;
    let (_api, ours) = stores.both().await;
    let mut carts = Carts::new(&stores.redis);
    carts.many(5, &[1, 14]).await;
    carts.many(5, &[2, 26]).await;
    // 61 is sold out.
    carts.many(5, &[1, 61]).await;
    let cart = carts.with(&[2]).await;
    carts.many(10, &[50]).await;
    stores.until_learned(carts.last()).await;
    ours.get("/recommendations/1").await.expect(200);
    ours.get(&format!("/recommendations?cart={cart}")).await.expect(200);
    let tags = async |key: &str| {
        let info = ours.get(&format!("/cache/stats/{key}")).await.expect(200).json();
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
    let entries = ours.get("/cache/entries").await.expect(200).json();
    assert_eq!(entries["entries"].as_array().expect("a list").len(), 2, "{entries}");
}

#[tokio::test]
async fn metrics_show_reads_events_and_the_position_of_the_copy() {
    let stores = Stores::start().await;
    let (_api, ours) = stores.both().await;
    stores.shop_sql("UPDATE products SET price_cents = price_cents + 1 WHERE id = 25").await;
    stores.until_all_is_heard().await;
    for _ in 0..3 {
        ours.get("/recommendations/1").await.expect(200);
    }
    assert!(ours.metric("cache_reads_total", "lane=\"list\"").await >= 3.0);
    assert!(ours.metric("events_applied_total", "stream=\"product:events\"").await >= 1.0);
    eventually("the copy's position", SOON, async || ours.metric("recommendation_catalogue_position", "").await > 0.0)
        .await;
    eventually("both streams to be read", SOON, async || ours.metric("events_connected", "").await == 2.0).await;
}

#[tokio::test]
async fn head_is_answered_like_get_on_every_route() {
    let stores = Stores::start().await;
    let (_api, ours) = stores.both().await;
    ours.get("/recommendations/1").await.expect(200);
    let cart = "?cart=67e55044-10b1-426f-9247-bb680e5fe0c8";
    let values = [("product_id", "1"), ("key", "recommendation:list:1"), ("/recommendations", cart)];
    assert_head_as_get(&ours, &values).await;
}

#[tokio::test]
async fn openapi_description_holds_for_every_route() {
    let stores = Stores::start().await;
    let (_api, ours) = stores.both().await;
    assert_description_holds(&ours, &[("product_id", "1"), ("key", "recommendation:list:1")]).await;
}
