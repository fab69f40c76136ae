//! `/cache/feed` from the client's view: server-sent events that can be resumed and filtered, and that end with the
//! process.

use std::time::Duration;

use cache::{CacheClient, CacheSettings, Keyspace};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use service::cache_routes;
use service::server::HttpSettings;
use tokio::time::timeout;

use crate::support::{Running, settings, start};

/// Long enough for a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Stream {
    response: Response,
    text: String,
}

/// The feed needs no Redis, so these tests run without one.
async fn cache() -> CacheClient {
    let settings = CacheSettings { url: "redis://127.0.0.1:1/0".to_owned(), ..CacheSettings::default() };
    CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings).await.unwrap()
}

fn served(cache: &CacheClient) -> Running {
    served_with(cache, &settings())
}

fn served_with(cache: &CacheClient, settings: &HttpSettings) -> Running {
    let cache = cache.clone();
    start(settings, move |cfg| cache_routes::configure(&cache, cfg))
}

fn asked(server: &Running, query: &str) -> RequestBuilder {
    reqwest::Client::builder().no_proxy().build().unwrap().get(server.url(&format!("/cache/feed{query}")))
}

impl Stream {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, text: String::new() }
    }

    /// Returns the next message: its id and its record.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let found = field("data: ").map(|data| (field("id: ").unwrap(), serde_json::from_str(&data).unwrap()));
                self.text = rest.to_owned();
                if found.is_some() {
                    return found;
                }
                continue;
            }
            let chunk = timeout(LIMIT, self.response.chunk()).await.expect("nothing comes").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn record(&mut self) -> Value {
        self.next().await.expect("it goes on").1
    }
}

#[tokio::test]
async fn feed_streams_records_and_resumes_after_the_last_event_id() {
    let cache = cache().await;
    let server = served(&cache);
    let mut stream = Stream::of(asked(&server, "")).await;
    assert_eq!(stream.record().await["resumed"], false);
    cache.feed().event("item.changed", Some(1), "item:1");
    let (id, event) = stream.next().await.unwrap();
    assert_eq!((&event["kind"], &event["name"], &event["seq"]), (&json!("event"), &json!("item.changed"), &json!(1)));
    drop(stream);
    cache.feed().event("item.changed", Some(2), "item:1");

    let mut again = Stream::of(asked(&server, "").header("Last-Event-ID", &id)).await;
    let (begun, begin) = again.next().await.unwrap();
    assert_eq!((begin["kind"].as_str(), begin["resumed"].as_bool(), begun), (Some("begin"), Some(true), id));
    assert_eq!(again.record().await["seq"], 2, "what happened while it was away");

    let mut stranger = Stream::of(asked(&server, "").header("Last-Event-ID", "000000000000-1")).await;
    assert_eq!(stranger.record().await["resumed"], false);
}

#[tokio::test]
async fn feed_sends_only_the_requested_kinds() {
    let cache = cache().await;
    let server = served(&cache);
    let mut events = Stream::of(asked(&server, "?kind=event,invalidate")).await;
    let mut hits = Stream::of(asked(&server, "?kind=hit")).await;
    assert_eq!((&events.record().await["kind"], &hits.record().await["kind"]), (&json!("begin"), &json!("begin")));
    cache.feed().event("item.changed", None, "item:1");
    assert_eq!(events.record().await["about"], "item:1");
    let silent = timeout(Duration::from_millis(100), hits.response.chunk()).await;
    assert!(silent.is_err(), "an event is no hit");

    for (query, status) in [("?kind=hits", 422), ("?kind=", 422), ("?kinds=hit", 400)] {
        let refused = asked(&server, query).send().await.unwrap();
        assert_eq!(refused.status(), status, "{query}");
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn feed_refuses_subscribers_above_the_limit_with_retry_after() {
    let cache = cache().await;
    let server = served(&cache);
    let mut listeners = Vec::new();
    while let Ok(listener) = cache.feed().subscribe(None) {
        listeners.push(listener);
    }
    let refused = asked(&server, "").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    listeners.pop();
    assert_eq!(asked(&server, "").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn head_request_opens_no_feed_stream() {
    let cache = cache().await;
    let server = served(&cache);
    let mut listeners = Vec::new();
    while let Ok(listener) = cache.feed().subscribe(None) {
        listeners.push(listener);
    }
    // The number of subscribers is at its limit, and HEAD does not subscribe.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let head = client.head(server.url("/cache/feed")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    assert_eq!(head.headers()["cache-control"], "no-store");
    assert!(timeout(LIMIT, head.bytes()).await.expect("it ends").unwrap().is_empty());
}

/// The grace period is longer than the test's limit, so the test fails if the stream continues.
#[tokio::test]
async fn open_feed_stream_ends_when_the_process_shuts_down() {
    let cache = cache().await;
    let mut server = served_with(&cache, &HttpSettings { grace: 2 * LIMIT, ..settings() });
    let mut stream = Stream::of(asked(&server, "")).await;
    stream.record().await;
    server.shutdown.cancel();
    assert!(timeout(LIMIT, stream.next()).await.expect("it goes on").is_none());
    server.ended().await.unwrap();
}
