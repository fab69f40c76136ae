//! Clients that send invalid requests: a service must refuse them with a problem, stay up, and close their connections.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Service;
use crate::eventually;

/// The number of requests of a run, and of clients that send them concurrently.
const REQUESTS: usize = 600;
const CLIENTS: usize = 60;
/// A timeout for a busy machine; the settings below end a connection much sooner.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Limits that make a run short; pass them to the service.
pub const HOSTILE_SETTINGS: [(&str, &str); 4] = [
    ("HTTP__HEADERS_TIMEOUT", "500ms"),
    ("HTTP__BODY_TIMEOUT", "500ms"),
    ("HTTP__KEEP_ALIVE", "1s"),
    ("HTTP__WRITE_TIMEOUT", "5s"),
];

const METHODS: [&str; 14] = [
    "GET", "GET", "GET", "HEAD", "POST", "PUT", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "g(t",
];
const VERSIONS: [&str; 6] = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "HTP"];
const QUERIES: [&str; 10] = [
    "?", "?limit=0", "?limit=99999999999999999999", "?limit=5&limit=6", "?cursor=%00", "?q=%ff%fe", "?a[]=1", "?%",
    "?ids=1,,2", "?after=-1",
];
const SUFFIXES: [&str; 9] = ["", "", "", "/", "//", "/../..", "%00", "%2e%2e%2f", "/\u{fe}\u{ff}"];
const HEADERS: [&str; 40] = [
    "Host: x", "Host: x", "Host: x", "Host: x", "Host: x", "Host: \u{fe}", "Host: y", "Connection: close",
    "Connection: close", "Connection: keep-alive, upgrade", "Upgrade: websocket", "Content-Type: application/json",
    "Content-Type: application/json", "Content-Type: application/json; charset=utf-16", "Content-Type: text/plain",
    "Content-Type: ;;", "Content-Encoding: gzip", "Content-Length: 5", "Content-Length: 60000",
    "Content-Length: 99999999999999999999", "Content-Length: -1", "Content-Length: 0", "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Expect: 100-continue", "If-Match: *", "If-Match: 7", "If-Match: \"1\", \"2\"",
    "If-None-Match: *", "If-None-Match: \"\u{fe}\"", "If-None-Match: W/\"1-gzip\"", "Accept: nothing/at-all",
    "Accept-Encoding: gzip;q=0, *;q=0", "Accept-Encoding: gzip", "Range: bytes=5-1", "Last-Event-ID: -1",
    "Cookie: a=b; c", "X-Forwarded-For: \u{fe}", "no colon", "Traceparent: 00-zz",
];
const BODIES: [&str; 12] = [
    "", "", "{}", "[]", "null", "{\"name\":", "{\"quantity\":1e400}", "[1,\"d\",5,6,1,true]",
    "{\"name\":null,\"stock\":-1}", "5\r\nhello\r\n0\r\n\r\n", "zz\r\nnot a chunk", "{\"stock\":9223372036854775807}",
];

/// The headers of requests that the HTTP parser accepts.
const PARSABLE_HEADERS: [&str; 14] = [
    "Content-Type: application/json", "Content-Type: application/json", "Content-Type: application/json",
    "Content-Type: application/json; charset=utf-16", "Content-Type: text/plain", "Content-Encoding: gzip",
    "If-Match: *", "If-Match: 7", "If-Match: \"1\", \"2\"", "If-None-Match: *", "Accept-Encoding: gzip",
    "Range: bytes=5-1", "Last-Event-ID: -1", "X-Forwarded-For: \u{fe}",
];

/// Sends hundreds of requests that are more or less wrong to `paths`, as any client could, some of them slowly.
///
/// # Panics
/// Panics when a response is a 5xx other than 503 with `Retry-After`, when an error response is not a problem, when a
/// connection does not end, when connections remain, when the service logs an error, or when it does not answer both
/// valid and invalid requests.
pub async fn assert_survives_hostile_clients(service: &Service, paths: &[&str], seed: u64) {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut random = StdRng::seed_from_u64(seed + client as u64);
        let requests: Vec<_> = (0..REQUESTS / CLIENTS).map(|_| request(&mut random, paths)).collect();
        let (address, pause) = (service.address().to_owned(), Duration::from_millis(random.random_range(0..40)));
        clients.spawn(async move {
            let mut statuses = Vec::new();
            for (request, pieces) in requests {
                let answer = exchange(&address, &request, pieces, pause).await;
                statuses.extend(check(&answer, &request));
            }
            statuses
        });
    }
    let statuses = clients.join_all().await.concat();
    // A service that answers nothing, or refuses everything, would prove nothing.
    let share = |class: u16| statuses.iter().filter(|status| **status / 100 == class).count() * 100 / REQUESTS;
    assert!(share(2) >= 5 && share(4) >= 30, "seed {seed}: {}% with 2xx and {}% with 4xx", share(2), share(4));

    service.get("/livez").await.expect(200);
    eventually("only this client's connections to be open", TIMEOUT, async || {
        service.metric("http_connections", "").await <= 2.0
    })
    .await;
    let log = service.process.output();
    if let Some(line) = log.lines().find(|line| line.contains("ERROR") || line.contains("panicked")) {
        panic!("seed {seed}: {line}");
    }
}

