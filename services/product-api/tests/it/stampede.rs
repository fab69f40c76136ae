//! Many readers of a cold key at once, in two processes, cause one load. The death of the loading process costs at most
//! its lease. While Redis is down, and after its return, the loads are bounded too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use testkit::eventually;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{Api, Metrics, SOON, STRATEGIES, Service, Stores, TestResponse};

const READERS: usize = 1_000;

/// Starts readers on both processes, all at once.
async fn read(apis: &[Arc<Api>], path: &str, readers: usize) -> JoinSet<TestResponse> {
    let together = Arc::new(Barrier::new(readers + 1));
    let mut reads = JoinSet::new();
    for reader in 0..readers {
        let (api, path, together) = (Arc::clone(&apis[reader % apis.len()]), path.to_owned(), Arc::clone(&together));
        reads.spawn(async move {
            together.wait().await;
            api.get(&path).await
        });
    }
    together.wait().await;
    reads
}

fn sources(answers: &[TestResponse]) -> HashMap<String, usize> {
    let mut sources = HashMap::new();
    for answer in answers {
        *sources.entry(answer.source().to_owned()).or_default() += 1;
    }
    sources
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_of_a_cold_key_in_two_processes_cause_one_load() {
    let (_turn, stores) = Stores::in_turn().await;
    // The load is held up until all readers have arrived; that must not cost the lease.
    let settings =
        [("LANES__EXPLICIT__LEASE", "40s"), ("LANES__EXPLICIT__WAIT", "40s"), ("POSTGRES__STATEMENT_TIMEOUT", "30s")];
    let (a, b) = tokio::join!(stores.api_with(&settings), stores.api_with(&settings));
    let apis = [Arc::new(a), Arc::new(b)];

    let lock = stores.lock_products().await;
    let reads = read(&apis, "/products/explicit/1", READERS).await;
    stores.until_waiting(1).await;
    // Each process has responded to a request that was sent after all others, so its readers have joined the load.
    for api in &apis {
        api.get("/livez").await.expect(200);
    }
    assert_eq!(stores.waiting().await, 1);
    lock.release().await;

    let answers = reads.join_all().await;
    println!("{READERS} readers: {:?}", sources(&answers));
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
    }
    assert_eq!(Api::loads(&[&apis[0], &apis[1]], "explicit").await, 1.0);
}

/// Nothing is held up: late readers find the value, and still no key is loaded twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_loads_a_cold_key_once() {
    let (_turn, stores) = Stores::in_turn().await;
    // No entry expires, and no reader gives up waiting, while a busy machine answers them all.
    let waits = STRATEGIES.map(|strategy| format!("LANES__{}__WAIT", strategy.to_uppercase()));
    let mut settings = vec![("LANES__TTL__HARD_TTL", "60s"), ("LANES__SWR__SOFT_TTL", "50s")];
    settings.extend(waits.iter().map(|wait| (wait.as_str(), "30s")));
    let (a, b) = tokio::join!(stores.api_with(&settings), stores.api_with(&settings));
    let apis = [Arc::new(a), Arc::new(b)];
    for api in &apis {
        api.until_subscribed().await;
    }
    for strategy in STRATEGIES {
        let answers = read(&apis, &format!("/products/{strategy}/2"), 100).await.join_all().await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(Api::loads(&[&apis[0], &apis[1]], strategy).await, 1.0, "{strategy}: {:?}", sources(&answers));
    }
    let answers = read(&apis, "/products/explicit/4711", 100).await.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 404));
    assert_eq!(Api::loads(&[&apis[0], &apis[1]], "explicit").await, 2.0, "an absent product is loaded once, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn death_of_a_loading_process_delays_readers_by_at_most_its_lease() {
    let (_turn, stores) = Stores::in_turn().await;
    // The load must not time out before its process is killed, however long the preparation takes on a busy machine.
    let lease = Duration::from_secs(16);
    let settings = [
        ("LANES__EXPLICIT__LEASE", "16s"),
        ("LANES__EXPLICIT__WAIT", "40s"),
        ("POSTGRES__WAIT_TIMEOUT", "1s"),
        ("POSTGRES__STATEMENT_TIMEOUT", "12s"),
    ];
    let (a, b) = tokio::join!(stores.api_with(&settings), stores.api_with(&settings));
    let (holder, other) = (Arc::new(a), Arc::new(b));

    let lock = stores.lock_products().await;
    let lost = tokio::spawn({
        let holder = Arc::clone(&holder);
        async move { Service::try_send(holder.request(reqwest::Method::GET, "/products/explicit/1")).await }
    });
    stores.until_waiting(1).await;
    let reads = read(&[Arc::clone(&other)], "/products/explicit/1", 50).await;
    let acquired = stores.redis(&["PTTL", "product:explicit:1"]).await;
    holder.process.kill9().await.expect("it is killed");
    let killed = Instant::now();
    lock.release().await;

    let answers = reads.join_all().await;
    let delay = killed.elapsed();
    assert!(lost.await.expect("no panic").is_err(), "its reader has no answer");
    println!("the lease had {acquired} ms left, the others were answered after {delay:?}: {:?}", sources(&answers));
    assert!(answers.iter().all(|answer| answer.status == 200));
    // If the process had not died, they would wait for 40 s.
    assert!(delay < lease + Duration::from_secs(10), "{delay:?}");
    assert_eq!(Api::loads(&[&other], "explicit").await, 1.0, "one of them took over, and only one");
    assert_eq!(other.get("/products/explicit/1").await.expect(200).source(), "hit");
}

