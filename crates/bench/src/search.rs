//! Measures the search: the time to build its index, to respond to a query that is not cached, and to show a change.
//!
//! Postgres, Redis, the product API and the search run as private processes. They share this machine's cores with the
//! load generator, which sends one request at a time. Every query is sent once, so no response comes from the cache;
//! `Cache-Status` confirms it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::times::{Times, human, millis};
use client::{Metrics, Source, cache_status};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use testkit::private_system::{PrivateSystem, Service};
use tokio::time::sleep;

/// The options of `bench search`.
#[derive(Debug, Args)]
pub struct Options {
    /// Products in the catalogue
    #[arg(long, default_value_t = 100_000)]
    products: u32,
    /// Queries of each kind
    #[arg(long, default_value_t = 400)]
    queries: usize,
    /// Number of changes to measure
    #[arg(long, default_value_t = 40)]
    changes: u32,
    /// Fail when a target is missed
    #[arg(long)]
    assert: bool,
}

const BUILD_AT_MOST: Duration = Duration::from_secs(60);
const P99_AT_MOST: f64 = 20.0;
const VISIBLE_AT_MOST: f64 = 1_000.0;
const TIMEOUT: Duration = Duration::from_secs(600);

/// Runs the benchmark and prints its table.
pub async fn run(options: &Options) -> Result<()> {
    let settings = [("LOG__FILTER", "warn"), ("REDIS__COMMAND_TIMEOUT", "500ms")];
    let system = PrivateSystem::prepare(options.products, &settings).await?;
    let http = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    system.start_and_wait(Service::ProductApi).await?;
    until_published(&system).await?;

    let began = Instant::now();
    system.start_without_waiting(Service::Search).await?;
    let ready = format!("{}/readyz", system.url(Service::Search));
    while !http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
        ensure!(began.elapsed() < TIMEOUT, "the search is not ready:\n{}", system.output(Service::Search).await);
        sleep(Duration::from_millis(20)).await;
    }
    let build = began.elapsed();
    let documents = Metrics::fetch(&http, &system.url(Service::Search)).await?.sum("search_index_documents", &[]);
    println!(
        "\n{documents} products indexed in {:.1} s, from the start of the process until it is ready\n",
        build.as_secs_f64()
    );

    println!("{:<28} {:>8} {:>10} {:>10} {:>10} {:>10}", "query, not cached", "queries", "p50", "p95", "p99", "max");
    let mut all = Vec::new();
    for (kind, queries) in queries(&system, &http, options.queries).await? {
        let mut took = Vec::with_capacity(queries.len());
        for query in &queries {
            took.push(ask(&system, &http, query).await?);
        }
        all.extend(took.iter().copied());
        row(kind, took);
    }
    let p99 = Times::from_iter(all.iter().copied()).percentile(99.0);
    row("all", all);

    let mut visible = Vec::new();
    for number in 0..options.changes {
        visible.push(change(&system, &http, i64::from(1 + number * 13), number).await?);
    }
    let slowest = Times::from_iter(visible.iter().copied()).max();
    println!();
    row("change until it is found", visible);
    if options.assert {
        ensure!(build <= BUILD_AT_MOST, "the index was built in {build:?}; the limit is {BUILD_AT_MOST:?}");
        ensure!(p99 <= P99_AT_MOST, "the p99 of the queries is {}; the limit is {P99_AT_MOST} ms", human(p99));
        ensure!(
            slowest <= VISIBLE_AT_MOST,
            "a change was found after {}; the limit is {VISIBLE_AT_MOST} ms",
            human(slowest)
        );
    }
    Ok(())
}

fn row(kind: &str, took: Vec<f64>) {
    let (count, took): (usize, Times) = (took.len(), took.into_iter().collect());
    let at = |percent| human(took.percentile(percent));
    println!("{kind:<28} {count:>8} {:>10} {:>10} {:>10} {:>10}", at(50.0), at(95.0), at(99.0), human(took.max()));
}

