//! The database is restored from an older backup while Redis stays up: numbers are assigned again, to other events.

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{SOON, STREAM, Stores, seq, started, started_and_published};

/// Removes the last `count` events, as a backup from before them would. Their changes stay, which makes no difference
/// to the log.
pub(crate) async fn restore(stores: &Stores, count: i64) {
    let head = stores.head().await;
    stores.sql(&format!("DELETE FROM outbox WHERE seq > {}", head - count)).await;
    stores.sql(&format!("UPDATE outbox_head SET seq = {}", head - count)).await;
}

/// Waits until the stream ends with the last assigned number.
async fn until_caught_up(stores: &Stores) {
    eventually("the stream", SOON, async || {
        let head = stores.settled_head().await;
        stores.stream().await.last().map(seq) == Some(head)
    })
    .await;
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn relay_replaces_the_stream_of_a_lost_history_whatever_its_height() {
    // Below the old height, at it, and above it; also numbered by a relay that cannot append.
    for (lost, changed, without_stream) in [(5, 4, false), (5, 5, false), (5, 6, false), (5, 6, true), (142, 3, false)]
    {
        let (stores, api) = started().await;
        let before = stores.whole_stream().await;
        api.get("/products/explicit/1").await.expect(200);
        api.get("/products/ttl/1").await.expect(200);
        api.process.kill9().await.expect("it is killed");
        restore(&stores, lost).await;
        stores.sql(&format!("UPDATE products SET stock = 907 WHERE id <= {changed}")).await;
        let api = if without_stream {
            stores.redis(&["ACL", "SETUSER", "product-api", "-xinfo|stream"]).await;
            let api = stores.api_with(&[("REDIS__COMMAND_TIMEOUT", "200ms")]).await;
            stores.until_numbered_and_waiting(usize::try_from(changed).expect("a few")).await;
            stores.redis(&["ACL", "SETUSER", "product-api", "+xinfo|stream"]).await;
            api
        } else {
            stores.api().await
        };
        until_caught_up(&stores).await;
        let stream = stores.whole_stream().await;
        let kept = before.len() - usize::try_from(lost).expect("a few");
        assert_eq!(ids(&stream[..kept]), ids(&before[..kept]), "what was before the backup is the same");
        assert_eq!(stream.len(), kept + usize::try_from(changed).expect("a few"));
        // The service's own entries may belong to the lost history.
        for lane in ["explicit", "ttl"] {
            let read = api.get(&format!("/products/{lane}/1")).await.expect(200).json();
            assert_eq!(read["stock"], 907, "{lane}");
        }
    }
}

#[tokio::test]
async fn relay_that_keeps_running_notices_a_head_that_was_lowered() {
    let stores = Stores::start().await;
    let _apis = tokio::join!(stores.api(), stores.api());
    for round in 0..3 {
        stores.until_published().await;
        let head = stores.head().await;
        let restore = format!(
            "BEGIN; DELETE FROM outbox WHERE seq > {0}; UPDATE outbox_head SET seq = {0};
             UPDATE products SET stock = 900 + {round} WHERE id <= 6; COMMIT",
            head - 5
        );
        stores.sql(&restore).await;
        until_caught_up(&stores).await;
        assert_eq!(stores.whole_stream().await.len() as i64, head + 1);
    }
}

#[tokio::test]
async fn restarted_relay_keeps_the_stream() {
    let (stores, api) = started_and_published().await;
    stores.redis(&["XGROUP", "CREATE", STREAM, "other", "0"]).await;
    api.process.kill9().await.expect("it is killed");
    for round in 0..3 {
        stores.sql(&format!("UPDATE products SET stock = 900 + {round} WHERE id = 1")).await;
        let api = stores.api().await;
        until_caught_up(&stores).await;
        assert!(stores.redis(&["XINFO", "GROUPS", STREAM]).await.contains("other"), "the stream was removed");
        api.process.kill9().await.expect("it is killed");
    }
    assert_eq!(stores.sql("SELECT count(*) FROM outbox_epochs").await, "4");
}

#[tokio::test]
async fn log_says_whether_an_event_is_part_of_its_history() {
    let (stores, api) = started_and_published().await;
    let page = api.get("/events?after=141").await.expect(200).json();
    let before = page["epoch"].as_str().expect("an epoch").to_owned();
    assert_eq!((&page["events"][0]["epoch"], &page["head"]), (&json!(before), &json!(142)));
    api.process.kill9().await.expect("it is killed");
    restore(&stores, 5).await;
    stores.sql("UPDATE products SET stock = 907 WHERE id <= 6").await;
    let api = stores.api().await;
    stores.until_published().await;
    let epoch = api.get("/events?after=143").await.expect(200).json()["epoch"].as_str().expect("an epoch").to_owned();
    for (after, epoch, is_part) in [
        (137, &before, true),
        (1, &before, true),
        (138, &before, false),
        (143, &before, false),
        (143, &epoch, true),
        (138, &epoch, true),
        (144, &epoch, false),
        (1, &"01936f2e-7b3c-7000-8000-000000000000".to_owned(), false),
    ] {
        let answer = api.get(&format!("/events?after={after}&epoch={epoch}")).await;
        match is_part {
            true => drop(answer.expect(200)),
            false => drop(answer.problem(409, "conflict")),
        }
    }
    api.get("/events?after=1&epoch=one").await.problem(400, "malformed");
}
