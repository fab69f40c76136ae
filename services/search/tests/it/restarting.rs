//! Restarts: the search resumes at its last commit, however the process ended, or rebuilds the index if it is unusable.

use std::fs;
use std::path::Path;

use serde_json::json;
use testkit::eventually;

use crate::support::{Found, Product, SOON, Search, Shop, started};

/// The directory of the index within `INDEX__PATH`.
const VERSION: &str = "v5";

#[tokio::test]
async fn search_resumes_at_its_last_commit_after_kill_9() {
    let shop = Shop::with_products(700).await;
    let search = Search::of(&shop).await;
    let id = shop.create(&[Product { name: "Amaranth Pot", ..Product::default() }]).await[0];
    search.until_found("amaranth", &["Amaranth Pot"]).await;
    let position = search.position().await;
    let directory = search.kill().await;
    shop.put(&format!("/products/{id}"), &json!({ "name": "Viridian Pot" })).await;
    shop.sql("DELETE FROM products WHERE id <= 100").await;

    let search = Search::start(&shop, directory, &[]).await;
    search.ready().await;
    let output = search.process.output();
    assert!(output.contains(&format!("the index of the previous run is loaded position={position}")), "{output}");
    search.until_found("viridian", &["Viridian Pot"]).await;
    search.until_found("amaranth", &[]).await;
    eventually("the deletions", SOON, async || search.find("").await.total() == 601).await;
    assert!(!search.process.output().contains("the index has the whole catalogue"), "it was built anew");
}

/// The process is killed at any point of its work, and the index is correct after the last start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn index_equals_the_catalogue_after_repeated_kills() {
    let shop = Shop::with_products(200).await;
    let mut search = Search::of(&shop).await;
    for round in 0..6 {
        for write in 0..10 {
            let id = 1 + (round * 31 + write * 17) % 200;
            shop.sql(&format!("UPDATE products SET name = 'Heliotrope {round}', stock = {write} WHERE id = {id}"))
                .await;
        }
        let directory = search.kill().await;
        search = Search::start(&shop, directory, &[]).await;
        search.ready().await;
    }
    search.until_current(&shop).await;
    let rows = shop.sql("SELECT id, version FROM products ORDER BY id").await;
    let mut indexed = Vec::new();
    for page in search.pages(&[("limit", "100")]).await {
        let page = page.json();
        let hits = page["hits"].as_array().expect("hits");
        indexed.extend(hits.iter().map(|hit| format!("{}|{}", hit["id"], hit["version"])));
    }
    assert_eq!(indexed, rows.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn existing_index_serves_at_once_without_a_product_api() {
    let shop = Shop::start().await;
    shop.create(&[Product { name: "Larch Ladder", ..Product::default() }]).await;
    let search = Search::of(&shop).await;
    search.until_found("larch", &["Larch Ladder"]).await;
    let directory = search.kill().await;
    shop.stop_api().await;
    let search = Search::start(&shop, directory, &[]).await;
    search.ready().await;
    assert_eq!(search.find("larch").await.names(), ["Larch Ladder"]);
    assert_eq!(search.find("larch ladder").await.json()["index"]["stale"], true);
}

#[tokio::test]
async fn damaged_index_is_rebuilt() {
    let shop = Shop::with_products(300).await;
    let mut search = Search::of(&shop).await;
    for damage in [cut, overwrite, remove] {
        let directory = search.kill().await;
        damage(directory.path());
        search = Search::start(&shop, directory, &[]).await;
        search.ready().await;
        assert_eq!(search.find("").await.total(), 300);
        let output = search.process.output();
        assert!(output.contains("the index cannot be read; it is removed and built again"), "{output}");
    }
}

#[tokio::test]
async fn index_of_another_version_is_removed_and_rebuilt() {
    let shop = Shop::with_products(50).await;
    let directory = Search::of(&shop).await.kill().await;
    let old = directory.path().join("v1");
    fs::rename(directory.path().join(VERSION), &old).expect("the index of a version before this one");

    let search = Search::start(&shop, directory, &[]).await;
    search.ready().await;
    assert_eq!(search.find("").await.total(), 50);
    let output = search.process.output();
    assert!(output.contains("the index was built by another version"), "{output}");
    assert!(output.contains("the index has the whole catalogue"), "{output}");
    assert!(!old.exists(), "the old index is still there");
}

fn files(index: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(index.join(VERSION)).expect("the index").map(|file| file.expect("a file").path());
    let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|it| it == extension)).collect();
    assert!(!files.is_empty(), "no .{extension}");
    files
}

fn cut(index: &Path) {
    for file in files(index, "store") {
        let bytes = fs::read(&file).expect("it can be read");
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("it can be written");
    }
}

fn overwrite(index: &Path) {
    for file in files(index, "term") {
        let mut bytes = fs::read(&file).expect("it can be read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&file, bytes).expect("it can be written");
    }
}

fn remove(index: &Path) {
    fs::write(index.join(VERSION).join("meta.json"), "{").expect("it can be written");
}

/// The search was down for longer than events are retained.
#[tokio::test]
async fn search_reindexes_the_catalogue_after_missed_events() {
    let shop = Shop::with_products(100).await;
    let search = Search::of(&shop).await;
    let directory = search.kill().await;
    shop.sql("UPDATE products SET name = 'Celadon Cup' WHERE id = 7").await;
    shop.sql("DELETE FROM products WHERE id > 90").await;
    eventually("the relay", SOON, async || shop.sql("SELECT bool_and(done_at IS NOT NULL) FROM outbox").await == "t")
        .await;
    shop.sql("DELETE FROM outbox").await;
    shop.redis(&["XTRIM", "product:events", "MAXLEN", "0"]).await;

    let search = Search::start(&shop, directory, &[]).await;
    search.ready().await;
    // The consumer detects the gap only when an event after it arrives.
    shop.create(&[Product { name: "Celadon Saucer", ..Product::default() }]).await;
    search.until_found("celadon", &["Celadon Cup", "Celadon Saucer"]).await;
    assert_eq!(search.find("").await.total(), 91);
    assert!(search.process.output().contains("events may have been missed"), "{}", search.process.output());
}

#[tokio::test]
async fn search_reindexes_the_catalogue_of_another_database() {
    let (large, small) = tokio::join!(Shop::with_products(300), Shop::start());
    let directory = Search::of(&large).await.kill().await;
    small.create(&[Product { name: "Mauve Mitten", ..Product::default() }]).await;
    let search = Search::start(&small, directory, &[]).await;
    // The old index is not served during the comparison. By its position it is ahead of everything, so its pages would
    // be stored.
    eventually("only what there is", SOON, async || {
        let answers = [search.ask(&[("q", "mauve")]).await, search.ask(&[]).await];
        answers.iter().all(|answer| answer.status == 200 && answer.names() == ["Mauve Mitten"])
    })
    .await;
}

/// Two processes that write to one directory would damage the index. The second process waits, and then exits with an
/// error.
#[tokio::test]
async fn index_directory_belongs_to_one_process() {
    let (shop, search) = started().await;
    let second = testkit::ChildProcess::start(&crate::support::command(&shop, search.index(), &[])).expect("it starts");
    let exit = second.exit().await.expect("it ends");
    assert_eq!(exit.code, 1);
    assert!(second.output().contains("is used by another process"), "{}", second.output());
    search.find("").await;
}
