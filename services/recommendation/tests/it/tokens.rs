//! Lists that are read with the consistency token of a write to a product show that write.

use serde_json::json;

use crate::support::{item, started, until_both_are_read};

#[tokio::test]
async fn lists_after_a_write_to_a_product_show_it_at_once() {
    let (stores, api, service) = started().await;
    stores.until_shop_is_applied().await;
    until_both_are_read(&service).await;
    for price in 13_901..13_911 {
        service.get("/recommendations/13").await.expect(200);
        let written = api.put("/products/25", &json!({ "price_cents": price })).await.expect(200);
        let list = service.get_after("/recommendations/13", &written).await.expect(200).json();
        assert_eq!(item(&list, 25).expect("it is similar")["price_cents"], price, "{list}");
        assert_eq!(list["catalogue"]["stale"], false);
    }
}
