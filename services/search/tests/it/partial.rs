//! Partial matches: products with at least half of a query, when no product has all of it.

use serde_json::Value;

use crate::support::{Found, Product, Search, Shop, TestResponse};

async fn search_for(products: &[Product<'_>]) -> (Shop, Search) {
    let shop = Shop::start().await;
    shop.create(products).await;
    let search = Search::of(&shop).await;
    (shop, search)
}

fn named<'a>(names: &[&'a str]) -> Vec<Product<'a>> {
    names.iter().map(|name| Product { name, ..Product::default() }).collect()
}

fn facets(answer: &TestResponse) -> Vec<(i64, u64)> {
    let count =
        |facet: &Value| (facet["category"]["id"].as_i64().expect("an id"), facet["count"].as_u64().expect("a count"));
    answer.json()["facets"].as_array().expect("facets").iter().map(count).collect()
}

#[tokio::test]
async fn run_of_letters_matches_partially_by_half_of_its_pairs() {
    let names =
        ["手机充电器", "保护手机", "智能手机保护壳", "手机保护壳", "安いコーヒー豆", "ガラスのコップ", "กาแฟเย็น"];
    let (_shop, search) = search_for(&named(&names)).await;
    for (q, expected) in [
        // "cheap smartphone case": 6 of 8 pairs, then 4.
        ("便宜智能手机保护壳", vec!["智能手机保护壳", "手机保护壳"]),
        // "phone case", as people say it: one of two pairs. Products that also have the third letter come first.
        ("手机壳", vec!["手机保护壳", "智能手机保护壳", "保护手机", "手机充电器"]),
        // Two of three pairs, but not in sequence.
        ("手机护壳", vec!["手机保护壳", "智能手机保护壳"]),
        ("高いコーヒー豆", vec!["安いコーヒー豆"]),
        ("กาแฟดำ", vec!["กาแฟเย็น"]),
        ("保护壳 cheap", vec!["手机保护壳", "智能手机保护壳"]),
    ] {
        let answer = search.find(q).await;
        assert_eq!(answer.names(), expected, "{q}: {}", answer.text());
        assert_eq!((answer.total(), &answer.json()["match"]), (expected.len() as u64, &"partial".into()), "{q}");
    }
    // Less than half of a query. One pair of letters of a syllabary is not a word: カラス (crow) must not find ガラス
    // (glass).
    for q in ["便宜的新款耳机保护", "カラス", "壶"] {
        let answer = search.find(q).await;
        assert_eq!((answer.names(), &answer.json()["match"]), (vec![], &"all".into()), "{q}");
    }
    // A match of the whole run excludes partial matches.
    let exact = search.find("智能手机保护壳").await;
    assert_eq!((exact.names(), &exact.json()["match"]), (vec!["智能手机保护壳".to_owned()], &"all".into()));
    let html = search.find("便宜智能手机壳").await.json()["hits"][0]["name_html"].clone();
    assert_eq!(html, "<b>智能手机</b>保护壳");
}

#[tokio::test]
async fn partial_matches_are_ranked_by_coverage_on_every_page() {
    let names = ["Oak Desk", "Oak Desk Lamp", "Lamp of Oak, a very long name for a lamp that is made of oak", "Oak"];
    let (_shop, search) = search_for(&named(&names)).await;
    let expected = ["Oak Desk Lamp", "Oak Desk", names[2]];
    let q = "oak desk lamp xyzzy";
    let answer = search.find(q).await;
    assert_eq!((answer.names(), &answer.json()["match"]), (expected.map(str::to_owned).to_vec(), &"partial".into()));
    let mut found = Vec::new();
    for page in search.pages(&[("q", q), ("limit", "1")]).await {
        found.extend(page.names());
        assert_eq!((page.total(), &page.json()["match"]), (3, &"partial".into()));
    }
    assert_eq!(found, expected);
}

/// A query, its filter, how it matches, the products that it finds, and the facets.
type Case<'a> = (&'a str, &'a str, (&'a str, bool), &'a [&'a str], &'a [(i64, u64)]);

#[tokio::test]
async fn facets_of_approximate_matches_ignore_the_chosen_category_only() {
    let product = |name, price_cents, category_id| Product { name, price_cents, category_id, ..Product::default() };
    let (_shop, search) = search_for(&[
        product("Red Shoes", 3_000, 1),
        product("Red Shoes for Rain", 9_000, 2),
        product("Blue Shoes", 1_000, 1),
        product("智能手机保护壳", 3_000, 3),
        product("手机保护壳", 9_000, 4),
    ])
    .await;
    let (dry, rain, blue, smart, plain) =
        ("Red Shoes", "Red Shoes for Rain", "Blue Shoes", "智能手机保护壳", "手机保护壳");
    let (partial, corrected, both) = (("partial", false), ("all", true), ("partial", true));
    let cases: [Case<'_>; 17] = [
        ("red shoos cheap", "", both, &[dry, rain], &[(1, 1), (2, 1)]),
        ("red shoos cheap", "category=2", both, &[rain], &[(1, 1), (2, 1)]),
        ("red shoos cheap", "category=3", both, &[], &[(1, 1), (2, 1)]),
        ("red shoes cheap", "", partial, &[dry, rain], &[(1, 1), (2, 1)]),
        ("red shoes cheap", "category=2", partial, &[rain], &[(1, 1), (2, 1)]),
        ("red shoes cheap", "category=3", partial, &[], &[(1, 1), (2, 1)]),
        ("red shoes cheap", "max_price=5000", partial, &[dry], &[(1, 1)]),
        ("red shoes cheap", "category=2&max_price=5000", partial, &[], &[(1, 1)]),
        ("red shoes cheap", "category=2&min_price=5000", partial, &[rain], &[(2, 1)]),
        ("便宜智能手机保护壳", "category=4", partial, &[plain], &[(3, 1), (4, 1)]),
        ("便宜智能手机保护壳", "category=4&max_price=5000", partial, &[], &[(3, 1)]),
        ("便宜智能手机保护壳", "category=3&max_price=5000", partial, &[smart], &[(3, 1)]),
        ("shoos", "", corrected, &[dry, blue, rain], &[(1, 2), (2, 1)]),
        ("shoos", "category=2", corrected, &[rain], &[(1, 2), (2, 1)]),
        ("shoos", "category=3", corrected, &[], &[(1, 2), (2, 1)]),
        ("shoos", "category=1&max_price=2000", corrected, &[blue], &[(1, 1)]),
        ("shoos", "category=2&max_price=2000", corrected, &[], &[(1, 1)]),
    ];
    for (q, filter, (matched, is_corrected), names, counts) in cases {
        let filter = filter.split('&').filter_map(|pair| pair.split_once('='));
        let parameters: Vec<_> = [("q", q)].into_iter().chain(filter).collect();
        let answer = search.ask(&parameters).await.expect(200);
        let mut found = answer.names();
        found.sort();
        let mut names = names.to_vec();
        names.sort_unstable();
        assert_eq!(
            (found, facets(&answer)),
            (names.iter().map(|name| (*name).to_owned()).collect(), counts.to_vec()),
            "{parameters:?}"
        );
        assert_eq!(answer.total(), names.len() as u64, "{parameters:?}");
        let page = answer.json();
        assert_eq!((&page["match"], &page["corrected"]), (&matched.into(), &is_corrected.into()), "{parameters:?}");
    }
}
