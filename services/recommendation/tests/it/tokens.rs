//! Lists that are read with the consistency token of a write to a product show that write, or say that they may not.

use serde_json::json;
use testkit::eventually;

use crate::support::{SOON, item, started, until_both_are_read};

#[tokio::test]
async fn lists_after_a_write_to_a_product_show_it_or_say_that_they_may_not() {
    let (stores, api, service) = started().await;
    stores.until_shop_is_applied().await;
    until_both_are_read(&service).await;
    for price in 13_901..13_911 {
        service.get("/recommendations/13").await.expect(200);
        let written = api.put("/products/25", &json!({ "price_cents": price })).await.expect(200);
        // On a busy machine, the copy may not include the write in time.
        let list = eventually("a copy with the write", SOON, async || {
            let list = service.get_after("/recommendations/13", &written).await.expect(200).json();
            (list["catalogue"]["stale"] == json!(false)).then_some(list)
        })
        .await;
        assert_eq!(item(&list, 25).expect("it is similar")["price_cents"], price, "{list}");
    }
}
