//! Invalid parameters are refused. A valid query never causes an error, with any characters. Metrics, the
//! description of the parameters, and the end of the process.

use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop, TestResponse, started};

#[tokio::test]
async fn search_refuses_every_invalid_parameter_by_name() {
    let (_shop, search) = started().await;
    let long = "x".repeat(201);
    for (name, value) in [
        ("q", long.as_str()),
        ("q", "a\u{0}b"),
        ("q", "a\nb"),
        ("category", "0"),
        ("category", "-3"),
        ("min_price", "-1"),
        ("max_price", "-1"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("cursor", "x"),
        ("cursor", ""),
        ("cursor", "s.1.1.1"),
    ] {
        let problem = search.ask(&[(name, value)]).await.problem(422, "invalid-fields");
        assert_eq!(problem["errors"][0]["field"], name, "{value}: {problem}");
    }
    for (name, value) in [
        ("category", "shoes"),
        ("min_price", "1.5"),
        ("limit", "ten"),
        ("limit", "99999999999999999999"),
        ("page", "2"),
    ] {
        search.ask(&[(name, value)]).await.problem(400, "malformed");
    }
    let problem = search.ask(&[("min_price", "2"), ("max_price", "1")]).await.problem(422, "invalid-fields");
    assert_eq!(problem["errors"][0]["field"], "min_price");
    search.get("/search?q=a&q=b").await.problem(400, "malformed");
    search.get("/search/1").await.problem(404, "not-found");
}

/// Searches until the service is not overloaded: on a busy machine, a search may take too long, but fails in no other way.
async fn served(search: &Search, q: &str) -> TestResponse {
    eventually("a response in time", SOON, async || {
        let response = search.ask(&[("q", q)]).await;
        if response.status == 503 {
            assert_eq!(response.header("retry-after"), "1", "{q}");
            return None;
        }
        Some(response.expect(200))
    })
    .await
}

#[tokio::test]
async fn query_of_operators_and_signs_is_searched_like_any_other() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Plain \"Quoted\" (Thing)", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    let long_word = "z".repeat(200);
    let many_words = "ab ".repeat(66);
    let different = (0..50).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
    // 100 words of one letter each, and 100 parts of one word.
    let letters: Vec<String> = ('\u{400}'..='\u{463}').map(String::from).collect();
    let (one_letter_words, one_chain) = (letters.join(" "), letters.join("-"));
    let ideographs: String = ('\u{4e00}'..).take(200).collect();
    let single_ideographs = ('\u{4e00}'..).take(100).map(String::from).collect::<Vec<_>>().join(" ");
    for q in [
        "\"", "\"\"\"", "name:plain", "*", "pl*", "plain~2", "plain^9", "plain AND", "AND OR NOT", "(((", "[a TO b]",
        "/re.*gex/", "\\", "+plain -thing", "{!}", "<script>", "%00", "'; DROP TABLE products; --", "🦀", "日本語",
        "ﬁ", "a\u{301}", "\u{202e}abc", &long_word, "\u{200b}", "\u{200d}\u{200c}\u{2060}", "\u{3164}",
        "👩\u{200d}👩\u{200d}👧", "1\u{fe0f}\u{20e3}", "🇩🇪 plain", "-", "---", "a-", "-a", "a--b", "'s", "...",
        "!!! ???", "\u{3000}", "plain\u{200d}thing", &many_words, &different, &one_letter_words, &one_chain,
        &ideographs, &single_ideographs,
    ] {
        let answer = served(&search, q).await;
        assert_eq!(answer.json()["hits"].as_array().map(Vec::len), Some(answer.total() as usize), "{q}");
        assert_eq!(served(&search, q).await.json()["hits"], answer.json()["hits"], "{q}");
    }
    assert_eq!(search.find("+plain (\"quoted\" thing)").await.total(), 1);
    // Bytes that are not UTF-8.
    search.get("/search?q=%ff%fe").await.expect(200);
    search.get("/search?q=%").await.expect(200);
}

#[tokio::test]
async fn search_reports_metrics_and_describes_its_parameters() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Moss Lamp", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    search.cached(&[("q", "moss")]).await;
    for name in
        ["search_index_documents", "search_index_position", "search_query_seconds_count", "search_commit_seconds_count"]
    {
        assert!(search.get("/metrics").await.text().contains(name), "no {name}");
    }
    let openapi = search.get("/openapi.json").await.json();
    let parameters = openapi["paths"]["/search"]["get"]["parameters"].as_array().expect("parameters").clone();
    let names: Vec<_> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    let headers = ["x-consistency-token", "If-Match", "If-None-Match"];
    assert_eq!(names, [&["q", "category", "min_price", "max_price", "limit", "cursor"][..], &headers].concat());
}

#[tokio::test]
async fn search_stops_cleanly_on_sigterm() {
    let (_shop, search) = started().await;
    let exit = search.process.term().await.expect("it ends");
    assert_eq!(exit.code, 0, "{}", search.process.output());
    assert!(search.process.output().contains("the search service has stopped"), "{}", search.process.output());
}
