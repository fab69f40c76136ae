//! Redis is down, hangs, is full, or returns: empty, older, or with foreign data. No event is lost, and no event gets another
//! number.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Api, SOON, STREAM, Stores, seq, started, started_and_published, started_at_head, turn};

/// Waits until the stream ends with the last assigned number.
async fn until_caught_up(stores: &Stores) {
    let head = stores.settled_head().await;
    eventually("the stream", SOON, async || stores.stream().await.last().map(seq) == Some(head)).await;
}

async fn log_after(api: &Api, after: i64) -> Vec<Value> {
    let page = api.get(&format!("/events?after={after}")).await.expect(200).json();
    page["events"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn changes_during_a_redis_outage_are_numbered_and_appended_later() {
    let (stores, api, head) = started_at_head().await;
    stores.redis.kill().await.expect("it is killed");
    api.put("/products/events/1", &json!({ "stock": 901 })).await.expect(200);
    api.put("/products/production/2", &json!({ "stock": 902 })).await.expect(200);
    stores.sql("UPDATE products SET stock = 903 WHERE id IN (3, 4)").await;
    stores.until_numbered_and_waiting(4).await;
    let served = log_after(&api, head).await;
    assert_eq!(served.iter().map(seq).collect::<Vec<_>>(), (head + 1..=head + 4).collect::<Vec<_>>());

    stores.redis.restart().await.expect("it starts");
    let stream = stores.whole_stream().await;
    assert_eq!(stream[head as usize..], served, "under the numbers that it had");
    assert!(api.metrics().await.sum("relay_replays_total", &[("stream", STREAM)]) >= 1.0);
}

/// Redis may execute a command long after its caller has timed out.
#[tokio::test]
async fn hung_redis_gets_every_event_once_when_it_continues() {
    let stores = Stores::start().await;
    let (api, _other) = tokio::join!(stores.api(), stores.api());
    let mut channel = stores.subscribe().await;
    for round in 1..=2 {
        let head = stores.settled_head().await;
        stores.redis.pause();
        for id in 1..=3 {
            let change = json!({ "stock": 900 + round });
            let written = api.put(&format!("/products/events/{id}"), &change).await.expect(200);
            assert_eq!(written.source(), "fwd=method; detail=announced");
        }
        stores.until_numbered_and_waiting(3).await;
        assert_eq!(log_after(&api, head).await.len(), 3);
        // Long enough for the first attempts of both to time out.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        stores.redis.resume();
        for event in &stores.whole_stream().await[head as usize..] {
            assert_eq!(channel.next().await, *event, "heard once, in order");
        }
    }
    channel.close().await;
}

/// Subscribers do not receive published events again: a replay is for consumers of the stream.
#[tokio::test]
async fn lost_stream_is_refilled_under_the_same_numbers() {
    let (stores, _api) = started().await;
    let before = stores.whole_stream().await;
    for round in 0..3 {
        match round {
            0 => drop(stores.redis(&["DEL", STREAM]).await),
            1 => drop(stores.redis(&["FLUSHALL"]).await),
            _ => stores.redis.restart().await.expect("it starts"),
        }
        let mut channel = match round {
            2 => None,
            _ => Some(stores.subscribe().await),
        };
        stores.sql(&format!("UPDATE products SET stock = 900 + {round} WHERE id = 1")).await;
        until_caught_up(&stores).await;
        let stream = stores.whole_stream().await;
        assert_eq!(stream[..before.len()], before);
        assert_eq!(stream.len(), before.len() + round + 1);
        if let Some(channel) = &mut channel {
            assert_eq!(channel.next().await, stream[stream.len() - 1]);
        }
    }
}

/// All data of Redis are from an older time: entries, tags, fences, stream.
#[tokio::test]
async fn redis_restored_from_older_data_serves_nothing_stale() {
    let (stores, api) = started_and_published().await;
    let strategies = ["explicit", "writethrough", "events", "tags", "production"];
    let paths = strategies.map(|strategy| format!("/products/{strategy}/1"));
    for path in &paths {
        api.get(path).await.expect(200);
    }
    stores.redis(&["SAVE"]).await;
    for path in &paths {
        api.put(path, &json!({ "stock": 900 + path.len() })).await.expect(200);
    }
    let written = api.get("/products/1").await.expect(200).version();
    let before = stores.whole_stream().await;
    let replays = async || api.metrics().await.sum("relay_replays_total", &[("stream", STREAM)]);
    let replayed = replays().await;
    stores.redis.restart().await.expect("it starts");
    until_caught_up(&stores).await;
    assert_eq!(stores.whole_stream().await, before);
    assert_eq!(replays().await, replayed, "it was not empty, or this is about something else");
    for path in &paths {
        let read = api.get(path).await.expect(200);
        assert_eq!(read.version(), written, "{path}: {}", read.source());
    }
}

/// As after a failover to a replica that lagged behind.
#[tokio::test]
async fn stream_that_lost_its_end_continues_at_its_last_entry() {
    let (stores, api) = started().await;
    let before = stores.whole_stream().await;
    let begun_anew = async || {
        let metrics = api.metrics().await;
        let of_stream = |name| metrics.sum(name, &[("stream", STREAM)]);
        of_stream("relay_replays_total") + of_stream("relay_streams_removed_total")
    };
    let begun = begun_anew().await;
    for kept in [1, 100, 141] {
        stores.redis(&["DEL", STREAM]).await;
        let mut fill = vec![
            "EVAL".to_owned(),
            "for i = 1, #ARGV do redis.call('XADD', KEYS[1], i .. '-0', 'event', ARGV[i]) end".to_owned(),
            "1".to_owned(),
            STREAM.to_owned(),
        ];
        fill.extend(before[..kept].iter().map(Value::to_string));
        stores.redis(&fill.iter().map(String::as_str).collect::<Vec<_>>()).await;
        stores.sql(&format!("UPDATE products SET stock = 900 + {kept} WHERE id = 1")).await;
        until_caught_up(&stores).await;
        stores.whole_stream().await;
    }
    assert_eq!(begun_anew().await, begun, "it was begun anew, not continued");
}

#[tokio::test]
async fn a_stream_of_another_database_is_replaced_at_the_start() {
    for (ids, seed) in [(vec!["999999-0"], "130"), (vec!["1-0", "2-0", "3-0"], "130"), (vec!["7-0"], "0")] {
        let stores = Stores::start().await;
        for id in &ids {
            stores
                .redis(&[
                    "XADD",
                    STREAM,
                    id,
                    "event",
                    &json!({ "seq": id.trim_end_matches("-0").parse::<i64>().expect("a number") }).to_string(),
                ])
                .await;
        }
        let _api = stores.api_with(&[("SEED_PRODUCTS", seed)]).await;
        stores.whole_stream().await;
    }
}

/// Another program shares the Redis by mistake: what it appends must not hide the service's events.
#[tokio::test]
async fn stream_with_foreign_entries_is_replaced() {
    let stores = Stores::start().await;
    let _apis = tokio::join!(stores.api(), stores.api());
    for round in 0..3 {
        stores.until_published().await;
        stores.redis(&["XADD", STREAM, "999999-0", "event", r#"{"seq":999999}"#]).await;
        stores.sql(&format!("UPDATE products SET stock = 900 + {round} WHERE id < 4")).await;
        until_caught_up(&stores).await;
        stores.whole_stream().await;
    }
}

/// The second relay finds the stream of the first and keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_relays_replace_a_foreign_stream_once() {
    let _turn = turn().await;
    let settings = [("SEED_PRODUCTS", "600"), ("RELAY__BATCH", "20")];
    for _ in 0..3 {
        let stores = Stores::start().await;
        stores.redis(&["XADD", STREAM, "999999-0", "event", r#"{"seq":999999}"#]).await;
        let apis = tokio::join!(stores.api_with(&settings), stores.api_with(&settings), stores.api_with(&settings));
        stores.whole_stream().await;
        let mut removed = 0.0;
        for api in [&apis.0, &apis.1, &apis.2] {
            removed += api.metrics().await.sum("relay_streams_removed_total", &[("stream", STREAM)]);
        }
        assert_eq!(removed, 1.0, "what one relay has begun, another one has removed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_restarted_during_a_replay_receives_the_whole_replay() {
    let (_turn, stores) = Stores::in_turn().await;
    let settings = [("SEED_PRODUCTS", "600"), ("RELAY__BATCH", "5")];
    let _apis = tokio::join!(stores.api_with(&settings), stores.api_with(&settings));
    for round in 0..15 {
        stores.redis.restart().await.expect("it starts");
        if round % 2 == 0 {
            eventually("the first page", SOON, async || stores.redis(&["EXISTS", STREAM]).await == "1").await;
        }
    }
    stores.sql("UPDATE products SET stock = 901 WHERE id = 1").await;
    until_caught_up(&stores).await;
    stores.whole_stream().await;
}

#[tokio::test]
async fn sigterm_without_redis_keeps_events_for_the_next_start() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "200ms"), ("HTTP__GRACE", "1s")]).await;
    stores.until_published().await;
    stores.redis.pause();
    stores.sql("UPDATE products SET stock = 901 WHERE id < 9").await;
    stores.until_numbered_and_waiting(8).await;
    let exit = api.stop().await;
    // A relay that waited for Redis would not end at all.
    assert!(exit.code == 0 && exit.took < Duration::from_secs(30), "{exit:?}");
    stores.redis.resume();
    let _api = stores.api().await;
    stores.whole_stream().await;
}

/// Redis can evict nothing, as when data without a TTL fill it.
#[tokio::test]
async fn events_are_appended_while_redis_has_no_memory_left() {
    let (stores, _api) = started_and_published().await;
    stores.redis(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    stores.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let before: u64 = stores.redis(&["XLEN", "product:events"]).await.parse().expect("a number");
    for stock in [51, 52, 53] {
        stores.sql(&format!("UPDATE products SET stock = {stock} WHERE id = 1")).await;
        stores.until_published().await;
    }
    let after: u64 = stores.redis(&["XLEN", "product:events"]).await.parse().expect("a number");
    assert_eq!(after, before + 3);
}

/// Reads of unknown ids leave no tag set, and a creation removes the entries that they have left.
#[tokio::test]
async fn reads_of_unknown_ids_leave_no_tag_sets() {
    let (stores, api) = started().await;
    let bookkeeping = async || stores.redis(&["EVAL", "return #redis.call('KEYS', 'product:~*')", "0"]).await;
    api.get("/products/production/9001").await.problem(404, "not-found");
    let before = bookkeeping().await;
    for id in 9_001..9_050 {
        for path in ["tags", "production", "explicit", "events", "by-category"] {
            api.get(&format!("/products/{path}/{id}")).await.problem(404, "not-found");
        }
    }
    assert_eq!(bookkeeping().await, before);
    // Again, because its entry may have expired since; and an entry that this read finds may expire before it is seen.
    eventually("the entry of a category that does not exist", SOON, async || {
        api.get("/products/by-category/9001").await.problem(404, "not-found");
        stores.has_entry("product:by-category:9001").await
    })
    .await;
    stores.sql("INSERT INTO categories (id, name) VALUES (9001, 'New')").await;
    stores.until_published().await;
    assert_eq!(api.get("/products/by-category/9001").await.expect(200).json()["category"]["name"], "New");
    assert_ne!(bookkeeping().await, before, "the entry of a category that exists has tag sets");
}
