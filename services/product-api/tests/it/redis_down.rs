//! Redis is down, hangs, and returns: reads and writes continue, the database is not overloaded, and nothing stale is
//! served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::Staleness;
use serde_json::json;
use testkit::eventually;
use tokio::task::JoinSet;

use crate::support::{Api, FRESH, Load, SOON, STRATEGIES, Stores, Workload, started};

/// Returns the time that this share of the requests did not exceed.
fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    let rank = (times.len() as f64 * share) as usize;
    times.get(rank.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Redis is killed under load and restarted empty: no request fails, and hits return without intervention.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_and_every_write_succeeds_while_redis_dies_and_returns() {
    let (_turn, stores) = Stores::in_turn().await;
    let timeout = Duration::from_secs(2);
    let api = Arc::new(stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "2s")]).await);
    let apis = [Arc::clone(&api)];
    let mut loads: Vec<(&str, Load)> = Vec::new();
    for (id, strategy) in (1..).zip(STRATEGIES) {
        loads.push((strategy, Workload { strategy, id, readers: 3, writers: 1 }.start(&apis).await));
    }
    let mut read_since = |begun: Instant| -> usize {
        let since = |load: &mut Load| load.so_far().reads.iter().filter(|read| read.begin > begun).count();
        loads.iter_mut().map(|(_, load)| since(load)).sum()
    };
    let began = Instant::now();
    eventually("reads with Redis", SOON, async || read_since(began) > 100).await;
    stores.redis.kill().await.expect("it is killed");
    let (killed, ()) = (Instant::now(), api.until_redis_is_left_alone().await);
    eventually("reads without Redis", SOON, async || read_since(killed) > 100).await;
    let (returned, _) = (Instant::now(), stores.redis.restart().await.expect("it starts"));
    api.until_redis_is_used().await;
    let in_use = Instant::now();
    let hits = async || {
        let metrics = api.metrics().await;
        STRATEGIES.map(|lane| metrics.sum("cache_reads_total", &[("lane", lane), ("outcome", "hit")]))
    };
    let before = hits().await;
    // More than the few requests that were in flight when they were counted.
    let have_returned = async || hits().await.iter().zip(before).all(|(now, before)| *now > before + 3.0);
    eventually("hits of every strategy after Redis came back", 3 * SOON, have_returned).await;

    let (mut before, mut down) = (Vec::new(), Vec::new());
    for (strategy, load) in loads {
        let ledger = load.finish().await;
        println!("{strategy}: {}", ledger.summary());
        assert_eq!(ledger.failures, [""; 0], "{strategy}");
        let hits = |after: Instant| ledger.reads.iter().any(|read| read.begin > after && read.source == "hit");
        assert!(hits(in_use), "{strategy}: no hits after Redis came back");
        before.extend(ledger.reads.iter().filter(|read| read.end < killed).map(|read| read.end - read.begin));
        let while_down = ledger.reads.iter().filter(|read| read.begin > killed && read.end < returned);
        down.extend(while_down.map(|read| read.end - read.begin));
        if FRESH.contains(&strategy) {
            // This process is the only one, so a deferred write counts as acknowledged for it too.
            let violations = ledger.violations(|_| true);
            assert!(violations.is_empty(), "{strategy}: {violations:#?}");
        }
    }
    let p99 = (percentile(&mut before, 0.99), percentile(&mut down, 0.99));
    println!("p99 of {} reads with Redis {:?}, of {} without {:?}", before.len(), p99.0, down.len(), p99.1);
    assert!(down.len() > 100, "too little was read while Redis was down");
    // If the machine stalls for a moment, the slowest read says more about the machine than about Redis.
    let median = percentile(&mut down, 0.5);
    assert!(median < timeout, "reads wait for a Redis that is gone: {median:?}");
}

