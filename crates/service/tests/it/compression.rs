//! Larger texts are compressed for clients that accept it; all other responses are not compressed.

use std::convert::Infallible;
use std::io::Read;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::read::GzDecoder;
use futures_util::{StreamExt, stream};
use reqwest::{Method, Response};
use service::health::Readiness;
use service::response::CacheResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Running, settings, standard, start};

const LARGE: usize = 5000;
/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

async fn row(request: HttpRequest, length: web::Path<usize>) -> HttpResponse {
    CacheResponse::start("shop").row(&request, &"a".repeat(*length), 7)
}

async fn events() -> HttpResponse {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from(format!("data: {}\n\n", "a".repeat(LARGE))))]);
    HttpResponse::Ok().content_type("text/event-stream").streaming(first.chain(stream::pending()))
}

async fn lines() -> HttpResponse {
    let lines = stream::iter(["one\n", "two\n"].map(|line| Ok::<_, Infallible>(Bytes::from_static(line.as_bytes()))));
    HttpResponse::Ok().content_type("text/plain").streaming(lines)
}

fn server() -> Running {
    let routes = standard(Readiness::new(CancellationToken::new()));
    start(&settings(), move |cfg| {
        routes.configure(cfg);
        cfg.service(web::resource("/rows/{length}").get(row))
            .route("/events", web::get().to(events))
            .route("/lines", web::get().to(lines))
            .route(
                "/image",
                web::get().to(|| async { HttpResponse::Ok().content_type("image/png").body(vec![0; LARGE]) }),
            );
    })
}

