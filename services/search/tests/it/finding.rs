//! Which products a search finds, in which order, and how it shows them, page by page. `understanding.rs` tests queries that are not
//! plain English words.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Found, Product, Search, Shop};

#[tokio::test]
async fn words_match_by_stem_by_beginning_and_with_typos() {
    let shop = Shop::start().await;
    let product = |name, description| Product { name, description, ..Product::default() };
    shop.create(&[
        product("Quillon Lanterns", "They burn for eleven nights."),
        product("Marrow Kettle", "A kettle for quiet mornings, with a lantern hook."),
        product("Café Grinder", "Grinds beans."),
    ])
    .await;
    let search = Search::of(&shop).await;
    for (q, names) in [
        // By stem, in name and description; the name counts more.
        ("lantern", vec!["Quillon Lanterns", "Marrow Kettle"]),
        ("burning", vec!["Quillon Lanterns"]),
        ("MORNING", vec!["Marrow Kettle"]),
        // Every word must match; the order of the words has no meaning.
        ("kettle lantern", vec!["Marrow Kettle"]),
        ("lantern kettles", vec!["Marrow Kettle"]),
        // The last word may be unfinished; the others must be complete.
        ("lan", vec!["Quillon Lanterns", "Marrow Kettle"]),
        ("kettle lan", vec!["Marrow Kettle"]),
        ("q", vec!["Quillon Lanterns", "Marrow Kettle"]),
        // Accents and signs are ignored; stop words may be missing.
        ("cafe", vec!["Café Grinder"]),
        ("CAFÉ, grinder!", vec!["Café Grinder"]),
        ("the grinder of the cafe", vec!["Café Grinder"]),
        // One or two wrong letters, when no product matches otherwise.
        ("lanturn", vec!["Quillon Lanterns", "Marrow Kettle"]),
        ("kettel", vec!["Marrow Kettle"]),
        ("gridner", vec!["Café Grinder"]),
        ("kitl", vec![]),
        ("??", vec![]),
    ] {
        let answer = search.find(q).await;
        let corrected = matches!(q, "lanturn" | "kettel" | "gridner");
        assert_eq!(answer.names(), names, "{q}");
        assert_eq!(answer.total(), names.len() as u64, "{q}");
        assert_eq!(answer.json()["corrected"], corrected, "{q}");
    }
}

#[tokio::test]
async fn name_counts_more_than_category_and_category_more_than_description() {
    let shop = Shop::start().await;
    shop.put("/categories/2", &json!({ "name": "Zithers" })).await;
    let product = |name, description, category_id| Product { name, description, category_id, ..Product::default() };
    shop.create(&[
        product("Polish", "For every zither. A zither needs polish, and zithers need care; zither after zither.", 1),
        product("Strings", "Made of steel.", 2),
        product("A very long name for a thing that is, in the end, after all these words, a plain zither", "", 1),
        product("Zither", "", 1),
        product("Zitherbag", "", 1),
    ])
    .await;
    let search = Search::of(&shop).await;
    let names = search.find("zither").await.names();
    let expected = ["Zither", "A very long name", "Strings", "Polish", "Zitherbag"];
    assert_eq!(names.len(), expected.len(), "{names:?}");
    for (name, beginning) in names.iter().zip(expected) {
        assert!(name.starts_with(beginning), "{names:?}");
    }
}

