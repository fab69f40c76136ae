//! Numbers without gaps: under concurrent writers, with several relays, and when one relay dies midway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use diesel_async::SimpleAsyncConnection;
use serde_json::{Value, json};
use testkit::eventually;
use tokio::task::JoinSet;

use crate::support::{SOON, Stores, seq, started_and_published, started_at_head, turn};

/// Four sessions, each of which changes the same 20 products and more, `rounds` times, and sometimes commits late: the
/// ids of outbox rows are taken in another order than they become visible.
async fn write_from_four_sessions(stores: &Stores, rounds: usize) {
    let mut sessions = JoinSet::new();
    for session in 0..4 {
        let mut connection = stores.connect().await;
        sessions.spawn(async move {
            for round in 0..rounds {
                let (id, n) = (1 + (round * 7 + session * 3) % 20, round * 4 + session);
                let price = format!("UPDATE products SET price_cents = {n} + 10000 WHERE id = {id}");
                let sql = match round % 10 {
                    // Its number in the outbox is old when it is committed.
                    0 => format!("BEGIN; {price}; SELECT pg_sleep(0.02); COMMIT"),
                    1 => format!("BEGIN; {price}; ROLLBACK; {price}"),
                    2 => format!("INSERT INTO products (name, price_cents, category_id) VALUES ('{n}', {n}, 1)"),
                    3 => "DELETE FROM products WHERE id = (SELECT max(id) FROM products WHERE id > 130)".to_owned(),
                    4 => format!("UPDATE categories SET description = '{n}' WHERE id = {}", 1 + session),
                    _ => price,
                };
                connection.batch_execute(&sql).await.expect("nothing stands in its way");
            }
        });
    }
    sessions.join_all().await;
}

/// Asserts that each product's versions follow each other: created, updated…, deleted.
fn assert_in_version_order(events: &[Value]) {
    let mut last = std::collections::HashMap::new();
    for event in events {
        let (row, version) = ((event["product_id"].as_i64(), event["category_id"].clone()), event["version"].as_i64());
        // A product may change its category; an event about a category has no product.
        let row = if row.0.is_some() { (row.0, json!(null)) } else { row };
        let before = last.insert(row, version).flatten();
        let follows = match event["type"].as_str() {
            Some("product.deleted") => version == before,
            Some("product.created") => before.is_none(),
            _ => before.is_none_or(|before| version == Some(before + 1)),
        };
        assert!(follows, "version {before:?} was before {event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_and_channel_have_every_event_once_in_order_per_product() {
    let _turn = turn().await;
    let (stores, _api, head) = started_at_head().await;
    let mut channel = stores.subscribe().await;
    write_from_four_sessions(&stores, 50).await;
    let stream = stores.whole_stream().await;
    assert_in_version_order(&stream);
    let announced: Vec<&Value> = stream.iter().filter(|event| seq(event) > head).collect();
    assert!(announced.len() > 150, "{}", announced.len());
    for event in announced {
        assert_eq!(channel.next().await, *event, "the channel says the same, in the same order");
    }
    channel.close().await;
}

/// No relay knows of the others, and none is a leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_relays_append_every_event_once() {
    let (_turn, stores) = Stores::in_turn().await;
    let apis = tokio::join!(stores.api(), stores.api(), stores.api());
    let apis = [apis.0, apis.1, apis.2].map(Arc::new);
    let head = stores.settled_head().await;
    let mut channel = stores.subscribe().await;
    let over_http = async {
        for round in 0..200 {
            let (id, price) = (21 + round % 40, 20_000 + round);
            let path = format!("/products/{}/{id}", ["explicit", "production"][round % 2]);
            apis[round % 3].put(&path, &json!({ "price_cents": price })).await.expect(200);
        }
    };
    let ((), ()) = tokio::join!(write_from_four_sessions(&stores, 500), over_http);
    let stream = stores.whole_stream().await;
    assert_in_version_order(&stream);
    let announced: Vec<&Value> = stream.iter().filter(|event| seq(event) > head).collect();
    assert!(announced.len() > 2_000, "{}", announced.len());
    let mut counts = [0.0; 3];
    for (count, api) in counts.iter_mut().zip(&apis) {
        *count = api.metrics().await.sum("relay_events_total", &[("stream", "product:events")]);
    }
    println!("{} events, relayed by {counts:?}", announced.len());
    for api in &apis {
        let said = api.process.output();
        assert!(!said.contains("the outbox cannot be read or written"), "they stand in one another's way: {said}");
    }
    for event in announced {
        assert_eq!(channel.next().await, *event);
    }
    channel.close().await;
}

/// At every point: between number and append, between append and done, in the middle of a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_a_killed_relay_is_continued_by_the_others_or_its_successor() {
    let (_turn, stores) = Stores::in_turn().await;
    let survivor = stores.api().await;
    let ends = Arc::new(AtomicBool::new(false));
    let kills = AtomicUsize::new(0);
    let killing = async {
        while !ends.load(SeqCst) {
            let victim = stores.api().await;
            let marked = stores.head().await;
            eventually("some events", SOON, async || ends.load(SeqCst) || stores.head().await > marked + 5).await;
            victim.process.kill9().await.expect("it is killed");
            kills.fetch_add(1, SeqCst);
        }
    };
    let writing = async {
        write_from_four_sessions(&stores, 500).await;
        // A busy machine starts few processes in that time.
        while kills.load(SeqCst) < 3 {
            write_from_four_sessions(&stores, 50).await;
        }
        ends.store(true, SeqCst);
    };
    tokio::join!(killing, writing);
    assert_in_version_order(&stores.whole_stream().await);
    // All of them at once.
    write_from_four_sessions(&stores, 30).await;
    survivor.process.kill9().await.expect("it is killed");
    stores.sql("UPDATE products SET featured = NOT featured").await;
    let _successor = stores.api().await;
    assert_in_version_order(&stores.whole_stream().await);
    println!("{kills:?} were killed");
}

