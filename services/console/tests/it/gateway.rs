//! Requests to services, as the gateway forwards them.

use reqwest::Method;
use serde_json::json;
use testkit::eventually;
use testkit::http::Service;
use testkit::private_system::Service as ShopService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{SOON, System};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

async fn exchange(mut stream: tokio::net::TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer in UTF-8");
    answer
}

#[tokio::test]
async fn forwarded_requests_are_answered_as_the_service_answers_them() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), TOKEN).expect("it is written");
    let path = file.path().to_str().expect("a plain path").to_owned();
    let system = System::start(&[("OPERATIONS__TOKEN_FILE", &path)]).await;
    // The services require the token, and the console has it.
    let mut command = System::command(&system.services, &[]);
    command.env("OPERATIONS__TOKEN_FILE", &path);
    let console = Service::start(&command).await;
    let api = system.services.url(ShopService::ProductApi);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");

    let direct = client.get(format!("{api}/products/1")).send().await.expect("an answer");
    let forwarded = console.get("/api/product-api/products/1").await.expect(200);
    assert_eq!(direct.headers()["etag"], forwarded.header("etag"));
    assert_eq!(direct.bytes().await.expect("a body"), forwarded.body);

    let first = console.get("/api/product-api/products/production/1").await.expect(200);
    assert!(first.header("cache-status").starts_with("product-api;"), "{first:?}");
    let unchanged = console.request(Method::GET, "/api/product-api/products/production/1");
    let unchanged = Service::send(unchanged.header("if-none-match", first.header("etag"))).await;
    assert_eq!(unchanged.status, 304);
    let written = console.put("/api/product-api/products/production/1", &json!({ "stock": 7 })).await.expect(200);
    assert!(!written.header("x-consistency-token").is_empty());
    let read = console.get_after("/api/product-api/products/production/1", &written).await.expect(200);
    assert_eq!(read.json()["stock"], 7);
    let conflict = console.request(Method::PUT, "/api/product-api/products/1").json(&json!({ "stock": 8 }));
    Service::send(conflict.header("if-match", first.header("etag"))).await.problem(412, "precondition-failed");

    // Each line of a repeated header counts, as in a direct request.
    let tag = console.get("/api/product-api/products/1").await.expect(200).header("etag").to_owned();
    let token = written.header("x-consistency-token");
    for (path, name, other, same, status) in [
        ("/products/1", "if-none-match", "\"other\"", &*tag, 304),
        ("/products/1", "if-match", "\"other\"", &*tag, 200),
        ("/products/production/1", "x-consistency-token", token, token, 400),
    ] {
        let direct = client.get(format!("{api}{path}")).header(name, other).header(name, same);
        let forwarded = console.request(Method::GET, &format!("/api/product-api{path}"));
        let forwarded = Service::send(forwarded.header(name, other).header(name, same)).await;
        let direct = direct.send().await.expect("an answer").status();
        assert_eq!((direct.as_u16(), forwarded.status), (status, status), "{name}");
    }

    // Operations routes: the console's token, and never the page's.
    let status = client.get(format!("{api}/cache/entries")).send().await.expect("an answer").status();
    assert_eq!(status, 401, "the service itself requires the token");
    // Redis may answer too late on a busy machine, and the relay's invalidation may come after the read.
    let entries = eventually("entries", SOON, async || {
        console.get("/api/product-api/products/explicit/1").await.expect(200);
        let answer = console.get("/api/product-api/cache/entries").await;
        let has_entries = || answer.json()["entries"].as_array().is_some_and(|entries| !entries.is_empty());
        (answer.status == 200 && has_entries()).then_some(answer)
    })
    .await;
    for answer in [&entries, &first, &console.get("/config.json").await] {
        assert!(!answer.text().contains(TOKEN), "the page learns the token");
    }
    let removed =
        console.post("/api/product-api/cache/invalidations", &json!({ "keys": ["product:production:1"] })).await;
    assert!([200, 202].contains(&removed.status), "{removed:?}");
    assert!(!console.process.output().contains(TOKEN), "the log shows the token");

    console.get("/api/nothing/products/1").await.problem(404, "not-found");
    console.get("/api/product-api/cache/feed").await.problem(404, "not-found");
    console.get("/api/product-api/nothing").await.problem(404, "not-found");
    for detour in
        ["/products/../cache/feed", "/products/%2e%2e/cache/feed", "/cache/%66eed", "/%63ache/feed", "/%63ache/%66eed"]
    {
        // A client library would resolve the dots itself.
        let stream = tokio::net::TcpStream::connect(console.address()).await.expect("a connection");
        let request = format!("GET /api/product-api{detour} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = exchange(stream, &request).await;
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{detour}: {answer}");
    }
    let created = console.post("/api/cart/carts", &json!({})).await.expect(201);
    assert!(created.header("location").starts_with("/carts/"));
}
