//! One load and one write, or two writes, in the order in which a stale entry would remain: a reply of the database is
//! withheld until the other step is done.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::{PostgresFault, eventually};
use tokio::task::JoinSet;

use crate::support::{Api, FRESH, SOON, Service, Stores, TestResponse};

/// Starts a process with these settings, behind the proxy, and one without.
async fn slow_and_quick(stores: &Stores, settings: &[(&str, &str)]) -> (Arc<Api>, Api) {
    (Arc::new(stores.api_with(settings).await), stores.api().await)
}

/// The race, step by step: a load has read version 1 and its result is in flight; another process writes version 2 and
/// acknowledges it. Requests from before may receive version 1, later requests may not, and no cache may store it.
#[tokio::test]
async fn overtaken_load_is_neither_stored_nor_served_to_later_readers() {
    let (stores, proxy) = Stores::behind_proxy().await;
    let settings = [("POSTGRES__URL", proxy.url()), ("POSTGRES__MAX_CONNECTIONS", "1")];
    let (slow, quick) = slow_and_quick(&stores, &settings).await;
    stores.silence().await;
    for &strategy in FRESH.iter() {
        let path = format!("/products/{strategy}/1");
        // Prepares the statement on the only connection, so that its result is the only reply.
        slow.get(&format!("/products/{strategy}/2")).await.expect(200);
        let before = slow.get("/products/1").await.expect(200).version();
        proxy.set(PostgresFault::WithholdReplies);
        let early = read_in_background(&slow, &path);
        proxy.until_withheld().await;

        let written = quick.put(&path, &json!({ "stock": before })).await.expect(200).version();
        assert_eq!(written, before + 1);
        let late = read_in_background(&slow, &path);
        // A later request and a short pause: the reader has joined the load by then, if it can be joined.
        slow.get("/livez").await.expect(200);
        tokio::time::sleep(Duration::from_millis(50)).await;
        proxy.set(PostgresFault::Pass);

        let early = early.join_all().await.remove(0);
        assert_eq!(early.version(), before, "{strategy}: the race was not met: {}", early.source());
        let late = late.join_all().await.remove(0);
        assert_eq!(late.version(), written, "{strategy}: {}", late.source());
        for api in [&*slow, &quick] {
            let after = api.get(&path).await.expect(200);
            assert_eq!(after.version(), written, "{strategy}: {}", after.source());
        }
    }
}

/// The fences that a write leaves for loads in flight may be lost, and start from the beginning. Then no earlier load
/// is stored.
#[tokio::test]
async fn a_load_from_before_the_loss_of_the_fences_is_not_stored() {
    let (stores, proxy) = Stores::behind_proxy().await;
    let settings = [("POSTGRES__URL", proxy.url()), ("POSTGRES__MAX_CONNECTIONS", "1")];
    let (slow, quick) = slow_and_quick(&stores, &settings).await;
    // The clock of the fences is now ahead of where it will start again.
    for stock in 0..5 {
        quick.put("/products/tags/2", &json!({ "stock": stock })).await.expect(200);
    }
    slow.get("/products/tags/2").await.expect(200);
    proxy.set(PostgresFault::WithholdReplies);
    let early = read_in_background(&slow, "/products/tags/1");
    proxy.until_withheld().await;
    assert_eq!(stores.redis(&["DEL", "product:~fence"]).await, "1");
    let written = quick.put("/products/tags/1", &json!({ "stock": 7 })).await.expect(200).version();
    proxy.set(PostgresFault::Pass);
    let early = early.join_all().await.remove(0);
    assert_eq!((early.version(), early.source()), (written - 1, "fwd=miss; detail=generation"));
    assert_eq!(slow.get("/products/tags/1").await.expect(200).version(), written);
}

