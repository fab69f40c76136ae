//! Result pages in Redis: stored, shared, and invalidated by changes of what they show and by products that enter them.

use reqwest::Method;
use serde_json::json;
use testkit::eventually;
use testkit::http::Service;

use crate::support::{Found, Product, SOON, Search, Shop};

#[tokio::test]
async fn queries_with_the_same_meaning_share_a_page() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Copper Kettle", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    let first = search.cached(&[("q", "copper kettle")]).await;
    for q in ["Copper  Kettle", " COPPER kettle!", "\"cópper kettle\""] {
        let again = search.find(q).await;
        // On a busy machine, the index may count as old for a moment; then the response says so, and so does its validator.
        assert!(again.source().starts_with("hit"), "{q}: {}", again.source());
        assert_eq!(again.ids(), first.ids(), "{q}");
    }
    let other = search.find("kettle copper").await;
    assert!(other.header("cache-status").contains("fwd=miss; stored"), "another word is unfinished: {other:?}");
    let parts = search.find("copper, kettle").await;
    assert!(parts.header("cache-status").contains("fwd=miss; stored"), "a pair of words may be one word: {parts:?}");
    let again = search.find("Copper; copper, kettle, kettle!").await;
    assert!(again.source().starts_with("hit"), "a word counts once: {}", again.source());
    let stats = search
        .get("/cache/stats/search:page:q=copper%5Ecopperkettle*+kettle%5Ecopperkettle*&category=&price=-&limit=20")
        .await
        .expect(200);
    let tags = stats.json()["tags"].clone();
    let id = first.ids()[0];
    for tag in ["page:any", "word:cop", &format!("product:{id}"), "category:1"] {
        assert!(tags.as_array().expect("tags").contains(&json!(tag)), "no {tag} in {tags}");
    }
}

/// A page is invalidated when a product that it shows changes, and when a product enters or leaves it. All other pages
/// stay.
#[tokio::test]
async fn change_invalidates_only_the_pages_that_it_concerns() {
    let shop = Shop::start().await;
    let product = |name, price_cents, category_id| Product { name, price_cents, category_id, ..Product::default() };
    let ids = shop
        .create(&[product("Walnut Tray", 2_000, 1), product("Walnut Bowl", 5_000, 1), product("Pewter Mug", 1_500, 2)])
        .await;
    let search = Search::of(&shop).await;
    let pages: [&[(&str, &str)]; 8] = [
        &[("q", "walnut")],
        &[("q", "walnut"), ("max_price", "3000")],
        &[("q", "pewter")],
        &[("q", "walnutt")],
        &[],
        &[("category", "2")],
        &[("q", "marigold")],
        &[("q", "marigold"), ("min_price", "9000")],
    ];
    let fill = async || {
        search.until_current(&shop).await;
        for page in pages {
            search.cached(page).await;
        }
    };
    let remaining = async || {
        search.until_current(&shop).await;
        let mut remaining = Vec::new();
        for (number, page) in pages.iter().enumerate() {
            if search.ask(page).await.expect(200).is_hit() {
                remaining.push(number);
            }
        }
        remaining
    };
    let path = |index: usize| format!("/products/{}", ids[index]);

    fill().await;
    shop.put(&path(2), &json!({ "stock": 77 })).await;
    assert_eq!(remaining().await, [0, 1, 3, 6, 7], "stock: what shows it");

    fill().await;
    shop.put(&path(1), &json!({ "price_cents": 2_500 })).await;
    assert_eq!(remaining().await, [2, 5, 6], "a price: what shows it, and what is chosen by price that it could enter");

    fill().await;
    shop.put(&path(2), &json!({ "name": "Marigold Mug" })).await;
    assert_eq!(remaining().await, [0, 1], "a name: what showed it, what it enters, and what matched approximately");
    assert_eq!(search.find("marigold").await.names(), ["Marigold Mug"]);

    fill().await;
    shop.delete(ids[0]).await;
    assert_eq!(remaining().await, [6, 7], "a deletion: the facets of another category count it too");

    fill().await;
    shop.create(&[product("Walnut Marigold", 9_500, 2)]).await;
    assert_eq!(remaining().await, [0; 0], "a creation: all that it enters, and what matched approximately");
    for (page, total) in pages.iter().zip([2, 1, 0, 2, 3, 2, 2, 1]) {
        assert_eq!(search.ask(page).await.expect(200).total(), total, "{page:?}");
    }
}