/// Simulates a process that is killed between the two steps: a numbered row without a notification.
const LEFT_BEHIND: &str = "
    WITH head AS (UPDATE outbox_head SET seq = seq + 1 RETURNING seq)
    INSERT INTO outbox (event, seq)
    SELECT announce('product.updated', '{\"product_id\": 5, \"version\": 1, \"category_id\": 1, \"changed\": []}'), seq
    FROM head RETURNING seq";

async fn left_behind(stores: &Stores) -> i64 {
    stores.sql(LEFT_BEHIND).await.parse().expect("a number")
}

#[tokio::test]
async fn numbered_event_without_an_entry_is_found_by_polling_and_applied() {
    let (stores, api) = started_and_published().await;
    api.get("/products/production/5").await.expect(200);
    let number = left_behind(&stores).await;
    let stream = stores.whole_stream().await;
    assert_eq!(stream.last().map(seq), Some(number));
    assert!(!stores.has_entry("product:production:5").await, "the relay that publishes it also drops what it outdates");
}

/// Here too, the entries are removed before the event is appended.
#[tokio::test]
async fn numbered_event_without_an_entry_is_appended_before_later_events() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("RELAY__POLL", "1h")]).await;
    let mut expected = stores.settled_head().await;
    for stock in 0..3 {
        api.get("/products/production/5").await.expect(200);
        for _ in 0..=stock {
            left_behind(&stores).await;
        }
        stores.sql(&format!("UPDATE products SET stock = 900 + {stock} WHERE id = 1")).await;
        expected += 2 + stock;
        eventually("the last one", SOON, async || stores.stream().await.last().map(seq) == Some(expected)).await;
        assert!(!stores.has_entry("product:production:5").await, "it was outdated by what was left behind");
    }
}

/// Numbers are assigned under one lock: a relay that waited for it continues after the numbers of the other relay, not
/// where it began to wait.
#[tokio::test]
async fn relay_that_waited_for_the_lock_continues_after_the_other_relay() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("RELAY__POLL", "1h")]).await;
    stores.until_published().await;
    let mut other = stores.connect().await;
    for round in 0..3 {
        other.batch_execute(&format!("BEGIN; {LEFT_BEHIND}")).await.expect("no relay numbers now");
        stores.sql(&format!("UPDATE products SET stock = 900 + {round} WHERE id = 1")).await;
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND application_name = 'relay' AND wait_event_type = 'Lock'";
        eventually("the relay to wait", SOON, async || stores.sql(waiting).await == "1").await;
        other.batch_execute("COMMIT").await.expect("its session lives");
        let head = async || stores.head().await;
        eventually("both", SOON, async || stores.stream().await.last().map(seq) == Some(head().await)).await;
        assert_eq!(head().await, 142 + 2 * (round + 1));
    }
    assert!(!api.process.output().contains("starts again"), "{}", api.process.output());
}

/// The seed itself is published, for any number of concurrent starts.
#[tokio::test]
async fn first_start_publishes_the_seeded_catalogue() {
    let stores = Stores::start().await;
    let _apis = tokio::join!(stores.api(), stores.api(), stores.api());
    let stream = stores.whole_stream().await;
    assert_eq!(stream.len(), 142);
    assert!(stream[..12].iter().all(|event| event["type"] == "category.updated"));
    assert!(stream[12..].iter().all(|event| event["type"] == "product.created"));
}
