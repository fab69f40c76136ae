//! A cached page is invalidated when a product enters it, however the query matches that product. It stays in the cache
//! when a product does not concern it.

use serde_json::json;

use crate::support::{Found, Product, Search, Shop};

const NUMBER: &str = "AX471100000000000000000000000000000000000000000000000000000000000009Z7";

async fn create(shop: &Shop, search: &Search, name: &str, category_id: i64) {
    shop.create(&[Product { name, category_id, ..Product::default() }]).await;
    search.until_current(shop).await;
}

#[tokio::test]
async fn product_that_enters_a_page_invalidates_it() {
    let shop = Shop::start().await;
    let names = ["Red Shoes", "Red Mug", "手机保护壳", "กาแฟ", "Résumé", NUMBER, "C++ Primer", ".NET Primer", "AT&T"];
    let products = names.map(|name| Product { name, ..Product::default() });
    shop.create(&products).await;
    let search = Search::of(&shop).await;
    for (q, entering) in [
        // Partial matches: first a product as good as the others, then a product with all words.
        ("red shoes cheap", "Red Running Shoes"),
        ("red shoes cheap", "Cheap Red Shoes"),
        ("red mug xyz", "Mug in Red"),
        ("red mug xyz", "Red Mug XYZ"),
        // First too little even for a partial match, then enough for one.
        ("ox zoo pi", "Zoo"),
        ("ox zoo pi", "Ox in a Zoo"),
        // A page without a match, then one with half of the words and a typo.
        ("olive bascet quick", "Olive Basket"),
        ("olive bascet quick", "Basket of Olives"),
        ("保护壳", "智能手机保护壳"),
        ("充电器", "快速充电器"),
        ("壳", "贝壳"),
        ("保护壳 手机", "手机的保护壳"),
        ("กาแฟ", "ซื้อกาแฟเย็น"),
        ("ชาเขียว", "ซื้อชาเขียวเย็น"),
        ("케이스", "스마트폰케이스"),
        ("resume", "Re\u{301}sume\u{301} Paper"),
        ("re\u{301}sume\u{301}", "Resume Paper"),
        ("cafe\u{301}", "Café"),
        (NUMBER, &format!("Screw {NUMBER}")),
        (&NUMBER[..66], &format!("{}X", &NUMBER[..66])),
        ("C++", "Effective C++"),
        ("c+", "Modern C++"),
        ("C#", "C# in Depth"),
        (".net", "ASP.NET Core"),
        ("at&t", "AT & T"),
    ] {
        search.until_current(&shop).await;
        search.cached(&[("q", q)]).await;
        let before = search.find(q).await.json();
        create(&shop, &search, entering, 1).await;
        let after = search.find(q).await;
        if q == "ox zoo pi" && entering == "Zoo" {
            assert_eq!(after.total(), 0, "one word of three is no match");
            continue;
        }
        assert!(after.names().iter().any(|name| name == entering), "{q}: {} does not show {entering}", after.text());
        assert_ne!(after.json()["total"], json!(0), "{q}: {before}");
    }
}

#[tokio::test]
async fn price_that_lets_a_partial_match_enter_a_page_invalidates_it() {
    let shop = Shop::start().await;
    let products = ["Red Mug", "Mug in Red"].map(|name| Product { name, price_cents: 9_000, ..Product::default() });
    let ids = shop.create(&products).await;
    let search = Search::of(&shop).await;
    let page = [("q", "red mug xyz"), ("max_price", "5000")];
    search.cached(&page).await;
    assert_eq!(search.ask(&page).await.expect(200).total(), 0);
    shop.put(&format!("/products/{}", ids[1]), &json!({ "price_cents": 4_000 })).await;
    search.until_current(&shop).await;
    assert_eq!(search.ask(&page).await.expect(200).names(), ["Mug in Red"]);
}

