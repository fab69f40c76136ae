//! No stale read after an acknowledged write: 32 readers and 4 writers of one product, in two processes.
//!
//! `support/ledger.rs` defines the rule and its violations. Some responses of the database are delayed
//! ([`PostgresProxy`]), because otherwise a load would hardly ever overlap with a write. Each run must also have met
//! the races that it tests: hits, misses and refused fills. Otherwise it proves nothing. Most runs disable the outbox:
//! the guarantee is the writer's, and the events that follow each write would hide a writer that breaks it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::{PostgresFault, eventually};
use tokio::time::{Instant, sleep};

use crate::support::{Api, FRESH, Ledger, Load, SOON, Stores, Workload, turn};

/// The minimum duration of a run.
const DURATION: Duration = Duration::from_secs(3);

/// Returns how many values came from the cache. On a slow machine, an entry with a short soft TTL is always stale.
fn found(ledger: &Ledger) -> usize {
    ledger.reads_from("hit") + ledger.reads_from("stale")
}

/// Writers that queue for a row must leave connections for the loads.
const CONNECTIONS: (&str, &str) = ("POSTGRES__MAX_CONNECTIONS", "16");

fn workload(strategy: &'static str, id: i64) -> Workload {
    Workload { strategy, id, readers: 32, writers: 4 }
}

async fn two(stores: &Stores, settings: &[(&str, &str)]) -> [Arc<Api>; 2] {
    let (a, b) = tokio::join!(stores.api_with(settings), stores.api_with(settings));
    [Arc::new(a), Arc::new(b)]
}