/// Returns queries of several kinds, made of words in products' names. No query occurs twice.
async fn queries(system: &PrivateSystem, http: &Client, count: usize) -> Result<Vec<(&'static str, Vec<String>)>> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    while names.len() < 4 * count.max(500) {
        let page = format!("{}/products?limit=500{cursor}", system.url(Service::ProductApi));
        let page: Value = http.get(page).send().await?.error_for_status()?.json().await?;
        let products = page["products"].as_array().context("the page has no products")?;
        names.extend(products.iter().filter_map(|product| product["name"].as_str()).map(str::to_lowercase));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let plain = |word: &&str| word.len() >= 4 && word.chars().all(char::is_alphabetic);
    let words: BTreeSet<&str> = names.iter().flat_map(|name| name.split_whitespace()).filter(plain).collect();
    let pairs: BTreeSet<String> = names
        .iter()
        .filter_map(|name| {
            let words: Vec<&str> = name.split_whitespace().filter(plain).collect();
            (words.len() >= 2).then(|| format!("{} {}", words[0], words[words.len() - 1]))
        })
        .collect();
    let typo = |word: &&str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.swap(1, 2);
        letters.into_iter().collect::<String>()
    };
    // The prefix of one word may be another word.
    let mut asked = BTreeSet::new();
    let mut some = |queries: BTreeSet<String>| -> Vec<String> {
        queries.into_iter().filter(|query| asked.insert(query.clone())).take(count).collect()
    };
    Ok(vec![
        ("one word", some(words.iter().map(|word| (*word).to_owned()).collect())),
        ("two words", some(pairs.clone())),
        (
            "the beginning of a word",
            some(words.iter().filter(|word| word.len() >= 6).map(|word| word[..4].to_owned()).collect()),
        ),
        ("a word with a typo", some(words.iter().filter(|word| word.len() >= 6).map(typo).collect())),
        ("two words, one unfinished", some(pairs.iter().map(|pair| pair[..pair.len() - 1].to_owned()).collect())),
    ])
}

/// Returns the milliseconds until the response arrives. It must not come from the cache.
async fn ask(system: &PrivateSystem, http: &Client, query: &str) -> Result<f64> {
    let mut url = Url::parse(&format!("{}/search", system.url(Service::Search)))?;
    url.query_pairs_mut().append_pair("q", query);
    let began = Instant::now();
    let answer = http.get(url).send().await?.error_for_status()?;
    let status = cache_status(answer.headers()).to_owned();
    answer.bytes().await?;
    let took = millis(began.elapsed());
    ensure!(!Source::parse(&status).is_cached(), "{query:?} came from the cache: {status}");
    Ok(took)
}

/// Gives a product a unique name. Returns the milliseconds from the response to this write until the search finds the
/// product.
async fn change(system: &PrivateSystem, http: &Client, id: i64, number: u32) -> Result<f64> {
    let word = format!("quux{}", char::from(b'a' + (number % 26) as u8)).repeat(1 + (number / 26) as usize);
    let url = format!("{}/products/{id}", system.url(Service::ProductApi));
    http.put(url).json(&json!({ "name": format!("Thing {word}") })).send().await?.error_for_status()?;
    let began = Instant::now();
    let search = format!("{}/search?q={word}", system.url(Service::Search));
    loop {
        let page: Value = http.get(&search).send().await?.error_for_status()?.json().await?;
        let exact = page["hits"].as_array().is_some_and(|hits| hits.iter().any(|hit| hit["id"] == id));
        if exact {
            return Ok(millis(began.elapsed()));
        }
        ensure!(began.elapsed() < Duration::from_secs(30), "product {id} is not found by {word:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the seed's events are published, so that the relay does not run while the index is built.
async fn until_published(system: &PrivateSystem) -> Result<()> {
    let began = Instant::now();
    while system.postgres.sql("shop_db", "SELECT count(*) FROM outbox WHERE done_at IS NULL").await? != "0" {
        ensure!(began.elapsed() < TIMEOUT, "the events of the seed were not published in time");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
