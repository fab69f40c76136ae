//! The cart fetches missed events with the token of the operations routes, and no route shows the id of a cart.
//! The inspection of the cache, and metrics.

use reqwest::Method;
use serde_json::json;
use testkit::eventually;

use crate::support::{CartOf, SOON, Stores, started};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn token_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), TOKEN).expect("it is written");
    file
}

/// The stream is lost and refilled from another service's log, which requires the token: with it, no change is missed.
#[tokio::test]
async fn missed_events_are_fetched_with_the_token() {
    let stores = Stores::start().await;
    let file = token_file();
    let settings = [("OPERATIONS__TOKEN_FILE", file.path().to_str().expect("a plain path"))];
    let api = stores.product_api_with(&settings).await;
    let service = stores.cart_with(api.url(), &settings).await;
    let cart = CartOf::with(&service, &[1]).await;
    cart.cached().await;
    let id = cart.id.clone();
    service.stop().await;
    // A gap in the stream: the first of two events is gone before the cart has read it.
    for (product, cents) in [(1, 4_242), (2, 4_343)] {
        api.put(&format!("/products/{product}"), &json!({ "price_cents": cents })).await.expect(200);
    }
    let announced = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
    eventually("both to be announced", SOON, async || stores.shop_sql(announced).await == "0").await;
    let forget = "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 2)
                  return redis.call('XDEL', KEYS[1], last[2][1])";
    assert_eq!(stores.redis(&["EVAL", forget, "1", "product:events"]).await, "1");

    let service = stores.cart_with(api.url(), &settings).await;
    let cart = CartOf { service: &service, id };
    stores.until_price(&cart, 1, 4_242).await;
}

/// Returns the keys whose strings, hashes, sets and sorted sets contain a text.
const KEYS_WITH_TEXT: &str = "
    local read = { string = { 'GET' }, hash = { 'HGETALL' }, set = { 'SMEMBERS' }, zset = { 'ZRANGE', 0, -1 } }
    local found = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
      local command = read[redis.call('TYPE', key).ok]
      local value = command and redis.call(command[1], key, unpack(command, 2)) or {}
      if string.find(type(value) == 'table' and table.concat(value, ' ') or value, ARGV[1], 1, true) then
        found[#found + 1] = key
      end
    end
    return found";

#[tokio::test]
async fn no_operations_route_and_no_log_shows_the_id_of_a_cart() {
    let (stores, fake) = Stores::with_fake(2).await;
    let service = stores.cart_with(fake.url(), &[("LOG__FILTER", "trace")]).await;
    let cart = CartOf::at(&service).await;
    let mut feed = service.request(Method::GET, "/cache/feed").send().await.expect("a stream");
    cart.put(1, 1).await.expect(201);
    stores.until_published().await;
    cart.cached().await;
    let entries = service.get("/cache/entries").await.expect(200).text();
    let keys = stores.redis(&["KEYS", "*"]).await;
    let holders = stores.redis(&["EVAL", KEYS_WITH_TEXT, "0", &cart.id]).await;
    assert_eq!(holders, cart.key(), "only the view itself contains the id (ADR 16)");
    cart.put(1, 2).await.expect(200);
    cart.remove(1).await.expect(204);
    stores.until_published().await;
    // Refusals and failures log their path.
    service.get(&format!("/carts/{}/nothing", cart.id)).await.problem(404, "not-found");
    let events = service.get("/events?after=0").await.expect(200).text();
    let stream = stores.redis(&["XRANGE", "cart:events", "-", "+"]).await;
    let metrics = service.get("/metrics").await.expect(200).text();
    let mut told = String::new();
    eventually("the feed to tell of the write", SOON, async || {
        let chunk = feed.chunk().await.expect("the stream goes on").expect("it has no end");
        told.push_str(&String::from_utf8_lossy(&chunk));
        told.contains("\"kind\":\"invalidate\"") && told.contains("\"kind\":\"fill\"")
    })
    .await;
    let log = service.process.output();
    // As the client of Postgres prints a parameter.
    let bytes = format!("{:?}", cart.id.parse::<uuid::Uuid>().expect("an id").as_bytes());
    for (what, text) in [
        ("/cache/entries", &entries),
        ("/events", &events),
        ("the stream", &stream),
        ("keys", &keys),
        ("/metrics", &metrics),
        ("/cache/feed", &told),
        ("the log", &log),
    ] {
        for form in [&cart.id, &bytes] {
            let shown = text.lines().find(|line| line.contains(form));
            assert_eq!(shown, None, "{what} shows the cart's id");
        }
    }
    for (what, text) in
        [("/events", &events), ("the stream", &stream), ("keys", &keys), ("/cache/feed", &told), ("the log", &log)]
    {
        assert!(text.contains(&cart.reference()), "{what} does not name the cart at all: {text}");
    }
}

#[tokio::test]
async fn cache_entries_can_be_inspected_and_exclude_streams() {
    let (stores, _fake, service) = started(2).await;
    let cart = CartOf::with(&service, &[1, 2]).await;
    stores.until_published().await;
    cart.view().await.expect(200);
    let view = service.get(&format!("/cache/stats/{}", cart.key())).await.expect(200).json();
    assert_eq!((&view["state"], &view["tags"]), (&json!("fresh"), &json!(["product:1", "product:2"])));
    let fact = service.get("/cache/stats/cart:product:1").await.expect(200).json();
    assert_eq!(fact["version"], 1);
    let entries = service.get("/cache/entries").await.expect(200).json();
    let mut names: Vec<_> =
        entries["entries"].as_array().expect("a list").iter().map(|it| it["key"].to_string()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    service.get("/cache/stats/cart:events").await.problem(404, "not-found");
}

#[tokio::test]
async fn metrics_cover_reads_of_both_caches_the_relay_and_events() {
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    let seq = fake.publish(&stores.redis, "product.updated", 1, 1).await;
    stores.until_applied("product:events", seq).await;
    for _ in 0..3 {
        cart.view().await.expect(200);
    }
    assert!(service.metric("cache_reads_total", "lane=\"view\"").await >= 3.0);
    assert!(service.metric("cache_reads_total", "lane=\"product\"").await >= 1.0);
    assert!(service.metric("relay_events_total", "stream=\"cart:events\"").await >= 1.0);
    assert!(service.metric("events_applied_total", "stream=\"product:events\"").await >= 1.0);
}
