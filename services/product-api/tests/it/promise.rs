//! No stale read after an acknowledged write: 32 readers and 4 writers on one product, in two processes.
//!
//! The rule, and what counts as a violation of it, stands in `support/ledger.rs`. Some answers of the database are
//! late (`support/detour.rs`), or a load would hardly ever meet a write. Each run must also have met the races that it
//! is about: hits, misses and refused fills, or it has shown nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::eventually;

use crate::support::{Api, Detour, FRESH, Ledger, Load, SOON, Stores, Workload, turn};

/// At least so long.
const DURATION: Duration = Duration::from_secs(4);

/// Writers that queue for a row must not keep the loads from their connections.
const CONNECTIONS: (&str, &str) = ("POSTGRES__MAX_CONNECTIONS", "16");

fn workload(strategy: &'static str, id: i64) -> Workload {
    Workload { strategy, id, readers: 32, writers: 4 }
}

async fn two(stores: &Stores, settings: &[(&str, &str)]) -> [Arc<Api>; 2] {
    let (a, b) = tokio::join!(stores.api_with(settings), stores.api_with(settings));
    [Arc::new(a), Arc::new(b)]
}

/// Runs each strategy on a product of its own, all at once, until each has met what it is to meet.
async fn run(apis: &[Arc<Api>], strategies: &[&'static str], has_met: impl Fn(&Ledger) -> bool) -> Vec<Ledger> {
    let mut loads: Vec<Load> = Vec::new();
    for (id, strategy) in (1..).zip(strategies) {
        loads.push(workload(strategy, id).start(apis).await);
    }
    tokio::time::sleep(DURATION).await;
    let enough = |ledger: &Ledger| ledger.reads.len() > 200 && ledger.writes.len() > 20 && has_met(ledger);
    eventually("enough to happen", 2 * SOON, async || {
        loads.iter_mut().all(|load| !load.so_far().failures.is_empty() || enough(load.so_far()))
    })
    .await;
    let mut ledgers = Vec::new();
    for (strategy, load) in strategies.iter().zip(loads) {
        let ledger = load.finish().await;
        println!("{strategy}: {}", ledger.summary());
        ledgers.push(ledger);
    }
    ledgers
}

#[track_caller]
fn holds(strategy: &str, ledger: &Ledger) {
    let violations = ledger.violations(|write| !write.deferred);
    let some = &violations[..violations.len().min(5)];
    assert!(violations.is_empty(), "{strategy}: {} violations, such as {some:#?}", violations.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_of_a_hot_key_is_older_than_the_last_acknowledged_write() {
    let _turn = turn().await;
    let stores = Stores::start().await;
    let detour = Detour::to(stores.database_url()).await;
    // The soft TTL is so short that refreshes behind race with writes all the time.
    let settings = [("LANES__PRODUCTION__SOFT_TTL", "5ms"), ("POSTGRES__URL", detour.url()), CONNECTIONS];
    let apis = two(&stores, &settings).await;
    let met = |ledger: &Ledger| {
        let refused = ["lease-lost", "fenced"].map(|why| ledger.reads_from(&format!("fwd=miss; detail={why}")));
        ledger.reads_from("hit") > 0 && ledger.reads_from("fwd=miss; stored") > 0 && refused.iter().sum::<usize>() > 0
    };
    for (strategy, ledger) in FRESH.iter().zip(run(&apis, &FRESH, met).await) {
        holds(strategy, &ledger);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_of_a_key_that_misses_all_the_time_is_older_than_the_last_acknowledged_write() {
    let _turn = turn().await;
    let stores = Stores::start().await;
    let detour = Detour::to(stores.database_url()).await;
    let apis = two(
        &stores,
        &[
            ("POSTGRES__URL", detour.url()),
            CONNECTIONS,
            ("LANES__EXPLICIT__HARD_TTL", "50ms"),
            ("LANES__WRITETHROUGH__HARD_TTL", "50ms"),
            ("LANES__TAGS__HARD_TTL", "50ms"),
            ("LANES__PRODUCTION__HARD_TTL", "50ms"),
            ("LANES__PRODUCTION__SOFT_TTL", "5ms"),
        ],
    )
    .await;
    // And what Redis does when its memory is full: entries and leases go at any moment.
    let evict = "for id, lane in ipairs({'explicit', 'writethrough', 'tags', 'production'}) do
                   redis.call('UNLINK', 'product:' .. lane .. ':' .. id) end";
    let evicting = async {
        loop {
            tokio::time::sleep(Duration::from_millis(30)).await;
            stores.redis(&["EVAL", evict, "0"]).await;
        }
    };
    let met = |ledger: &Ledger| ledger.reads_from("hit") > 0 && ledger.reads_from("fwd=miss; collapsed") > 0;
    let ledgers = tokio::select! {
        ledgers = run(&apis, &FRESH, met) => ledgers,
        () = evicting => Vec::new(),
    };
    assert_eq!(ledgers.len(), FRESH.len());
    for (strategy, ledger) in FRESH.iter().zip(ledgers) {
        holds(strategy, &ledger);
    }
}

/// What these three promise instead: an end to staleness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ttl_and_swr_stay_within_their_windows_and_events_within_the_time_of_delivery() {
    let _turn = turn().await;
    let stores = Stores::start().await;
    let apis = two(
        &stores,
        &[
            ("LANES__TTL__HARD_TTL", "300ms"),
            ("LANES__TTL__NEGATIVE_TTL", "300ms"),
            ("LANES__SWR__SOFT_TTL", "100ms"),
            ("LANES__SWR__HARD_TTL", "400ms"),
            ("LANES__SWR__NEGATIVE_TTL", "100ms"),
        ],
    )
    .await;
    let strategies = ["ttl", "swr", "events"];
    let ledgers = run(&apis, &strategies, |ledger| ledger.reads_from("hit") > 0).await;
    // A load may take as long as its lease and still be stored; the machine is busy, hence all of 1 s.
    let late = Duration::from_secs(1);
    let windows = [Duration::from_millis(300) + late, Duration::from_millis(400) + late, late];
    for ((strategy, ledger), window) in strategies.iter().zip(&ledgers).zip(windows) {
        let wrong = ledger.violations(|_| false);
        assert!(wrong.is_empty(), "{strategy}: {wrong:#?}");
        let staleness = ledger.staleness();
        assert!(staleness <= window, "{strategy}: {staleness:?} is more than {window:?}");
    }
    for ledger in &ledgers[..2] {
        assert!(ledger.staleness() > Duration::from_millis(50), "nothing was stale, so nothing was shown");
    }
    for (id, strategy) in (1..).zip(strategies) {
        eventually("the last version", SOON, async || {
            let truth = apis[0].get(&format!("/products/{id}")).await.expect(200).version();
            let path = format!("/products/{strategy}/{id}");
            apis[0].get(&path).await.expect(200).version() == truth
                && apis[1].get(&path).await.expect(200).version() == truth
        })
        .await;
    }
}

/// A list is made of many rows: it must show each write to any of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_of_a_category_is_older_than_the_last_acknowledged_write_to_a_product_on_it() {
    let _turn = turn().await;
    let stores = Stores::start().await;
    let detour = Detour::to(stores.database_url()).await;
    let apis = two(&stores, &[("POSTGRES__URL", detour.url())]).await;
    let product = apis[0].get("/products/1").await.expect(200).json();
    let list = format!("/products/by-category/{}", product["category"]["id"]);
    for round in 0..60 {
        let (writer, reader) = (&apis[round % 2], &apis[(round + 1) % 2]);
        let strategy = if round % 3 == 0 { "production" } else { "tags" };
        let path = format!("/products/{strategy}/1");
        let change = json!({ "stock": round });
        // Loads of the list that race with the write.
        let ((), written) = tokio::join!(
            async {
                for _ in 0..3 {
                    reader.get(&list).await.expect(200);
                }
            },
            writer.put(&path, &change)
        );
        let written = written.expect(200).version();
        for api in &apis {
            let list = api.get(&list).await.expect(200);
            let shown = list.json()["products"].as_array().expect("a list").iter().find(|it| it["id"] == 1).cloned();
            let shown = shown.expect("it is on the list");
            assert_eq!(shown["version"], written, "round {round}, {}", list.source());
        }
    }
}