/// The same for a background refresh of a stale entry: it must not restore what was invalidated meanwhile.
#[tokio::test]
async fn overtaken_refresh_restores_no_invalidated_entry() {
    let (stores, proxy) = Stores::behind_proxy().await;
    let settings =
        [("LANES__PRODUCTION__SOFT_TTL", "50ms"), ("POSTGRES__MAX_CONNECTIONS", "1"), ("POSTGRES__URL", proxy.url())];
    let slow = stores.api_with(&settings).await;
    let quick = stores.api_with(&settings[..2]).await;
    stores.silence().await;
    let before = slow.get("/products/production/1").await.expect(200).version();
    stores.until_stale(&slow, "product:production:1").await;
    proxy.set(PostgresFault::WithholdReplies);
    assert_eq!(slow.get("/products/production/1").await.expect(200).source(), "stale");
    proxy.until_withheld().await;
    let written = quick.put("/products/production/1", &json!({ "stock": 7 })).await.expect(200).version();
    assert_eq!(quick.get("/products/production/1").await.expect(200).version(), written);
    proxy.set(PostgresFault::Pass);
    eventually("the end of the refresh", SOON, async || {
        let metrics = slow.metrics().await;
        let fills = |result| metrics.sum("cache_fills_total", &[("lane", "production"), ("result", result)]);
        fills("stored") + fills("refused") == 2.0
    })
    .await;
    for api in [&slow, &quick] {
        let read = api.get("/products/production/1").await.expect(200);
        assert_eq!(read.version(), written, "{} (version {before} was overwritten)", read.source());
    }
}

/// Two writers of one product: the one that committed first receives its reply last, and must not store last.
#[tokio::test]
async fn writer_that_committed_first_does_not_overwrite_the_later_entry() {
    let (stores, proxy) = Stores::behind_proxy().await;
    let (slow, quick) = slow_and_quick(&stores, &[("POSTGRES__URL", proxy.url())]).await;
    stores.silence().await;
    for &strategy in FRESH.iter() {
        let path = format!("/products/{strategy}/1");
        proxy.set(PostgresFault::WithholdCommitReplies);
        let first = write_in_background(&slow, &path);
        proxy.until_withheld().await;
        let second = quick.put(&path, &json!({ "stock": 2 })).await.expect(200).version();
        proxy.set(PostgresFault::Pass);
        let first = first.join_all().await.remove(0).expect("an answer").expect(200);
        assert_eq!(first.version(), second - 1, "{strategy}: the race was not met");
        for api in [&*slow, &quick] {
            let read = api.get(&path).await.expect(200);
            assert_eq!(read.version(), second, "{strategy}: {}", read.source());
        }
        // The next round changes the product again.
        quick.put(&path, &json!({ "stock": 3 })).await.expect(200);
    }
}

/// The client that disconnected receives no response, but the committed value is invalidated nevertheless.
#[tokio::test]
async fn write_of_a_disconnected_client_is_invalidated() {
    let (stores, proxy) = Stores::behind_proxy().await;
    let (slow, quick) = slow_and_quick(&stores, &[("POSTGRES__URL", proxy.url())]).await;
    stores.silence().await;
    for &strategy in FRESH.iter() {
        let path = format!("/products/{strategy}/1");
        let before = quick.get(&path).await.expect(200).version();
        proxy.set(PostgresFault::WithholdCommitReplies);
        let mut hangs_up = write_in_background(&slow, &path);
        proxy.until_withheld().await;
        hangs_up.shutdown().await;
        proxy.set(PostgresFault::Pass);
        eventually("the new version", SOON, async || quick.get(&path).await.expect(200).version() == before + 1).await;
        quick.put(&path, &json!({ "stock": 3 })).await.expect(200);
    }
}

fn write_in_background(api: &Arc<Api>, path: &str) -> JoinSet<reqwest::Result<TestResponse>> {
    let (api, path) = (Arc::clone(api), path.to_owned());
    let mut write = JoinSet::new();
    write.spawn(async move {
        Service::try_send(api.request(reqwest::Method::PUT, &path).json(&json!({ "stock": 1 }))).await
    });
    write
}

fn read_in_background(api: &Arc<Api>, path: &str) -> JoinSet<TestResponse> {
    let (api, path) = (Arc::clone(api), path.to_owned());
    let mut read = JoinSet::new();
    read.spawn(async move { api.get(&path).await.expect(200) });
    read
}
