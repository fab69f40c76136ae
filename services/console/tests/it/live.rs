//! The stream: the board after writes, resuming, and the end of the process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Page, System};

const STRATEGIES: [&str; 7] = ["ttl", "explicit", "writethrough", "events", "swr", "tags", "production"];

/// Waits until every copy of the seven products in Redis is fresh.
async fn until_fresh(page: &mut Page) {
    page.until("fresh copies in Redis", |page| {
        STRATEGIES.iter().all(|strategy| page.state(strategy, "redis") == "fresh")
    })
    .await;
}

/// Changes all prices until the copy of `ttl` was stale, and fresh again after the end of its TTL. Returns the last writes. A copy
/// that expires just before its write is never stale.
async fn write_until_ttl_is_stale(system: &System, page: &mut Page) -> Vec<Value> {
    for _ in 0..10 {
        let before = page.records.len();
        let written = system.console.post("/actions/change-price", &json!({ "times": 1 })).await.expect(200).json();
        let writes = written["writes"].as_array().cloned().unwrap_or_default();
        assert_eq!(writes.len(), STRATEGIES.len(), "{written}");
        let ttl = writes.iter().find(|write| write["strategy"] == "ttl").expect("a write of ttl");
        let is_new = |page: &Page| page.version("ttl", "redis") >= ttl["version"].as_i64();
        page.until("the end of its TTL", |page| is_new(page) && page.state("ttl", "redis") == "fresh").await;
        let cells = page.records[before..].iter().filter_map(|record| record["cells"].as_array()).flatten();
        let mut of_ttl = cells.filter(|cell| cell["strategy"] == "ttl" && cell["column"] == "redis");
        if of_ttl.any(|cell| cell["state"] == "stale") {
            return writes;
        }
    }
    panic!("the copy of ttl was never stale: {:?}", page.cells.get(&("ttl".to_owned(), "redis".to_owned())));
}

#[tokio::test]
async fn board_shows_which_copies_are_stale_after_a_write_and_for_how_long() {
    let system = System::start(&[("LANES__TTL__HARD_TTL", "4s"), ("LANES__TTL__NEGATIVE_TTL", "2s")]).await;
    let mut page = Page::open(&system.console, "").await;
    until_fresh(&mut page).await;
    for column in ["cart", "search"] {
        page.until("the other services", |page| page.state("explicit", column) == "fresh").await;
    }
    let writes = write_until_ttl_is_stale(&system, &mut page).await;
    let ttl = &page.cells[&("ttl".to_owned(), "redis".to_owned())];
    assert!(ttl["stale_for_ms"].as_u64().is_some_and(|stale_for| stale_for > 0), "{ttl}");
    // A read that begins after the acknowledgement of a strategy whose writers invalidate is fresh.
    for write in &writes {
        let strategy = write["strategy"].as_str().expect("a name");
        let (version, acknowledged) = (write["version"].as_i64().unwrap(), write["acknowledged_ms"].as_u64().unwrap());
        let later_versions = |page: &Page| {
            let reads = page.of("read").into_iter().filter(|read| read["strategy"] == strategy);
            let later = reads.filter(|read| read["at_ms"].as_u64().is_some_and(|at| at > acknowledged));
            later.filter_map(|read| read["version"].as_i64()).collect::<Vec<_>>()
        };
        page.until("a read after the write", |page| !later_versions(page).is_empty()).await;
        if ["explicit", "writethrough", "tags", "production"].contains(&strategy) && write["detail"] != "deferred" {
            assert!(
                later_versions(&page).iter().all(|read| *read >= version),
                "{:?} after {write}",
                later_versions(&page)
            );
            let is_new = |page: &Page| page.version(strategy, "redis") >= Some(version);
            page.until("the new copy", |page| is_new(page) && page.state(strategy, "redis") == "fresh").await;
        }
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
        let fields = |rows: &Value| {
            let row = |row: &Value| (row["price_cents"].clone(), row["category"]["name"].clone());
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
