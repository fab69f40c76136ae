//! A search with the consistency token of a write finds what was written, or says that it may not.

use serde_json::json;
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop};

#[tokio::test]
async fn search_after_a_write_finds_it_or_says_that_it_may_not() {
    let shop = Shop::start().await;
    let id = shop.create(&[Product { name: "Slate Clock", ..Product::default() }]).await[0];
    let search = Search::of(&shop).await;
    let is_current = async || search.find("slate").await.json()["index"]["stale"] == json!(false);
    eventually("the index to be current", SOON, is_current).await;
    for word in ["amber", "birch", "coral", "denim", "ebony", "flint", "ginger", "hazel"] {
        let path = format!("/search?q={word}");
        search.get(&path).await.expect(200);
        let written = shop.put(&format!("/products/{id}"), &json!({ "name": format!("{word} clock") })).await;
        // On a busy machine, the index may not include the write in time.
        let found = eventually("an index with the write", SOON, async || {
            let found = search.get_after(&path, &written).await.expect(200);
            (found.json()["index"]["stale"] == json!(false)).then_some(found)
        });
        assert_eq!(found.await.names(), [format!("{word} clock")]);
    }
}

#[tokio::test]
async fn search_that_cannot_include_the_write_in_time_says_so() {
    let shop = Shop::start().await;
    let id = shop.create(&[Product { name: "Slate Clock", ..Product::default() }]).await[0];
    let search = Search::of(&shop).await;
    search.until_current(&shop).await;
    let numbering = shop.database.lock("LOCK TABLE outbox_head IN EXCLUSIVE MODE").await;
    let written = shop.put(&format!("/products/{id}"), &json!({ "name": "Quartz Clock" })).await;
    let late = search.get_after("/search?q=quartz", &written).await.expect(200);
    assert_eq!((late.names().len(), &late.json()["index"]["stale"]), (0, &json!(true)));
    drop(numbering);
    search.until_found("quartz", &["Quartz Clock"]).await;
    // On a busy machine, the position of the write may not be known in time.
    let found = eventually("a page with the write", SOON, async || {
        let found = search.get_after("/search?q=quartz", &written).await.expect(200);
        (found.json()["index"]["stale"] == json!(false)).then_some(found)
    })
    .await;
    assert_eq!(found.names().len(), 1);
}
