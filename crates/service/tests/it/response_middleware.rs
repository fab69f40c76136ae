//! The rules for every response: HEAD is handled like GET, and `Cache-Control` is always present.

use std::convert::Infallible;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::pending;
use reqwest::{Method, Response};
use service::health::Readiness;
use service::problem::Problem;
use service::response::{CacheResponse, WrittenValidator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::support::{Running, exchange, settings, standard, start};

async fn row(request: HttpRequest) -> HttpResponse {
    CacheResponse::start("shop").row(&request, &"a row", 7)
}

async fn chosen() -> HttpResponse {
    let chosen = ("cache-control", "max-age=5, stale-while-revalidate=10");
    HttpResponse::Ok().insert_header(chosen).insert_header(("etag", "\"1\"")).body("a row")
}

async fn unvalidated() -> HttpResponse {
    HttpResponse::Ok().body("a value")
}

async fn failing() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("there is no such row"))
}

fn server() -> Running {
    let routes = standard(Readiness::new(CancellationToken::new()));
    start(&settings(), move |cfg| {
        routes.configure(cfg);
        cfg.service(
            web::resource("/row")
                .get(row)
                .put(|| async { CacheResponse::start("shop").written(&1, WrittenValidator::Row(8), "announced") }),
        )
        .service(web::resource("/chosen").get(chosen))
        .service(web::resource("/failing").get(failing))
        .service(web::resource("/unvalidated").get(unvalidated))
        .route(
            "/stream",
            web::get().to(|| async { HttpResponse::Ok().streaming(pending::<Result<Bytes, Infallible>>()) }),
        )
        .service(web::resource("/writes").post(|| async { CacheResponse::start("shop").deleted("announced") }));
    })
}

async fn send(server: &Running, method: Method, path: &str) -> Response {
    reqwest::Client::new().request(method, server.url(path)).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn head_response_has_status_and_headers_of_get_and_no_body() {
    let server = server();
    for path in [
        "/row", "/chosen", "/failing", "/unvalidated", "/nowhere", "/livez", "/readyz", "/metrics", "/docs", "/docs/",
        "/openapi.json", "/problems/not-found",
    ] {
        let (get, head) = (send(&server, Method::GET, path).await, send(&server, Method::HEAD, path).await);
        assert_eq!(get.status(), head.status(), "{path}");
        for name in ["content-type", "cache-control", "etag", "allow", "location"] {
            assert_eq!(header(&get, name), header(&head, name), "{path}: {name}");
        }
        // The metrics grow with each request.
        if path != "/metrics" {
            assert_eq!(header(&get, "content-length"), header(&head, "content-length"), "{path}");
        }
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
}

/// The client would read a body after HEAD as the next response.
#[tokio::test]
async fn head_response_leaves_no_bytes_on_the_connection() {
    let server = server();
    let mut stream = server.connect().await;
    // The stream has no end: with its body, the response would hold up the next request.
    for (path, status) in [("/row", "200"), ("/nowhere", "404"), ("/stream", "200")] {
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    let answer = exchange(&mut stream, "GET /row HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\"a row\""), "{answer}");
}

#[tokio::test]
async fn allow_header_lists_head_with_get_and_always_options() {
    let server = server();
    for (path, allow) in [
        ("/row", "GET, HEAD, PUT, OPTIONS"),
        ("/failing", "GET, HEAD, OPTIONS"),
        ("/writes", "POST, OPTIONS"),
        ("/livez", "GET, HEAD, OPTIONS"),
    ] {
        let refused = send(&server, Method::PATCH, path).await;
        assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, allow), "{path}");
        let problem: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(problem["detail"], format!("{path} has {allow}, not PATCH."));
    }
    let refused = send(&server, Method::HEAD, "/writes").await;
    assert_eq!((refused.status().as_u16(), header(&refused, "allow")), (405, "POST, OPTIONS"));
}

#[tokio::test]
async fn options_is_answered_with_the_methods_of_the_route() {
    let server = server();
    for (path, allow) in [("/row", "GET, HEAD, PUT, OPTIONS"), ("/writes", "POST, OPTIONS")] {
        let methods = send(&server, Method::OPTIONS, path).await;
        assert_eq!((methods.status().as_u16(), header(&methods, "allow")), (204, allow), "{path}");
        assert_eq!(header(&methods, "cache-control"), "no-store");
        assert!(methods.bytes().await.unwrap().is_empty(), "{path}");
    }
    let unknown = send(&server, Method::OPTIONS, "/nowhere").await;
    assert_eq!((unknown.status().as_u16(), header(&unknown, "allow")), (404, ""));
}

#[tokio::test]
async fn metrics_count_head_requests_as_head() {
    let server = server();
    send(&server, Method::HEAD, "/row").await;
    let (_, text) = server.get("/metrics").await;
    let series = r#"http_request_duration_seconds_count{route="/row",method="HEAD",status="2xx"} "#;
    assert!(text.contains(series), "{text}");
}

/// Such a request does not reach the middleware. No other test sends one with this method.
#[tokio::test]
async fn metrics_count_requests_that_are_refused_before_100_continue() {
    let server = server();
    let head = "PATCH /row HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n";
    let refused = exchange(&mut server.connect().await, head).await;
    assert!(refused.starts_with("HTTP/1.1 413 ") && refused.contains("cache-control: no-store\r\n"), "{refused}");
    let (_, text) = server.get("/metrics").await;
    let series = r#"http_request_duration_seconds_count{route="unmatched",method="PATCH",status="4xx"} "#;
    assert!(text.contains(series), "{text}");
}

#[tokio::test]
async fn every_response_has_cache_control() {
    let server = server();
    for (method, path, expected) in [
        (Method::GET, "/row", "no-cache"),
        (Method::HEAD, "/row", "no-cache"),
        (Method::PUT, "/row", "no-store"),
        (Method::PATCH, "/row", "no-store"),
        (Method::GET, "/chosen", "max-age=5, stale-while-revalidate=10"),
        (Method::GET, "/unvalidated", "no-store"),
        (Method::POST, "/writes", "no-store"),
        (Method::GET, "/failing", "no-store"),
        (Method::GET, "/nowhere", "no-store"),
        (Method::GET, "/livez", "no-store"),
        (Method::GET, "/readyz", "no-store"),
        (Method::GET, "/metrics", "no-store"),
        (Method::GET, "/docs/", "no-store"),
    ] {
        let response = send(&server, method.clone(), path).await;
        assert_eq!(header(&response, "cache-control"), expected, "{method} {path}");
    }
    let request = reqwest::Client::new().get(server.url("/row")).header("if-none-match", "*");
    let unchanged = request.send().await.unwrap();
    assert_eq!((unchanged.status().as_u16(), header(&unchanged, "cache-control")), (304, "no-cache"));
}