/// A client that disconnects does not cancel the load that others wait for.
#[tokio::test]
async fn a_reader_that_hangs_up_does_not_end_the_load() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("POSTGRES__STATEMENT_TIMEOUT", "30s")]).await;
    let lock = stores.lock_products().await;
    let hangs_up = tokio::spawn(Service::try_send(api.request(reqwest::Method::GET, "/products/explicit/1")));
    stores.until_waiting(1).await;
    hangs_up.abort();
    assert!(hangs_up.await.is_err_and(|error| error.is_cancelled()));
    let (read, ()) = tokio::join!(api.get("/products/explicit/1"), lock.release());
    assert_eq!(read.expect(200).version(), 1);
    assert_eq!(Api::loads(&[&api], "explicit").await, 1.0);
    assert_eq!(api.get("/products/explicit/1").await.expect(200).source(), "hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_concurrent_loads_stay_within_max_loads() {
    let (_turn, stores) = Stores::in_turn().await;
    let settings = [
        ("REDIS__MAX_LOADS", "4"),
        ("REDIS__LOAD_QUEUE", "20s"),
        ("POSTGRES__STATEMENT_TIMEOUT", "20s"),
        ("POSTGRES__MAX_CONNECTIONS", "16"),
    ];
    let api = Arc::new(stores.api_with(&settings).await);
    stores.redis.stop().await.expect("it stops");
    api.until_redis_is_left_alone().await;

    let lock = stores.lock_products().await;
    let mut reads = JoinSet::new();
    for reader in 0..60 {
        let (api, strategy) = (Arc::clone(&api), STRATEGIES[reader % STRATEGIES.len()]);
        // Different products, and many readers of one: neither may exceed the limit.
        let id = if reader < 30 { reader } else { 1 };
        reads.spawn(async move { api.get(&format!("/products/{strategy}/{}", id + 1)).await });
    }
    stores.until_waiting(4).await;
    for _ in 0..10 {
        assert_eq!(stores.waiting().await, 4);
        api.get("/livez").await.expect(200);
    }
    lock.release().await;
    for answer in reads.join_all().await {
        assert_eq!(answer.expect(200).source(), "fwd=bypass; detail=redis-down");
    }
}

/// Redis is empty and 64 readers arrive at once: each process loads each key at most once, not once per reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_return_without_a_stampede_after_a_redis_outage() {
    let (_turn, stores) = Stores::in_turn().await;
    let (a, b) = tokio::join!(stores.api(), stores.api());
    let apis = [Arc::new(a), Arc::new(b)];
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in 0..64 {
        let (api, stop) = (Arc::clone(&apis[reader % 2]), Arc::clone(&stop));
        let path = format!("/products/explicit/{}", 1 + reader % 4);
        readers.spawn(async move {
            while !stop.load(SeqCst) {
                api.get(&path).await.expect(200);
            }
        });
    }
    stores.redis.kill().await.expect("it is killed");
    for api in &apis {
        api.until_redis_is_left_alone().await;
    }
    stores.redis.restart().await.expect("it starts");
    for api in &apis {
        api.until_redis_is_used().await;
    }
    let count = async |outcome: &str| {
        let labels = [("lane", "explicit"), ("outcome", outcome)];
        apis[0].metrics().await.sum("cache_reads_total", &labels)
            + apis[1].metrics().await.sum("cache_reads_total", &labels)
    };
    let misses = count("miss").await;
    let hits = count("hit").await;
    eventually("a thousand hits", SOON, async || count("hit").await > hits + 1_000.0).await;
    let stored = |metrics: Metrics| metrics.sum("cache_fills_total", &[("lane", "explicit"), ("result", "stored")]);
    let fills = stored(apis[0].metrics().await) + stored(apis[1].metrics().await);
    println!("misses {misses}, fills {fills} in all, before and after, of 4 keys");
    // Four keys before the failure, four after it, and again after each relay has met the new Redis and purged the
    // keyspace. A lease that is lost meanwhile may cost a few more.
    assert!(fills <= 24.0, "{fills} fills of 4 keys");
    stop.store(true, SeqCst);
    readers.join_all().await;
}
