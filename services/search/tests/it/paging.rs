//! Paging through results.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Found, Product, Search, Shop};

#[tokio::test]
async fn pages_together_contain_each_result_exactly_once() {
    let shop = Shop::with_products(300).await;
    let search = Search::of(&shop).await;
    for q in ["", "a", "cotton", "in for", "lihgt"] {
        let whole = search.ask(&[("q", q), ("limit", "100")]).await.expect(200);
        let pages = search.pages(&[("q", q), ("limit", "7")]).await;
        let pages: Vec<_> = pages.iter().map(Found::ids).collect();
        let all: Vec<i64> = pages.concat();
        assert_eq!(all.len() as u64, whole.total(), "{q:?}");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{q:?}: one comes twice");
        assert_eq!(all[..all.len().min(100)], whole.ids()[..], "{q:?}: another order");
        let full = &pages[..pages.len() - 1];
        assert!(full.iter().all(|page| page.len() == 7), "{q:?}");
    }
    assert!(search.find("cotton").await.total() > 7, "the test is about nothing");
}

/// With an offset instead of a cursor, a product would be repeated when another one is added before it.
#[tokio::test]
async fn cursor_keeps_its_position_while_products_are_added_and_removed() {
    let shop = Shop::start().await;
    let description = |times: usize| "amber ".repeat(times);
    for times in 1..=9 {
        shop.create(&[Product {
            name: &format!("Ring {times}"),
            description: &description(times),
            ..Product::default()
        }])
        .await;
    }
    let search = Search::of(&shop).await;
    let whole = search.find("amber").await.ids();
    let first = search.ask(&[("q", "amber"), ("limit", "3")]).await.expect(200);
    assert_eq!(first.ids(), whole[..3]);
    let cursor = first.json()["next_cursor"].as_str().expect("a next page").to_owned();

    // One product is added before the cursor, one is deleted before it, and one after it changes its price.
    let new = shop.create(&[Product { name: "Amber", ..Product::default() }]).await;
    shop.delete(whole[0]).await;
    shop.put(&format!("/products/{}", whole[4]), &json!({ "price_cents": 77 })).await;
    search.until_current(&shop).await;
    assert_eq!(search.find("amber").await.ids()[0], new[0]);
    let second = search.ask(&[("q", "amber"), ("limit", "3"), ("cursor", &cursor)]).await.expect(200);
    assert_eq!(second.ids(), whole[3..6]);
    assert_eq!(second.json()["hits"][1]["price_cents"], 77);
}