/// A command without a reply costs its timeout once. After two of them, the circuit breaker opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_redis_costs_a_read_one_timeout_at_most_and_later_ones_nothing() {
    let (_turn, stores) = Stores::in_turn().await;
    // Long, so that a second timeout differs from the delays of a busy machine.
    let timeout = Duration::from_secs(6);
    let api = Arc::new(stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "6s")]).await);
    for strategy in STRATEGIES {
        api.get(&format!("/products/{strategy}/1")).await.expect(200);
    }
    stores.redis.pause();
    let mut first = JoinSet::new();
    for reader in 0..150 {
        let (api, strategy) = (Arc::clone(&api), STRATEGIES[reader % STRATEGIES.len()]);
        first.spawn(async move {
            let begin = Instant::now();
            let answer =
                api.get(&format!("/products/{strategy}/{}", 1 + reader / STRATEGIES.len() % 4)).await.expect(200);
            assert_eq!(answer.source(), "fwd=bypass; detail=redis-down");
            begin.elapsed()
        });
    }
    let first = first.join_all().await;
    let slowest = first.iter().max().copied().unwrap_or_default();
    assert!(slowest >= timeout, "the test is about nothing");
    assert!(slowest < 2 * timeout, "one timeout, and the database's time: {slowest:?}");

    api.until_redis_is_left_alone().await;
    let mut later = Vec::new();
    for id in 1..=50 {
        let strategy = STRATEGIES[id % STRATEGIES.len()];
        let begin = Instant::now();
        api.get(&format!("/products/{strategy}/{id}")).await.expect(200);
        if id % 5 == 0 {
            let written = api.put(&format!("/products/{strategy}/{id}"), &json!({ "stock": 1 })).await.expect(200);
            let expected = match contract::STRATEGIES[id % STRATEGIES.len()].own {
                Staleness::Seconds(_) => "left",
                Staleness::Delivery => "announced",
                Staleness::Never => "deferred",
            };
            assert_eq!(written.source(), format!("fwd=method; detail={expected}"), "{strategy}");
        }
        later.push(begin.elapsed());
    }
    println!("hung: first {slowest:?}, then p99 {:?}", percentile(&mut later, 0.99));
    assert!(later.iter().max() < Some(&timeout), "{later:?}");
    assert_eq!(api.readiness().await["status"], "degraded");
    stores.redis.resume();
    api.until_redis_is_used().await;
}

/// The entries have survived writes whose invalidations Redis did not receive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_hung_serves_no_entry_that_was_overwritten_meanwhile() {
    let (_turn, stores) = Stores::in_turn().await;
    let api = Arc::new(stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "100ms")]).await);
    let apis = [Arc::clone(&api)];
    let mut loads = Vec::new();
    for (id, strategy) in (1..).zip(FRESH.iter().copied()) {
        loads.push((strategy, id, Workload { strategy, id, readers: 4, writers: 1 }.start(&apis).await));
        api.get(&format!("/products/{strategy}/{}", 9 + id)).await.expect(200);
    }
    for stock in [77, 78] {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stores.redis.pause();
        api.until_redis_is_left_alone().await;
        let mut written = Vec::new();
        for (id, strategy) in (10..).zip(FRESH.iter().copied()) {
            let path = format!("/products/{strategy}/{id}");
            let answer = api.put(&path, &json!({ "stock": stock })).await.expect(200);
            assert_eq!(answer.source(), "fwd=method; detail=deferred");
            written.push((path, answer.version()));
        }
        stores.redis.resume();
        // Before Redis is in use again, at that moment, and after it.
        let mut rounds = 0;
        while rounds < 3 || api.has_open_breaker().await {
            rounds += 1;
            for (path, version) in &written {
                let read = api.get(path).await.expect(200);
                assert_eq!(read.version(), *version, "{path}: {}", read.source());
            }
        }
    }
    for (strategy, id, load) in loads {
        let ledger = load.finish().await;
        println!("{strategy}: {}", ledger.summary());
        // A deferred write is not acknowledged to other processes, but it is to this one.
        let violations = ledger.violations(|_| true);
        assert!(violations.is_empty(), "{strategy}: {violations:#?}");
        assert!(ledger.writes.iter().any(|write| write.deferred), "{strategy}: nothing was deferred");
        api.until_repaired().await;
        let truth = api.get(&format!("/products/{id}")).await.expect(200);
        for _ in 0..2 {
            let read = api.get(&format!("/products/{strategy}/{id}")).await.expect(200);
            assert_eq!(read.json(), truth.json(), "{strategy}: {}", read.source());
        }
    }
}

/// Until its invalidation is retried, this process does not trust the entry. After that, no process has the entry.
#[tokio::test]
async fn deferred_invalidation_is_retried_when_redis_responds_again() {
    let stores = Stores::start().await;
    let (api, other) = tokio::join!(stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "200ms")]), stores.api());
    let list = "/products/by-category/1";
    let id = api.get(list).await.expect(200).json()["products"][0]["id"].as_i64().expect("an id");
    for &strategy in FRESH.iter() {
        api.get(&format!("/products/{strategy}/{id}")).await.expect(200);
    }
    stores.redis.pause();
    let mut written = 0;
    for &strategy in FRESH.iter() {
        let answer = api.put(&format!("/products/{strategy}/{id}"), &json!({ "stock": 55, "name": strategy })).await;
        let answer = answer.expect(200);
        assert_eq!(answer.source(), "fwd=method; detail=deferred", "{strategy}");
        written = answer.version();
    }
    assert!(api.metrics().await.sum("cache_repairs_pending", &[]) > 0.0);
    stores.redis.resume();
    api.until_redis_is_used().await;
    api.until_repaired().await;
    for api in [&api, &other] {
        for &strategy in FRESH.iter() {
            let read = api.get(&format!("/products/{strategy}/{id}")).await.expect(200);
            assert_eq!(read.version(), written, "{strategy}: {}", read.source());
        }
        assert!(api.get(list).await.expect(200).text().contains("\"stock\":55"));
    }
}