/// Runs each strategy on its own product, all at the same time, until each has met its races.
async fn run(apis: &[Arc<Api>], strategies: &[&'static str], has_met: impl Fn(&str, &Ledger) -> bool) -> Vec<Ledger> {
    let mut loads: Vec<Load> = Vec::new();
    for (id, strategy) in (1..).zip(strategies) {
        loads.push(workload(strategy, id).start(apis).await);
    }
    sleep(DURATION).await;
    let deadline = Instant::now() + 2 * SOON;
    loop {
        let is_enough = |(strategy, load): (&&str, &mut Load)| {
            let ledger = load.so_far();
            let enough = ledger.reads.len() > 200 && ledger.writes.len() > 20 && has_met(strategy, ledger);
            enough || !ledger.failures.is_empty()
        };
        if strategies.iter().zip(&mut loads).all(is_enough) {
            break;
        }
        if Instant::now() > deadline {
            let so_far: Vec<_> = loads.iter_mut().map(|load| load.so_far().summary()).collect();
            panic!("too little happened: {so_far:#?}");
        }
        sleep(Duration::from_millis(20)).await;
    }
    let mut ledgers = Vec::new();
    for (strategy, load) in strategies.iter().zip(loads) {
        let ledger = load.finish().await;
        println!("{strategy}: {}", ledger.summary());
        ledgers.push(ledger);
    }
    ledgers
}

/// Runs [`FRESH`] while Redis evicts as if its memory were full: entries and leases disappear, every `pause`.
async fn run_with_evictions(
    stores: &Stores, pause: Duration, apis: &[Arc<Api>], has_met: impl Fn(&str, &Ledger) -> bool,
) -> Vec<Ledger> {
    let evict = "for id, lane in ipairs(ARGV) do redis.call('UNLINK', 'product:' .. lane .. ':' .. id) end";
    let evicting = async {
        loop {
            sleep(pause).await;
            stores.redis(&[&["EVAL", evict, "0"][..], &FRESH[..]].concat()).await;
        }
    };
    let ledgers = tokio::select! {
        ledgers = run(apis, &FRESH[..], has_met) => ledgers,
        () = evicting => Vec::new(),
    };
    assert_eq!(ledgers.len(), FRESH.len());
    ledgers
}

/// Asserts that the ledgers of [`FRESH`] have no violation.
#[track_caller]
fn hold(ledgers: &[Ledger]) {
    for (strategy, ledger) in FRESH.iter().zip(ledgers) {
        let violations = ledger.violations(|write| !write.deferred);
        let some = &violations[..violations.len().min(5)];
        assert!(violations.is_empty(), "{strategy}: {} violations, such as {some:#?}", violations.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_of_a_hot_key_is_older_than_the_last_acknowledged_write() {
    let _turn = turn().await;
    let (stores, proxy) = Stores::behind_proxy().await;
    proxy.set(PostgresFault::LateReplies);
    // The soft TTL is so short that background refreshes race with writes all the time.
    let settings = [("LANES__PRODUCTION__SOFT_TTL", "5ms"), ("POSTGRES__URL", proxy.url()), CONNECTIONS];
    let apis = two(&stores, &settings).await;
    stores.silence().await;
    let met = |_: &str, ledger: &Ledger| {
        let refused = ["lease-lost", "fenced"].map(|why| ledger.reads_from(&format!("fwd=miss; detail={why}")));
        found(ledger) > 0 && ledger.reads_from("fwd=miss; stored") > 0 && refused.iter().sum::<usize>() > 0
    };
    // Occasionally, because otherwise the write-through entry would always exist: whether a fill meets a write must not
    // depend on chance.
    let ledgers = run_with_evictions(&stores, Duration::from_millis(300), &apis, met).await;
    hold(&ledgers);
}

/// Each process keeps every strategy's entries in its memory as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_from_memory_is_older_than_the_last_acknowledged_write() {
    let _turn = turn().await;
    let stores = Stores::start().await;
    let names: Vec<String> = FRESH.iter().map(|name| format!("LANES__{}__NEAR_STRICT", name.to_uppercase())).collect();
    let mut settings = vec![("REDIS__NEAR_BOUND", "100ms"), CONNECTIONS];
    settings.extend(names.iter().map(|name| (name.as_str(), "100ms")));
    let apis = two(&stores, &settings).await;
    stores.silence().await;
    let met = |_: &str, ledger: &Ledger| ledger.reads_from("near") > 0 && found(ledger) > 0;
    hold(&run(&apis, &FRESH[..], met).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_that_always_misses_is_older_than_the_last_acknowledged_write() {
    let _turn = turn().await;
    let (stores, proxy) = Stores::behind_proxy().await;
    proxy.set(PostgresFault::LateReplies);
    let settings = [
        ("POSTGRES__URL", proxy.url()),
        CONNECTIONS,
        ("LANES__EXPLICIT__HARD_TTL", "50ms"),
        ("LANES__WRITETHROUGH__HARD_TTL", "50ms"),
        ("LANES__TAGS__HARD_TTL", "50ms"),
        ("LANES__PRODUCTION__HARD_TTL", "50ms"),
        ("LANES__PRODUCTION__SOFT_TTL", "5ms"),
    ];
    let apis = two(&stores, &settings).await;
    let met = |_: &str, ledger: &Ledger| found(ledger) > 0 && ledger.reads_from("fwd=miss; collapsed") > 0;
    let ledgers = run_with_evictions(&stores, Duration::from_millis(30), &apis, met).await;
    hold(&ledgers);
}

/// These three guarantee a bound of the staleness instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staleness_of_ttl_swr_and_events_stays_within_its_bounds() {
    let (_turn, stores) = Stores::in_turn().await;
    let settings = [
        ("LANES__TTL__HARD_TTL", "300ms"),
        ("LANES__TTL__NEGATIVE_TTL", "300ms"),
        ("LANES__SWR__SOFT_TTL", "100ms"),
        ("LANES__SWR__HARD_TTL", "400ms"),
        ("LANES__SWR__NEGATIVE_TTL", "100ms"),
    ];
    let apis = two(&stores, &settings).await;
    let strategies = ["ttl", "swr", "events"];
    let ledgers = run(&apis, &strategies, |strategy, ledger| {
        // These two must be stale at times, or the test shows nothing.
        strategy == "events" || ledger.staleness() > Duration::ZERO
    })
    .await;
    // A load may take as long as its lease and still be stored.
    let late = Duration::from_secs(8);
    let windows = [Duration::from_millis(300) + late, Duration::from_millis(400) + late, late];
    for ((strategy, ledger), window) in strategies.iter().zip(&ledgers).zip(windows) {
        let wrong = ledger.violations(|_| false);
        assert!(wrong.is_empty(), "{strategy}: {wrong:#?}");
        let staleness = ledger.staleness();
        assert!(staleness <= window, "{strategy}: {staleness:?} is more than {window:?}");
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

/// A list is made of many rows, and must show a write to any of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_category_list_is_older_than_the_last_acknowledged_product_write() {
    let _turn = turn().await;
    let (stores, proxy) = Stores::behind_proxy().await;
    proxy.set(PostgresFault::LateReplies);
    let apis = two(&stores, &[("POSTGRES__URL", proxy.url())]).await;
    let product = apis[0].get("/products/1").await.expect(200).json();
    let list = format!("/products/by-category/{}", product["category"]["id"]);
    for round in 0..60 {
        let (writer, reader) = (&apis[round % 2], &apis[(round + 1) % 2]);
        let strategy = if round % 3 == 0 { "production" } else { "tags" };
        let path = format!("/products/{strategy}/1");
        let change = json!({ "stock": round });
        // Loads of the list race with the write.
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