async fn ask(server: &Running, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = headers
        .iter()
        .fold(client.request(method, server.url(path)), |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

async fn get(server: &Running, path: &str, accept: &str) -> Response {
    ask(server, Method::GET, path, &[("accept-encoding", accept)]).await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn unzipped(response: Response) -> String {
    unzip(&response.bytes().await.unwrap())
}

fn unzip(body: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

/// Sends these lines, and returns head and body of the response, which ends with the connection.
async fn until_close(server: &Running, lines: &str) -> (String, Vec<u8>) {
    let mut stream = server.connect().await;
    stream.write_all(format!("{lines}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.expect("the server closes the connection").unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
}

#[tokio::test]
async fn only_clients_that_accept_gzip_receive_gzip() {
    let server = server();
    let path = format!("/rows/{LARGE}");
    for (accept, encoding) in [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0.5, identity;q=0.1", "gzip"),
        ("identity", ""),
        ("", ""),
        ("br", ""),
        ("gzip;q=0", ""),
        ("*;q=0", ""),
        ("gzip;q=0, *", ""),
        ("gzip;q=0.1, identity;q=0.5", ""),
        ("\u{fe}nonsense;;q=x", ""),
    ] {
        let response = get(&server, &path, accept).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-encoding")), (200, encoding), "{accept}");
        assert_eq!(header(&response, "vary"), "accept-encoding", "{accept}");
        assert_eq!(header(&response, "etag").ends_with("-gzip\""), encoding == "gzip", "{accept}");
        let text = if encoding == "gzip" { unzipped(response).await } else { response.text().await.unwrap() };
        assert_eq!(text.len(), LARGE + 2, "{accept}");
    }
    let response = ask(&server, Method::GET, &path, &[]).await;
    assert_eq!(header(&response, "content-encoding"), "");
    assert_eq!(response.text().await.unwrap().len(), LARGE + 2);
}

#[tokio::test]
async fn small_bodies_images_and_streams_are_not_compressed() {
    let server = server();
    for path in ["/rows/1000", "/image", "/livez"] {
        let response = get(&server, path, "gzip").await;
        assert_eq!((header(&response, "content-encoding"), header(&response, "vary")), ("", ""), "{path}");
        assert!(response.content_length().is_some_and(|length| length > 0), "{path}");
    }
    let mut response = get(&server, "/events", "gzip").await;
    assert_eq!(header(&response, "content-encoding"), "");
    // The chunk arrives although the stream has not ended.
    let first = timeout(TIMEOUT, response.chunk()).await.expect("a stream is not gathered").unwrap();
    assert!(first.unwrap().starts_with(b"data: aaa"));
}

/// HTTP/1.0 knows no chunks, and after a request for a websocket the server writes none.
#[tokio::test]
async fn clients_that_cannot_read_chunks_receive_a_body_that_ends_with_the_connection() {
    let server = server();
    for request in [
        "HTTP/1.0",
        "HTTP/1.0\r\nConnection: keep-alive",
        "HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket",
        "HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket",
    ] {
        let lines = format!("GET /rows/{LARGE} {request}\r\nAccept-Encoding: gzip");
        let (head, body) = until_close(&server, &lines).await;
        assert!(head.contains(" 200 OK\r\n") && head.contains("content-encoding: gzip\r\n"), "{request}: {head}");
        assert!(!head.contains("transfer-encoding") && !head.contains("keep-alive"), "{request}: {head}");
        assert_eq!(unzip(&body).len(), LARGE + 2, "{request}");

        let (head, body) = until_close(&server, &format!("GET /lines {request}")).await;
        assert!(!head.contains("transfer-encoding") && !head.contains("keep-alive"), "{request}: {head}");
        assert_eq!(body, b"one\ntwo\n", "{request}");
    }
    let chunked = get(&server, "/lines", "identity").await;
    assert_eq!(header(&chunked, "transfer-encoding"), "chunked");
}

#[tokio::test]
async fn validator_of_either_representation_gets_304_with_that_validator() {
    let server = server();
    let path = format!("/rows/{LARGE}");
    let plain = header(&get(&server, &path, "identity").await, "etag").to_owned();
    let zipped = header(&get(&server, &path, "gzip").await, "etag").to_owned();
    assert_eq!(zipped, plain.trim_end_matches('"').to_owned() + "-gzip\"");
    let weak = format!("W/{zipped}");
    for (tag, known) in [(&plain, true), (&zipped, true), (&weak, true), (&"\"8-gzip\"".to_owned(), false)] {
        let headers = [("if-none-match", tag.as_str()), ("accept-encoding", "gzip")];
        let response = ask(&server, Method::GET, &path, &headers).await;
        assert_eq!(response.status() == 304, known, "{tag}");
        assert_eq!(header(&response, "vary"), "accept-encoding", "{tag}");
        if known {
            assert_eq!(header(&response, "etag"), tag.trim_start_matches("W/"), "{tag}");
            assert_eq!(header(&response, "content-encoding"), "", "{tag}");
        }
    }
    // A cache holds the compressed representation, and its client cannot read it.
    let both = format!("{zipped}, {plain}");
    for accept in [None, Some("identity"), Some("gzip;q=0")] {
        for (tags, status, tag) in
            [(&zipped, 200, &plain), (&weak, 200, &plain), (&plain, 304, &plain), (&both, 304, &plain)]
        {
            let mut headers = vec![("if-none-match", tags.as_str())];
            headers.extend(accept.map(|accept| ("accept-encoding", accept)));
            let response = ask(&server, Method::GET, &path, &headers).await;
            assert_eq!((response.status().as_u16(), header(&response, "etag")), (status, &**tag), "{tags} {accept:?}");
            assert_eq!(header(&response, "content-encoding"), "", "{tags} {accept:?}");
        }
    }
}

#[tokio::test]
async fn head_response_has_the_encoding_of_get() {
    let server = server();
    let head = ask(&server, Method::HEAD, &format!("/rows/{LARGE}"), &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&head, "content-encoding"), "gzip");
    assert!(header(&head, "etag").ends_with("-gzip\""));
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_docs_page_is_plain_for_clients_that_accept_nothing_else() {
    let server = server();
    for (path, start, is_large) in [("/docs/", "<!", false), ("/docs/swagger-ui.css", ".", true)] {
        let plain = get(&server, path, "identity").await;
        assert_eq!(header(&plain, "content-encoding"), "", "{path}");
        let text = plain.text().await.unwrap();
        assert!(text.trim_start().starts_with(start), "{path}: {text:.80}");
        assert!(text.len() > 1024 || !is_large, "{path}: {}", text.len());
        if text.len() > 1024 {
            let zipped = get(&server, path, "gzip").await;
            assert_eq!(header(&zipped, "content-encoding"), "gzip", "{path}");
            assert_eq!(unzipped(zipped).await, text, "{path}");
        }
    }
}