/// An event is committed with its change, and waits in the outbox until Redis is available.
#[tokio::test]
async fn events_of_a_redis_outage_arrive_when_redis_returns() {
    let stores = Stores::start().await;
    let (api, other) = tokio::join!(stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "200ms")]), stores.api());
    let fresh = async |api: &Api, version: i64| {
        eventually("the event", SOON, async || api.get("/products/events/1").await.expect(200).version() == version)
            .await;
    };
    for stock in [501, 502] {
        api.get("/products/events/1").await.expect(200);
        stores.redis.pause();
        let answer = api.put("/products/events/1", &json!({ "stock": stock })).await.expect(200);
        assert_eq!(answer.source(), "fwd=method; detail=announced");
        api.until_redis_is_left_alone().await;
        assert_eq!(api.get("/products/events/1").await.expect(200).version(), answer.version(), "from the database");
        stores.redis.resume();
        fresh(&api, answer.version()).await;
        fresh(&other, answer.version()).await;
        api.until_redis_is_used().await;
    }
}

/// A service that starts while Redis is unavailable serves without it, and uses it later.
#[tokio::test]
async fn start_without_redis_serves_and_uses_redis_later() {
    let stores = Stores::start().await;
    stores.redis.stop().await.expect("it stops");
    let api = stores.api().await;
    assert_eq!(api.readiness().await["checks"]["redis"]["status"], "failing");
    for strategy in STRATEGIES {
        let read = api.get(&format!("/products/{strategy}/1")).await.expect(200);
        assert_eq!(read.source(), "fwd=bypass; detail=redis-down", "{strategy}");
    }
    for path in ["/cache/stats/product:ttl:1", "/cache/entries"] {
        let refused = api.get(path).await;
        refused.problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "1");
    }
    let new = json!({ "name": "New", "price_cents": 100, "category_id": 1 });
    assert_eq!(api.post("/products", &new).await.expect(201).source(), "fwd=method; detail=deferred");
    stores.redis.restart().await.expect("it starts");
    api.until_redis_is_used().await;
    api.until_subscribed().await;
    api.until_repaired().await;
    stores.until_published().await;
    for strategy in STRATEGIES {
        let path = format!("/products/{strategy}/1");
        api.get(&path).await.expect(200);
        assert_eq!(api.get(&path).await.expect(200).source(), "hit", "{strategy}");
    }
    let written = api.put("/products/events/1", &json!({ "stock": 9 })).await.expect(200).version();
    eventually("the event", SOON, async || api.get("/products/events/1").await.expect(200).version() == written).await;
}

/// Redis responds and refuses one command, so the invalidation is retried twenty times a second.
#[tokio::test]
async fn recurring_failure_is_logged_when_it_begins_and_when_it_ends() {
    let (stores, api) = started().await;
    api.get("/products/explicit/1").await.expect(200);
    stores.redis(&["ACL", "SETUSER", "product-api", "-unlink"]).await;
    let refused = async || stores.redis(&["INFO", "errorstats"]).await;
    for stock in 0..5 {
        let written = api.put("/products/explicit/1", &json!({ "stock": stock })).await.expect(200);
        assert_eq!(written.source(), "fwd=method; detail=deferred");
    }
    eventually("many repetitions", SOON, async || {
        let stats = refused().await;
        let count = stats.split("errorstat_NOPERM:count=").nth(1).map(|rest| rest.trim().to_owned());
        count.is_some_and(|count| count.lines().next().and_then(|count| count.parse().ok()).unwrap_or(0) > 20)
    })
    .await;
    let lines = |text: &str| api.process.output().lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("Redis refuses a deferred invalidation"), 1, "{}", api.process.output());
    assert_eq!(lines("invalidations are deferred"), 1, "{}", api.process.output());
    stores.redis(&["ACL", "SETUSER", "product-api", "+unlink"]).await;
    for told in ["Redis has acknowledged all deferred invalidations", "accepts deferred invalidations again"] {
        eventually(told, SOON, async || lines(told) == 1).await;
    }
}