/// A product may enter a page by another spelling, which may begin differently from the longest word of the query.
#[tokio::test]
async fn product_in_another_spelling_invalidates_the_page() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "T-Shirt red", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    for (q, entering) in [
        ("t-shirt", "Tshirts"),
        ("t shirt", "Tshirt blue"),
        ("tshirt", "T Shirt green"),
        ("wi-fi", "WiFi"),
        ("x-ray", "Xrays"),
        ("e reader case", "Case for an eReader"),
        ("ax-47-11", "AX4711"),
        ("ax9911", "AX-99-11"),
        ("c-pil", "Cpillar"),
        ("solar lamp", "Solarlamp"),
        ("solarcharger", "Solar Charger"),
    ] {
        search.until_current(&shop).await;
        search.cached(&[("q", q)]).await;
        create(&shop, &search, entering, 1).await;
        let after = search.find(q).await;
        assert!(after.names().iter().any(|name| name == entering), "{q}: {} does not show {entering}", after.text());
        assert_eq!((&after.json()["match"], &after.json()["corrected"]), (&json!("all"), &json!(false)), "{q}");
        // A page that already has a match.
        let again = format!("{entering} again");
        search.cached(&[("q", q)]).await;
        create(&shop, &search, &again, 1).await;
        assert!(search.find(q).await.names().contains(&again), "{q}: {again}");
    }
}

/// A product may enter a page of partial matches by any pair of letters, not only by the first pair of the query.
#[tokio::test]
async fn product_that_matches_part_of_a_run_invalidates_the_page() {
    let shop = Shop::start().await;
    let products = ["智能手机保护壳", "茶杯", "绿茶", "花茶"].map(|name| Product { name, ..Product::default() });
    let ids = shop.create(&products).await;
    let search = Search::of(&shop).await;
    for (q, entering) in [
        // Pages with partial matches.
        ("便宜智能手机保护壳", "新手机保护壳"),
        ("手机壳", "电视机壳"),
        ("手机保护壳 cheap", "电机保护壳"),
        // Pages without a match.
        ("便宜充电宝", "小充电宝"),
        ("安いケーキ", "ケーキ"),
        ("ซื้อชาเขียว", "ชาเขียวเย็น"),
    ] {
        search.until_current(&shop).await;
        search.cached(&[("q", q)]).await;
        create(&shop, &search, entering, 1).await;
        let after = search.find(q).await;
        assert!(after.names().iter().any(|name| name == entering), "{q}: {} does not show {entering}", after.text());
        assert_eq!(after.json()["match"], "partial", "{q}");
    }
    // Changes of a product: its name, its description, or its category.
    shop.put("/categories/5", &json!({ "name": "旧手提电脑" })).await;
    for (q, id, body) in [
        ("新款手提包", ids[1], json!({ "name": "手提包" })),
        ("新扫地机器", ids[2], json!({ "description": "一种扫地机" })),
        ("新手提电脑", ids[3], json!({ "category_id": 5 })),
    ] {
        search.until_current(&shop).await;
        search.cached(&[("q", q)]).await;
        let before = search.find(q).await;
        assert!(!before.ids().contains(&id), "{q}: {}", before.text());
        shop.put(&format!("/products/{id}"), &body).await;
        search.until_current(&shop).await;
        let after = search.find(q).await;
        assert!(after.ids().contains(&id), "{q}: {} does not show {body}", after.text());
    }
}

/// The facets of a page count the products of all categories, whichever is chosen.
#[tokio::test]
async fn product_of_another_category_invalidates_pages_whose_facets_count_it() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Oak Stool", category_id: 2, ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    let pages: [&[(&str, &str)]; 3] = [&[("q", "oak"), ("category", "2")], &[("category", "2")], &[("category", "3")]];
    for number in 1..=2 {
        search.until_current(&shop).await;
        for page in pages {
            search.cached(page).await;
        }
        create(&shop, &search, &format!("Oak Table {number}"), 4).await;
        for page in pages {
            let facets = search.ask(page).await.expect(200).json()["facets"].clone();
            let of_other = facets.as_array().expect("facets").iter().find(|facet| facet["category"]["id"] == 4);
            assert_eq!(of_other.map(|facet| &facet["count"]), Some(&json!(number)), "{page:?}: {facets}");
        }
    }
}

/// A product that no query of a page can match leaves the page in the cache.
#[tokio::test]
async fn product_that_does_not_concern_a_page_leaves_it_in_the_cache() {
    let shop = Shop::start().await;
    let products = ["Red Mug", "手机保护壳", "กาแฟ", "Résumé", "C++ Primer"];
    let products = products.map(|name| Product { name, ..Product::default() });
    shop.create(&products).await;
    let search = Search::of(&shop).await;
    let queries = ["red mug xyz", "保护壳", "กาแฟ", "resume", "c++"];
    for q in queries {
        search.cached(&[("q", q)]).await;
    }
    create(&shop, &search, "智能手机 Blue Cup, C, ชาเขียว", 1).await;
    for q in queries {
        let kept = search.find(q).await;
        assert!(kept.is_hit(), "{q}: {}", kept.source());
    }
}
