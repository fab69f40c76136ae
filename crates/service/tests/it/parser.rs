//! Requests that the HTTP parser refuses, and pipelined requests.

use actix_web::{HttpResponse, web};
use service::problem::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Running, exchange, settings, start};

fn server() -> Running {
    start(&settings(), |cfg| {
        cfg.route(
            "/row",
            web::get().to(|| async {
                // Yields, so that the next request could arrive before the response. The server polls a handler twice
                // before it reads again.
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                HttpResponse::Ok().insert_header(("ETag", "\"7\"")).body("a row")
            }),
        )
        .route("/row", web::put().to(async |Body(number): Body<u32>| HttpResponse::Ok().body(format!("put {number}"))));
    })
}

/// Returns the status and the problem of the only response.
#[track_caller]
fn problem(answer: &str) -> (u16, serde_json::Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {answer:?}"));
    assert_eq!(answer.matches("HTTP/1.").count() - body.matches("HTTP/1.").count(), 1, "{answer}");
    assert!(head.contains("content-type: application/problem+json"), "{answer}");
    assert!(head.contains("cache-control: no-store") && head.contains("date: "), "{answer}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn invalid_request_gets_a_400_problem() {
    let server = server();
    for request in [
        "nonsense\r\n\r\n",
        "GET / HTTP/7.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        "GET /\u{1} HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT /row HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n1",
        "PUT /row HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "PUT /row HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n1",
    ] {
        let (status, problem) = problem(&exchange(&mut server.connect().await, request).await);
        assert_eq!((status, &problem["type"]), (400, &"/problems/malformed".into()), "{request:?}");
    }
}

#[tokio::test]
async fn invalid_chunk_gets_one_response() {
    let server = server();
    let request = "PUT /row HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n";
    let (status, problem) = problem(&exchange(&mut server.connect().await, request).await);
    assert_eq!((status, &problem["type"]), (400, &"/problems/malformed".into()));
}

#[tokio::test]
async fn too_large_or_too_many_headers_get_a_431_problem() {
    let server = server();
    let long = format!("GET /row HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(200 * 1024));
    let endless = format!("GET /{}", "a".repeat(200 * 1024));
    let many = format!("GET /row HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(200));
    for request in [long, endless, many] {
        let (status, problem) = problem(&exchange(&mut server.connect().await, &request).await);
        assert_eq!((status, &problem["type"]), (431, &"/problems/headers-too-large".into()), "{request:.40}");
    }
}

#[tokio::test]
async fn invalid_request_after_a_valid_one_is_answered_after_its_response() {
    let server = server();
    let answers = exchange(&mut server.connect().await, "GET /row HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n").await;
    let (first, second) = answers.split_once("a row").unwrap_or_else(|| panic!("{answers}"));
    assert!(first.starts_with("HTTP/1.1 200 "), "{answers}");
    assert_eq!(problem(second).0, 400, "{answers}");
}

/// A chunked body with an extension and a trailer, whose end is found only by reading it.
const CHUNKED_PUT: &str = "PUT /row HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                           Transfer-Encoding: chunked\r\n\r\n1;x=y\r\n4\r\n1\r\n2\r\n0\r\nA: b\r\n\r\n";

#[tokio::test]
async fn invalid_request_after_a_chunked_body_gets_a_problem() {
    let server = server();
    let long = format!("GET /row HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(200 * 1024));
    for (next, status) in [("nonsense\r\n\r\n", 400), ("0\r\n\r\n", 400), (&*long, 431)] {
        let answers = exchange(&mut server.connect().await, &format!("{CHUNKED_PUT}{next}")).await;
        let (first, second) = answers.split_once("put 42").unwrap_or_else(|| panic!("{answers}"));
        assert!(first.starts_with("HTTP/1.1 200 "), "{answers}");
        assert_eq!(problem(second).0, status, "{next:.40}: {answers}");
    }
}

/// Splits the requests at every byte, because two network packets may split a body anywhere.
#[tokio::test]
async fn head_request_after_a_chunked_body_does_not_take_its_response() {
    let server = server();
    let unread = CHUNKED_PUT.replace("PUT /row", "GET /row");
    let head = "HEAD /row HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let requests = [CHUNKED_PUT, &unread, CHUNKED_PUT, head].concat();
    for at in 0..requests.len() {
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        stream.write_all(&requests.as_bytes()[..at]).await.unwrap();
        tokio::task::yield_now().await;
        let answers = exchange(&mut stream, &requests[at..]).await;
        let bodies: Vec<_> = answers.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
        let bodies: Vec<_> = bodies.iter().map(|answer| answer.split_once("\r\n\r\n").unwrap().1).collect();
        assert_eq!(bodies, ["put 42", "a row", "put 42", ""], "{at}: {answers}");
    }
}

/// The parser finds the end of this head, and the connection does not. A part of the body looks like its end.
#[tokio::test]
async fn chunked_body_after_a_head_with_bare_line_feeds_is_read_to_its_end() {
    let server = server();
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    let head = "PUT /row HTTP/1.1\nHost: x\nContent-Type: application/json\nTransfer-Encoding: chunked\n\
                Connection: close\nExpect: 100-continue\n\n6\r\n4";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The parser has the first part.
    stream.read_exact(&mut [0; "HTTP/1.1 100 Continue\r\n\r\n".len()]).await.unwrap();
    let answer = exchange(&mut stream, "0\r\n\r\n\r\n0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("put 40"), "{answer}");
}

/// The parser of actix keeps one flag for "the request was HEAD": if it saw all requests early, the last one would
/// determine the first response.
#[tokio::test]
async fn pipelined_head_and_get_requests_are_answered_in_order() {
    let server = server();
    let put = "PUT /row HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n42";
    let (get, head) = ("GET /row HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /row HTTP/1.1\r\nHost: x\r\n\r\n");
    // The offer of a protocol that the server does not speak changes nothing.
    let h2c = "GET /row HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n";
    let last = "HEAD /row HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let requests = [get, head, put, head, get, put, head, h2c, last];
    let answers = exchange(&mut server.connect().await, &requests.concat()).await;
    let bodies: Vec<_> =
        answers.split("HTTP/1.1 200 OK\r\n").skip(1).map(|answer| answer.split_once("\r\n\r\n").unwrap().1).collect();
    assert_eq!(bodies, ["a row", "", "put 42", "", "a row", "put 42", "", "a row", ""], "{answers}");
}

/// Splits the requests at every byte, because two network packets may split a request anywhere.
#[tokio::test]
async fn pipelined_requests_that_arrive_in_pieces_are_answered() {
    let server = server();
    let requests = "\r\nHEAD /row HTTP/1.1\r\nHost: x\r\n\r\nGET /row HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for at in 0..requests.len() {
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        stream.write_all(&requests.as_bytes()[..at]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&requests.as_bytes()[at..]).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        assert_eq!(
            (answers.matches("HTTP/1.1 200 OK").count(), answers.matches("a row").count()),
            (2, 1),
            "{at}: {answers}"
        );
    }
}
