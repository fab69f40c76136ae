//! The stream: the board after writes, resuming, and the end of the process.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Page, System};

const STRATEGIES: [&str; 7] = ["ttl", "explicit", "writethrough", "events", "swr", "tags", "production"];

/// Waits until every copy of the seven products in Redis is fresh.
async fn until_fresh(page: &mut Page) {
    page.until("fresh copies in Redis", |page| {
        STRATEGIES.iter().all(|strategy| page.state(strategy, "redis") == "fresh")
    })
    .await;
}

#[tokio::test]
async fn board_shows_which_copies_are_stale_after_a_write_and_for_how_long() {
    let system = System::start(&[("LANES__TTL__HARD_TTL", "4s"), ("LANES__TTL__NEGATIVE_TTL", "2s")]).await;
    let mut page = Page::open(&system.console, "").await;
    until_fresh(&mut page).await;
    for column in ["cart", "search"] {
        page.until("the other services", |page| page.state("explicit", column) == "fresh").await;
    }
    let written = system.console.post("/actions/change-price", &json!({ "times": 1 })).await.expect(200).json();
    assert_eq!(written["writes"].as_array().map(Vec::len), Some(7), "{written}");
    page.until("a stale copy of ttl", |page| page.state("ttl", "redis") == "stale").await;
    page.until("the end of its TTL", |page| page.state("ttl", "redis") == "fresh").await;
    let ttl = &page.cells[&("ttl".to_owned(), "redis".to_owned())];
    let stale_for = ttl["stale_for_ms"].as_u64().expect("it was stale");
    assert!((1..120_000).contains(&stale_for), "{ttl}");
    // The strategies whose writers invalidate were stale at most until their writers were answered.
    for write in written["writes"].as_array().expect("a list") {
        let strategy = write["strategy"].as_str().expect("a name");
        if ["explicit", "writethrough", "tags", "production"].contains(&strategy) && write["detail"] != "deferred" {
            let took = write["acknowledged_ms"].as_u64().unwrap() - write["commit_ms"].as_u64().unwrap();
            let cell = &page.cells[&(strategy.to_owned(), "redis".to_owned())];
            // The console learns of the removal from the feed, some milliseconds later.
            assert!(cell["stale_for_ms"].as_u64().unwrap_or(0) <= took + 1_000, "{cell} after {write}");
        }
        assert!(page.of("read").iter().any(|read| read["strategy"] == strategy), "{strategy} is read");
    }
    // The truth is the database's.
    let rows = page.of("truth").last().expect("rows")["rows"].clone();
    for row in rows.as_array().expect("a list") {
        let path = format!("/api/product-api/products/{}", row["id"]);
        let product = system.console.get(&path).await.expect(200).json();
        assert_eq!((&product["version"], &product["price_cents"]), (&row["version"], &row["price_cents"]));
    }
    page.until("figures", |page| !page.of("figures").is_empty()).await;
    page.until("published events", |page| page.of("published").len() >= 7).await;
    page.until("the event at the cart", |page| {
        page.of("feed").iter().any(|feed| feed["service"] == "cart" && feed["record"]["kind"] == "event")
    })
    .await;
}

#[tokio::test]
async fn sql_writes_and_renames_reach_the_board_and_reset_restores_them() {
    let system = System::start(&[]).await;
    let mut page = Page::open(&system.console, "").await;
    until_fresh(&mut page).await;
    let before = page.of("truth")[0]["rows"].clone();
    let changed = system.console.post("/actions/sql-write", &json!({})).await.expect(200).json();
    assert_eq!(changed["rows"].as_array().map(Vec::len), Some(7));
    page.until("a stale copy of explicit", |page| page.state("explicit", "redis") == "stale").await;
    page.until("a fresh copy of tags", |page| page.of("truth").len() > 1 && page.state("tags", "redis") == "fresh")
        .await;
    let renamed = system.console.post("/actions/rename-category", &json!({})).await.expect(200).json();
    assert!(renamed["name"].as_str().is_some_and(|name| name.ends_with(" (renamed)")), "{renamed}");
    let name_of = |page: &Page| page.of("truth").last().map(|truth| truth["rows"][0]["category"]["name"].clone());
    page.until("the new name", |page| name_of(page) == Some(renamed["name"].clone())).await;
    system.console.post("/actions/reset", &json!({})).await.expect(200);
    page.until("the old prices and the old name", |page| {
        let rows = page.of("truth").last().map(|truth| truth["rows"].clone()).unwrap_or_default();
        let fields = |rows: &serde_json::Value| {
            let row = |row: &serde_json::Value| (row["price_cents"].clone(), row["category"]["name"].clone());
            rows.as_array().into_iter().flatten().map(row).collect::<Vec<_>>()
        };
        fields(&rows) == fields(&before)
    })
    .await;
}

#[tokio::test]
async fn stream_resumes_and_ends_when_the_console_stops() {
    let system = System::start(&[]).await;
    let mut page = Page::open(&system.console, "").await;
    until_fresh(&mut page).await;
    let id = page.id.clone();
    drop(page);
    let mut page = Page::open(&system.console, &id).await;
    page.until("records", |page| !page.records.is_empty()).await;
    assert_eq!((&page.records[0]["kind"], &page.records[0]["resumed"]), (&json!("hello"), &json!(true)));

    // A service restarts: the page learns both.
    let service = testkit::private_system::Service::Search;
    system.services.kill(service).await.expect("it is killed");
    page.until("search to be down", |page| {
        page.of("service").iter().any(|it| it["name"] == "search" && it["up"] == false)
    })
    .await;
    system.services.start_and_wait(service).await.expect("it starts");
    page.until("search to be up", |page| {
        page.of("service").last().is_some_and(|it| it["name"] == "search" && it["up"] == true)
    })
    .await;

    let began = Instant::now();
    let stopping = tokio::spawn(system.console.stop());
    while page.read().await {}
    let exit = stopping.await.expect("no panic");
    assert_eq!(exit.code, 0);
    assert!(began.elapsed() < Duration::from_secs(20), "an open stream delayed the stop: {:?}", began.elapsed());
}