/// A page also depends on products that it counts without showing them.
#[tokio::test]
async fn totals_and_facets_of_a_stored_page_follow_products_not_shown() {
    let shop = Shop::start().await;
    for number in 0..5 {
        shop.create(&[Product { name: &format!("Saffron {number}"), ..Product::default() }]).await;
    }
    let search = Search::of(&shop).await;
    let page = [("q", "saffron"), ("limit", "2")];
    let last = search.find("saffron").await.ids()[4];
    search.cached(&page).await;
    shop.put(&format!("/products/{last}"), &json!({ "category_id": 4 })).await;
    eventually("the facets", SOON, async || {
        search.ask(&page).await.expect(200).json()["facets"].as_array().map(Vec::len) == Some(2)
    })
    .await;
    search.cached(&page).await;
    shop.delete(last).await;
    eventually("the total", SOON, async || search.ask(&page).await.expect(200).total() == 4).await;
}

#[tokio::test]
async fn unchanged_page_is_not_sent_again() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Onyx", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    // On a busy machine, the index may be marked as outdated for a moment.
    let page = eventually("a page of a current index", SOON, async || {
        let page = search.cached(&[("q", "onyx")]).await;
        (page.json()["index"]["stale"] == false).then_some(page)
    })
    .await;
    let ask = async |etag: &str| {
        let request = search.request(Method::GET, "/search").query(&[("q", "onyx")]);
        Service::send(request.header("If-None-Match", etag)).await
    };
    let unchanged = ask(page.header("etag")).await.expect(304);
    assert_eq!(unchanged.text(), "");
    assert_eq!(ask("\"another\"").await.expect(200).names(), ["Onyx"]);
    let json = page.json();
    assert_eq!((json["index"]["lag"].as_u64(), json["index"]["stale"].as_bool()), (Some(0), Some(false)), "{json}");
    assert_eq!(page.header("cache-control"), "no-cache");
    let known = search.request(reqwest::Method::GET, "/search?q=onyx").header("if-none-match", page.header("etag"));
    let unchanged = testkit::http::Service::send(known).await.expect(304);
    assert_eq!((unchanged.header("etag"), unchanged.body.len()), (page.header("etag"), 0));
}

/// A page shows the position of the index, which moves with every event: the same page with another position has other
/// bytes.
#[tokio::test]
async fn representations_with_different_bytes_never_share_a_validator() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Onyx", ..Product::default() }, Product { name: "Opal", ..Product::default() }])
        .await;
    let search = Search::of(&shop).await;
    let mut seen = std::collections::HashMap::new();
    let opal = search.find("opal").await.ids()[0];
    for price in [1_111, 2_222, 3_333] {
        shop.put(&format!("/products/{opal}"), &json!({ "price_cents": price })).await;
        eventually("the new price", SOON, async || search.find("opal").await.text().contains(&price.to_string())).await;
        for q in ["onyx", "opal"] {
            for _ in 0..2 {
                let page = search.find(q).await.expect(200);
                let tag = page.header("etag").to_owned();
                assert_eq!(seen.entry(tag).or_insert_with(|| page.body.clone()), &page.body, "{q} at {price}");
            }
        }
    }
    let before = search.find("onyx").await.header("etag").to_owned();
    shop.put("/categories/1", &json!({ "name": "Stones" })).await;
    eventually("the new name", SOON, async || search.find("onyx").await.text().contains("Stones")).await;
    assert_ne!(search.find("onyx").await.header("etag"), before);
}