#[tokio::test]
async fn filters_narrow_the_result_and_facets_ignore_the_chosen_category() {
    let shop = Shop::start().await;
    let product = |name, price_cents, category_id| Product { name, price_cents, category_id, ..Product::default() };
    shop.create(&[
        product("Oak Stool", 3_000, 1),
        product("Oak Bench", 9_000, 1),
        product("Oak Frame", 1_500, 2),
        product("Ash Frame", 1_500, 2),
    ])
    .await;
    let search = Search::of(&shop).await;
    let counts = |answer: &serde_json::Value| {
        let facets = answer["facets"].as_array().expect("facets").clone();
        let count = |facet: &serde_json::Value| {
            assert!(facet["category"]["name"].as_str().is_some_and(|name| !name.is_empty()), "{facet}");
            (facet["category"]["id"].as_i64().expect("an id"), facet["count"].as_u64().expect("a count"))
        };
        facets.iter().map(count).collect::<Vec<_>>()
    };
    for (parameters, names, facets) in [
        (vec![("q", "oak")], vec!["Oak Stool", "Oak Bench", "Oak Frame"], vec![(1, 2), (2, 1)]),
        (vec![("q", "oak"), ("limit", "1")], vec!["Oak Stool"], vec![(1, 2), (2, 1)]),
        // Facets as if no category were chosen, but with the other filters.
        (vec![("q", "oak"), ("category", "2")], vec!["Oak Frame"], vec![(1, 2), (2, 1)]),
        (vec![("q", "oak"), ("category", "2"), ("max_price", "3000")], vec!["Oak Frame"], vec![(1, 1), (2, 1)]),
        (vec![("q", "oak"), ("min_price", "3000")], vec!["Oak Stool", "Oak Bench"], vec![(1, 2)]),
        (vec![("q", "oak"), ("max_price", "3000")], vec!["Oak Stool", "Oak Frame"], vec![(1, 1), (2, 1)]),
        (vec![("q", "oak"), ("min_price", "3001"), ("max_price", "8999")], vec![], vec![]),
        (vec![("category", "2")], vec!["Oak Frame", "Ash Frame"], vec![(1, 2), (2, 2)]),
        (vec![("category", "3")], vec![], vec![(1, 2), (2, 2)]),
        (vec![], vec!["Oak Stool", "Oak Bench", "Oak Frame", "Ash Frame"], vec![(1, 2), (2, 2)]),
        (vec![("q", "  ")], vec!["Oak Stool", "Oak Bench", "Oak Frame", "Ash Frame"], vec![(1, 2), (2, 2)]),
        // No match in that category: the search must not show products with similar words instead.
        (vec![("q", "stool"), ("category", "2")], vec![], vec![(1, 1)]),
    ] {
        let answer = search.ask(&parameters).await.expect(200);
        assert_eq!(answer.names(), names, "{parameters:?}");
        assert_eq!(counts(&answer.json()), facets, "{parameters:?}");
        let chosen = parameters.iter().find(|(name, _)| *name == "category").and_then(|(_, id)| id.parse::<i64>().ok());
        let counted = facets.iter().filter(|(id, _)| chosen.is_none_or(|chosen| chosen == *id));
        assert_eq!(answer.total(), counted.map(|(_, count)| count).sum::<u64>(), "{parameters:?}");
    }
}

#[tokio::test]
async fn matches_are_bold_and_everything_else_is_escaped() {
    let shop = Shop::start().await;
    let description = "Before <script>alert('x')</script> & after: a brass bell that rings. ".repeat(8);
    shop.create(&[
        Product { name: "Bells & <i>Whistles</i>", description: &description, ..Product::default() },
        Product { name: "Plain", description: "No such thing here, but a belfry.", ..Product::default() },
    ])
    .await;
    let search = Search::of(&shop).await;
    let answer = search.find("bell").await.json();
    let hit = &answer["hits"][0];
    assert_eq!(hit["name"], "Bells & <i>Whistles</i>");
    assert_eq!(hit["name_html"], "<b>Bells</b> &amp; &lt;i&gt;Whistles&lt;/i&gt;");
    let snippet = hit["snippet_html"].as_str().expect("a snippet");
    assert!(snippet.contains("<b>bell</b>") && snippet.contains('…'), "{snippet}");
    assert!(!snippet.replace("<b>", "").replace("</b>", "").contains(['<', '>']), "{snippet}");
    assert!(snippet.chars().count() < 400, "{snippet}");
    // A match by its beginning, and a match with a typo.
    let html = |answer: serde_json::Value| answer["hits"][0]["snippet_html"].as_str().map(str::to_owned);
    assert_eq!(html(search.find("belf").await.json()).as_deref(), Some("No such thing here, but a <b>belfry</b>."));
    assert_eq!(html(search.find("belfri").await.json()).as_deref(), Some("No such thing here, but a <b>belfry</b>."));
    // Nothing matches, so nothing is bold.
    let all = search.find("").await.json();
    assert_eq!(all["hits"][1]["snippet_html"], "No such thing here, but a belfry.");
    assert!(all["hits"][0]["snippet_html"].as_str().is_some_and(|text| text.ends_with('…') && !text.contains("<b>")));
}

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
