//! `/cache/feed`: the effects of reads and writes of the product API on its entries, as a live page receives them.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Api, SOON, Stores, started, started_and_published};

/// An open event stream.
struct Feed {
    response: Response,
    text: String,
}

impl Feed {
    /// Opens the stream and receives its first record.
    async fn of(api: &Api, query: &str) -> Self {
        let response = api.request(Method::GET, &format!("/cache/feed{query}")).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let mut feed = Self { response, text: String::new() };
        assert_eq!(feed.next().await["kind"], "begin");
        feed
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let data = message.lines().find_map(|line| line.strip_prefix("data: "));
                let record = data.map(|data| serde_json::from_str(data).expect("a record is JSON"));
                self.text = rest.to_owned();
                match record {
                    Some(record) => return record,
                    None => continue,
                }
            }
            let chunk = timeout(SOON, self.response.chunk()).await.expect("something happens").expect("a stream");
            self.text.push_str(std::str::from_utf8(&chunk.expect("it goes on")).expect("text"));
        }
    }

    /// Receives the next records and compares them with `[kind, key]` each.
    async fn hears<const N: usize>(&mut self, expected: [[&str; 2]; N]) {
        for [kind, key] in expected {
            let record = self.next().await;
            assert_eq!((&record["kind"], &record["key"]), (&json!(kind), &json!(key)), "{record}");
        }
    }
}

#[tokio::test]
async fn feed_shows_reads_and_writes_as_they_happen() {
    let (_stores, api) = started_and_published().await;
    let mut feed = Feed::of(&api, "?lane=explicit&kind=hit,miss,fill,refused,stale").await;
    let mut invalidations = Feed::of(&api, "?kind=invalidate").await;
    let entry = "product:explicit:1";

    api.get("/products/explicit/1").await.expect(200);
    api.get("/products/ttl/1").await.expect(200);
    api.get("/products/explicit/1").await.expect(200);
    feed.hears([["miss", entry], ["fill", entry], ["hit", entry]]).await;

    api.put("/products/explicit/1", &json!({ "stock": 7 })).await.expect(200);
    // The writer and the relay both invalidate the entry, in either order, and the relay names its lists as well. The first of
    // them removes it.
    let removes = |record: &Value| record["keys"].as_array().is_some_and(|keys| keys.contains(&json!(entry)));
    let mut invalidation = invalidations.next().await;
    while !removes(&invalidation) || invalidation["entries"] == 0 {
        invalidation = invalidations.next().await;
    }
    assert_eq!(invalidation["entries"], 1, "{invalidation}");
    api.get("/products/explicit/1").await.expect(200);
    feed.hears([["miss", entry], ["fill", entry]]).await;
}

#[tokio::test]
async fn feed_shows_an_event_when_the_listener_receives_it() {
    let (stores, api) = started().await;
    let mut feed = Feed::of(&api, "?kind=event").await;
    stores.sql("UPDATE products SET stock = stock + 1 WHERE id = 5").await;
    let mut event = feed.next().await;
    // The last event of the seed may arrive after the start.
    while event["name"] != "product.updated" {
        event = feed.next().await;
    }
    assert_eq!(event["about"], "product:5", "{event}");
    assert!(event["seq"].as_u64().is_some_and(|seq| seq > 0), "{event}");
}

/// The limit protects the service, so its use is no failure of the service.
#[tokio::test]
async fn refused_subscribers_are_not_logged_as_failures() {
    let (_stores, api) = started().await;
    let mut open = Vec::new();
    let refused = loop {
        let response = api.request(Method::GET, "/cache/feed").send().await.expect("an answer");
        match response.status().as_u16() {
            200 => open.push(response),
            status => break status,
        }
        assert!(open.len() < 1000, "there is no limit");
    };
    assert_eq!(refused, 503);
    let output = api.process.output();
    assert!(!output.contains("ERROR") && !output.contains("/cache/feed"), "{output}");
}

/// The grace time is longer than the test's timeout, so the stream itself must end.
#[tokio::test]
async fn an_open_feed_does_not_hold_up_a_stop() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("HTTP__GRACE", "60s")]).await;
    let mut feed = Feed::of(&api, "").await;
    let exit = api.process.term().await.expect("it ends");
    assert!(exit.code == 0 && exit.took < Duration::from_secs(20), "{exit:?}");
    while timeout(SOON, feed.response.chunk()).await.expect("it ends").is_ok_and(|chunk| chunk.is_some()) {}
}
