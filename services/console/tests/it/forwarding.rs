//! What the gateway sends to a service and accepts from it, with a stand-in for the cart.

use reqwest::Method;
use testkit::http::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{SOON, command};

/// The response whose body is the head of the request.
const ECHO: &str = "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{request}";

/// Starts a console whose cart gives `answer` to every request. `{request}` stands for the head that it has received.
async fn console(answer: &'static str) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut command = command(&[("HTTP__BODY_TIMEOUT", "1s"), ("HTTP__WORKERS", "1")]);
    command.env("CART__URL", format!("http://{}", listener.local_addr().expect("an address")));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer));
        }
    });
    Service::start(&command).await
}

async fn serve(mut stream: TcpStream, answer: &'static str) {
    let mut request = String::new();
    while let Ok(byte) = stream.read_u8().await {
        request.push(byte.into());
        if request.ends_with("\r\n\r\n") {
            let answer = answer.replace("{length}", &request.len().to_string()).replace("{request}", &request);
            stream.write_all(answer.as_bytes()).await.expect("it is sent");
            request.clear();
        }
    }
}

#[tokio::test]
async fn clients_that_send_no_body_do_not_occupy_the_gateway() {
    let console = console(ECHO).await;
    let mut silent = Vec::new();
    // One more than the gateway forwards at the same time.
    for _ in 0..65 {
        let mut stream = TcpStream::connect(console.address()).await.expect("a connection");
        let head =
            "POST /api/cart/carts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        // The console waits for the body.
        let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut interim).await.expect("an answer");
        assert!(interim.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&interim));
        silent.push(stream);
    }
    console.get("/api/cart/carts/1").await.expect(200);
    for mut stream in silent {
        let mut answer = String::new();
        tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await.expect("the end").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("/problems/request-timeout"), "{answer}");
    }
}

/// Each line is a condition, so the service must see all of them.
#[tokio::test]
async fn all_lines_of_a_repeated_header_are_forwarded() {
    let console = console(ECHO).await;
    for name in ["accept", "if-match", "if-none-match", "x-consistency-token"] {
        let request = console.request(Method::GET, "/api/cart/carts/1");
        let request = request.header(name, "\"first\"").header(name, "\"second\"");
        let seen = Service::send(request).await.expect(200).text();
        let lines: Vec<_> = seen.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect();
        assert_eq!(lines, ["\"first\"", "\"second\""], "{name}: {seen}");
    }
}

#[tokio::test]
async fn feed_of_a_service_is_not_forwarded_under_any_spelling_of_its_path() {
    let console = console(ECHO).await;
    for path in ["/cache/feed", "/cache/%66eed", "/%63ache/feed", "/cache%2Ffeed", "/cache/feed%3Fx"] {
        console.get(&format!("/api/cart{path}")).await.problem(404, "not-found");
    }
    console.get("/api/cart/carts/%66eed").await.expect(200);
}

/// The stream has no end, so the gateway would wait for the rest until its time limit.
#[tokio::test]
async fn stream_of_events_is_not_forwarded() {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\ndata: {request}";
    console(stream).await.get("/api/cart/other/feed").await.problem(404, "not-found");
}

/// The console compresses what it forwards, so its tag of a body is not the one that the service has given.
#[tokio::test]
async fn tag_of_a_compressed_body_is_forwarded_as_that_of_the_plain_body() {
    let console = console(ECHO).await;
    for (accepted, forwarded) in [("gzip", "\"7\", W/\"8\""), ("identity", "\"7-gzip\", W/\"8\"")] {
        let request = console.request(Method::GET, "/api/cart/carts/1").header("accept-encoding", accepted);
        let answer = Service::send(request.header("if-none-match", "\"7-gzip\", W/\"8\"")).await.expect(200);
        assert!(answer.text().contains(&format!("if-none-match: {forwarded}\r\n")), "{accepted}: {}", answer.text());
    }
}