fn one<'a>(random: &mut StdRng, of: &[&'a str]) -> &'a str {
    of.choose(random).copied().unwrap_or_default()
}

/// Returns a request that the parser accepts, so that the application must find what is wrong with it.
fn parsable_request(random: &mut StdRng, paths: &[&str]) -> Vec<u8> {
    // Without those that no route has.
    let method = one(random, &METHODS[..10]);
    let query = if random.random_bool(0.4) { one(random, &QUERIES) } else { "" };
    let mut text = format!("{method} {}{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", one(random, paths));
    for _ in 0..random.random_range(0..4) {
        text.push_str(&format!("{}\r\n", one(random, &PARSABLE_HEADERS)));
    }
    let body = one(random, &BODIES);
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

/// Returns a request, and the number of pieces in which it is sent.
fn request(random: &mut StdRng, paths: &[&str]) -> (Vec<u8>, usize) {
    if random.random_bool(0.5) {
        return (parsable_request(random, paths), if random.random_bool(0.2) { random.random_range(2..30) } else { 1 });
    }
    let mut text = format!("{} {}{}", one(random, &METHODS), one(random, paths), one(random, &SUFFIXES));
    if random.random_bool(0.4) {
        text.push_str(one(random, &QUERIES));
    }
    text.push_str(&format!(" {}\r\n", one(random, &VERSIONS)));
    for _ in 0..random.random_range(0..8) {
        text.push_str(&format!("{}\r\n", one(random, &HEADERS)));
    }
    if random.random_bool(0.05) {
        text.push_str(&format!("X-Long: {}\r\n", "a".repeat(random.random_range(1000..200_000))));
    }
    text.push_str("\r\n");
    text.push_str(one(random, &BODIES));
    let mut bytes = text.into_bytes();
    // Corrupts one byte.
    if random.random_bool(0.1) {
        let at = random.random_range(0..bytes.len());
        bytes[at] = random.random();
    }
    if random.random_bool(0.1) {
        bytes.truncate(random.random_range(0..bytes.len()));
    }
    (bytes, if random.random_bool(0.2) { random.random_range(2..30) } else { 1 })
}

/// Returns what the service sends until it closes the connection.
async fn exchange(address: &str, request: &[u8], pieces: usize, pause: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    let (mut reading, mut writing) = stream.split();
    let send = async {
        for piece in request.chunks(request.len().div_ceil(pieces).max(1)) {
            // The service may have closed the connection already.
            if writing.write_all(piece).await.is_err() {
                break;
            }
            if pieces > 1 {
                sleep(pause).await;
            }
        }
    };
    let mut answer = Vec::new();
    let receive = async {
        let _ = reading.read_to_end(&mut answer).await;
    };
    let both = async { tokio::join!(send, receive) };
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    timeout(TIMEOUT, both).await.unwrap_or_else(|_| panic!("the service does not close: {shown:?}"));
    answer
}

/// Checks the first response, and returns its status. A client that has sent nothing gets no response at all.
fn check(answer: &[u8], request: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let context = || format!("{:?}\n{text:.1000}", String::from_utf8_lossy(&request[..request.len().min(1000)]));
    let head = text.split("\r\n\r\n").next().filter(|head| !head.is_empty())?;
    let status: u16 =
        head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {}", context()));
    let has = |header: &str| head.to_ascii_lowercase().contains(header);
    assert!(status < 500 || (status == 503 && has("\r\nretry-after: ")), "{}", context());
    assert!(has("\r\ncache-control: "), "no Cache-Control: {}", context());
    // A required check of `/readyz` can time out on a busy machine; its response is a report and not a problem.
    let is_report = status == 503 && text.contains("\"status\":\"unready\"");
    if status >= 400 && !is_report {
        assert!(has("\r\ncontent-type: application/problem+json"), "no problem: {}", context());
    }
    Some(status)
}
