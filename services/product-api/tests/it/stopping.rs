//! The end of the process: SIGTERM completes requests in flight, and `kill -9` loses no acknowledged write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use testkit::eventually;
use tokio::task::JoinSet;

use crate::support::{FRESH, SOON, Service, Stores};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_completes_requests_in_flight_and_exits_with_0() {
    let (_turn, stores) = Stores::in_turn().await;
    // Long, so that no request times out, and so that a shutdown that waits for the grace time to end is noticed.
    let settings = [("HTTP__GRACE", "60s"), ("POSTGRES__STATEMENT_TIMEOUT", "40s")];
    let api = Arc::new(stores.api_with(&settings).await);
    let lock = stores.lock_products().await;
    let mut requests = JoinSet::new();
    for (id, path) in (1..).zip(["/products/1", "/products/explicit/1", "/products/production/2"]) {
        let (reader, writer) = (Arc::clone(&api), Arc::clone(&api));
        requests.spawn(async move { reader.get(path).await });
        requests
            .spawn(async move { writer.put(&format!("/products/tags/{id}"), &json!({ "stock": 4_000 + id })).await });
    }
    stores.until_waiting(6).await;

    let ending = tokio::spawn({
        let api = Arc::clone(&api);
        async move { api.process.term().await }
    });
    eventually("the listener to close", SOON, async || tokio::net::TcpStream::connect(api.address()).await.is_err())
        .await;
    assert!(api.process.is_alive(), "requests are under way");
    lock.release().await;

    for answer in requests.join_all().await {
        answer.expect(200);
    }
    let exit = ending.await.expect("no panic").expect("it ends");
    println!("{exit:?}");
    assert_eq!(exit.code, 0, "{}", api.process.output());
    assert!(exit.took < Duration::from_secs(30), "{exit:?}");
    assert_eq!(stores.sql("SELECT count(*) FROM products WHERE stock > 4000").await, "3", "answered, and so committed");
    assert!(api.process.output().contains("the product API has stopped"));
}

/// A request that does not end is aborted at the end of the grace period, and so is its load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_request_delays_the_shutdown_by_at_most_the_grace_time() {
    let (_turn, stores) = Stores::in_turn().await;
    let api = Arc::new(stores.api_with(&[("HTTP__GRACE", "1s"), ("POSTGRES__STATEMENT_TIMEOUT", "40s")]).await);
    let _lock = stores.lock_products().await;
    let mut requests = JoinSet::new();
    for path in ["/products/1", "/products/explicit/1"] {
        let api = Arc::clone(&api);
        requests
            .spawn(async move { Service::try_send(api.request(Method::GET, path)).await.map(|answer| answer.status) });
    }
    stores.until_waiting(2).await;
    let exit = api.process.term().await.expect("it ends");
    assert_eq!(exit.code, 0, "{}", api.process.output());
    assert!(exit.took < Duration::from_secs(20), "{exit:?}");
    for cut_off in requests.join_all().await {
        assert!(cut_off.as_ref().is_err() || cut_off.as_ref().is_ok_and(|status| *status >= 500), "{cut_off:?}");
    }
}

#[tokio::test]
async fn sigterm_ends_an_idle_process_at_once_even_without_redis() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("HTTP__GRACE", "60s")]).await;
    api.get("/products/ttl/1").await.expect(200);
    let exit = api.stop().await;
    assert!(exit.code == 0 && exit.took < Duration::from_secs(20), "{exit:?}");
    let api = stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "200ms"), ("HTTP__GRACE", "60s")]).await;
    stores.redis.pause();
    api.get("/products/ttl/1").await.expect(200);
    let exit = api.stop().await;
    assert!(exit.code == 0 && exit.took < Duration::from_secs(20), "Redis hangs: {exit:?}");
}

/// An invalidation that waits for Redis when the service stops is carried out when Redis responds again.
#[tokio::test]
async fn deferred_invalidations_are_made_within_the_grace_time() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "200ms"), ("HTTP__GRACE", "60s")]).await;
    stores.until_published().await;
    eventually("the entry", SOON, async || {
        api.get("/products/explicit/1").await.expect(200);
        stores.has_entry("product:explicit:1").await
    })
    .await;
    stores.redis.pause();
    let written = api.put("/products/explicit/1", &json!({ "stock": 4_711 })).await.expect(200);
    assert_eq!(written.source(), "fwd=method; detail=deferred");
    let api = Arc::new(api);
    let ending = tokio::spawn({
        let api = Arc::clone(&api);
        async move { api.process.term().await }
    });
    eventually("the listener to close", SOON, async || tokio::net::TcpStream::connect(api.address()).await.is_err())
        .await;
    // Longer than a stop without pending work takes.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!ending.is_finished(), "{}", api.process.output());
    stores.redis.resume();
    let exit = ending.await.expect("no panic").expect("it ends");
    assert_eq!(exit.code, 0, "{}", api.process.output());
    assert!(!stores.has_entry("product:explicit:1").await, "the entry is from before the write");
}

#[tokio::test]
async fn sigterm_during_the_start_ends_the_process() {
    let stores = Stores::start().await;
    // The start waits up to a minute for a Postgres that never becomes available.
    let unreachable = format!("postgres://postgres@127.0.0.1:{}/shop", testkit::free_port());
    let process = testkit::ChildProcess::start(&stores.command(&[("POSTGRES__URL", &unreachable)])).expect("it starts");
    eventually("the first warning", SOON, async || process.output().contains("waiting for Postgres")).await;
    let exit = process.term().await.expect("it ends");
    assert!(exit.took < Duration::from_secs(20), "{exit:?}");
}

/// A write that was answered with 200 is in the database, no matter when the process was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_acknowledged_write() {
    let (_turn, stores) = Stores::in_turn().await;
    for round in 0..2 {
        let api = Arc::new(stores.api().await);
        let (mut writers, acknowledgements) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for (id, strategy) in (1..=8).zip(FRESH.iter().cycle()) {
            let (api, acknowledgements) = (Arc::clone(&api), Arc::clone(&acknowledgements));
            writers.spawn(async move {
                let (mut acknowledged, mut stock) = (0, round * 100_000);
                loop {
                    stock += 1;
                    let request = api
                        .request(Method::PUT, &format!("/products/{strategy}/{id}"))
                        .json(&json!({ "stock": stock }));
                    match Service::try_send(request).await {
                        Ok(answer) => {
                            acknowledged = answer.expect(200).version();
                            acknowledgements.fetch_add(1, SeqCst);
                        }
                        Err(_) => return (id, *strategy, acknowledged),
                    }
                }
            });
        }
        let began = Instant::now();
        eventually("some writes", SOON, async || {
            acknowledgements.load(SeqCst) > 0 && began.elapsed() > Duration::from_millis(150 * (round + 1))
        })
        .await;
        api.process.kill9().await.expect("it is killed");
        let acknowledged = writers.join_all().await;
        assert!(acknowledged.iter().any(|(_, _, version)| *version > 1), "nothing was written");

        // No lease or entry that the killed process left may hide an acknowledged write from a later read.
        let api = stores.api().await;
        for (id, strategy, version) in acknowledged {
            let stored: i64 =
                stores.sql(&format!("SELECT version FROM products WHERE id = {id}")).await.parse().expect("a version");
            assert!(stored >= version, "product {id}: {version} was acknowledged, {stored} is there");
            let read = api.get(&format!("/products/{strategy}/{id}")).await.expect(200);
            assert!(read.version() >= version, "{strategy} {id}: {}", read.source());
        }
    }
}
