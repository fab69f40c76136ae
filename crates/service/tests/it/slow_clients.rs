//! Slow clients, and too many of them: each connection ends within the configured limits.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::stream;
use service::problem::Body;
use service::server::HttpSettings;
use testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{Running, exchange, settings, start};

/// Short for a test, and far below every default.
const SHORT: Duration = Duration::from_millis(200);
/// Long enough to send a request on a busy machine, and short enough to wait for.
const SECONDS: Duration = Duration::from_secs(3);
/// Longer than every limit of a test.
const LONG: Duration = Duration::from_secs(600);
/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Returns settings whose limits are out of reach, except for those that a test sets.
fn patient() -> HttpSettings {
    HttpSettings { keep_alive: LONG, headers_timeout: LONG, body_timeout: LONG, write_timeout: LONG, ..settings() }
}

fn server(settings: &HttpSettings) -> Running {
    start(settings, |cfg| {
        cfg.route("/", web::get().to(|| async { HttpResponse::Ok().body("done") }))
            .route("/json", web::put().to(async |_: Body<u32>| HttpResponse::Ok().body("read")))
            .route("/unread", web::put().to(|| async { HttpResponse::Ok().body("unread") }));
    })
}

/// Writes `drop` repeatedly until the server closes the connection.
fn drip(stream: TcpStream, drop: &'static [u8]) -> (OwnedReadHalf, JoinHandle<()>) {
    let (reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writing.write_all(drop).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    (reading, dripping)
}

/// Reads everything until the server closes the connection.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    // The read may fail with a reset, because the client was still writing.
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await.expect("the server closes the connection");
    String::from_utf8(bytes).unwrap()
}

fn assert_timeout(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    for part in ["connection: close\r\n", "content-type: application/problem+json\r\n", "cache-control: no-store\r\n"] {
        assert!(answer.contains(part), "{part} is not in {answer}");
    }
    assert!(answer.contains("\"type\":\"/problems/request-timeout\""), "{answer}");
}

#[tokio::test]
async fn dripping_headers_get_a_408_problem() {
    let server = server(&HttpSettings { headers_timeout: SHORT, ..patient() });
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let (mut reading, dripping) = drip(stream, b"X: y\r\n");
    assert_timeout(&rest(&mut reading).await);
    dripping.await.unwrap();
}

#[tokio::test]
async fn incomplete_headers_on_a_reused_connection_get_a_408_problem() {
    let server = server(&HttpSettings { headers_timeout: SECONDS, ..patient() });
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"done") {
        answer.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(b"GET / HT").await.unwrap();
    assert_timeout(&rest(&mut stream).await);
}

/// The end of a chunked body is the end of its request, so the limits of the next one apply.
#[tokio::test]
async fn dripping_headers_after_a_chunked_body_get_a_408_problem() {
    let server = server(&HttpSettings { headers_timeout: SHORT, ..patient() });
    let mut stream = server.connect().await;
    let chunked = "HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
                   1\r\n1\r\n0\r\nA: b\r\n\r\n";
    for path in ["/json", "/unread"] {
        stream.write_all(format!("PUT {path} {chunked}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nread") && !answer.ends_with(b"\r\n\r\nunread") {
            answer.push(stream.read_u8().await.unwrap());
        }
    }
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let (mut reading, dripping) = drip(stream, b"X: y\r\n");
    assert_timeout(&rest(&mut reading).await);
    dripping.await.unwrap();
}

/// The limit of a body ends with the body.
#[tokio::test]
async fn idle_connection_after_a_chunked_body_closes_after_keep_alive() {
    let server = server(&HttpSettings { keep_alive: SECONDS, ..patient() });
    let mut stream = server.connect().await;
    let head = "PUT /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}1\r\n1\r\n0\r\n\r\n").as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("unread"), "{answer}");
}

/// The server sends nothing on a pooled connection: the client would take a response for that to a later request.
#[tokio::test]
async fn idle_connection_closes_without_a_response() {
    let idle = server(&HttpSettings { keep_alive: SHORT, ..patient() });
    assert_eq!(rest(&mut idle.connect().await).await, "");
    // The limit also holds before the first byte, which must arrive in time.
    let used = server(&HttpSettings { keep_alive: SECONDS, ..patient() });
    let answer = exchange(&mut used.connect().await, std::str::from_utf8(GET).unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn dripping_body_gets_a_408_problem_and_closes_the_connection() {
    let server = server(&HttpSettings { body_timeout: SHORT, ..patient() });
    let table: [(&str, &[u8]); 2] = [("Content-Length: 60000", b"1"), ("Transfer-Encoding: chunked", b"1\r\n1\r\n")];
    for (length, drop) in table {
        let mut stream = server.connect().await;
        let head = format!("PUT /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reading, dripping) = drip(stream, drop);
        let answer = rest(&mut reading).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("/problems/request-timeout"), "{answer}");
        dripping.await.unwrap();
    }
}

#[tokio::test]
async fn endless_unread_body_closes_the_connection() {
    let server = server(&HttpSettings { body_timeout: SHORT, ..patient() });
    let table: [(&str, &[u8]); 2] = [("Content-Length: 60000", b"1"), ("Transfer-Encoding: chunked", b"1\r\n1\r\n")];
    for (length, drop) in table {
        for is_silent in [false, true] {
            let mut stream = server.connect().await;
            let head = format!("PUT /unread HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let answer = if is_silent {
                rest(&mut stream).await
            } else {
                let (mut reading, dripping) = drip(stream, drop);
                let answer = rest(&mut reading).await;
                dripping.await.unwrap();
                answer
            };
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("unread"), "{length}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{length}: {answer}");
        }
    }
}

/// Continues forever, and signals when it is dropped.
struct Endless(Arc<Semaphore>);

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[tokio::test]
async fn response_that_the_client_does_not_read_is_aborted() {
    let dropped = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&dropped);
    let server = start(&HttpSettings { write_timeout: SHORT, ..patient() }, move |cfg| {
        let told = Arc::clone(&told);
        cfg.route(
            "/",
            web::get().to(move || {
                let endless = Endless(Arc::clone(&told));
                async move {
                    HttpResponse::Ok().streaming(stream::repeat_with(move || {
                        let _ = &endless;
                        Ok::<_, Infallible>(Bytes::from(vec![b'a'; 64 * 1024]))
                    }))
                }
            }),
        );
    });
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    timeout(TIMEOUT, dropped.acquire()).await.expect("it is given up").unwrap().forget();
}

/// Each response alone fits into the memory for responses that no client has read, and both together do not.
#[tokio::test]
async fn one_of_two_large_responses_that_no_client_reads_is_aborted() {
    const LENGTH: usize = 40 << 20;
    let body = Bytes::from(vec![b'a'; LENGTH]);
    let server = start(&patient(), move |cfg| {
        let body = body.clone();
        let large = move || {
            let body = body.clone();
            async { HttpResponse::Ok().body(body) }
        };
        cfg.route("/", web::get().to(large));
    });
    eventually("an aborted response", TIMEOUT, async || {
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut stream = server.connect().await;
            stream.write_all(GET).await.unwrap();
            // The response has begun, so it waits in the server.
            stream.read_exact(&mut [0; 12]).await.unwrap();
            clients.push(stream);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut whole = 0;
        for stream in &mut clients {
            let (mut bytes, mut length) = (vec![0; 64 * 1024], 12);
            while length < LENGTH
                && let Ok(count @ 1..) = stream.read(&mut bytes).await
            {
                length += count;
            }
            whole += usize::from(length >= LENGTH);
        }
        assert_ne!(whole, 0, "when one is aborted, there is room for the other one");
        whole == 1
    })
    .await;
}

#[tokio::test]
async fn connections_over_the_limit_get_a_503_problem_until_there_is_room() {
    let server = server(&HttpSettings { max_connections: 3, ..patient() });
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(GET).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        open.push(stream);
    }
    let refused = rest(&mut server.connect().await).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("\"type\":\"/problems/unavailable\""), "{refused}");
    drop(open);
    timeout(TIMEOUT, async {
        loop {
            let answer =
                exchange(&mut server.connect().await, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
            if answer.starts_with("HTTP/1.1 200 ") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("there is room again");
}

#[tokio::test]
async fn too_large_body_is_refused_before_100_continue() {
    let server = server(&patient());
    for (length, first) in [(65_537, "HTTP/1.1 413 "), (1, "HTTP/1.1 100 Continue\r\n")] {
        let mut stream = server.connect().await;
        let head = format!(
            "PUT /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut start = vec![0; first.len()];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&start), first);
        if length == 1 {
            stream.write_all(b"1").await.unwrap();
            assert!(rest(&mut stream).await.contains("HTTP/1.1 200 "));
        }
    }
}

/// The head has arrived, so its limit has ended. It arrives byte by byte, so that the limit has begun.
#[tokio::test]
async fn refusal_before_100_continue_is_the_only_response() {
    let server = server(&HttpSettings { headers_timeout: SECONDS / 4, ..patient() });
    let head = "PUT /json HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n";
    let answer = eventually("a head that arrives in time", TIMEOUT, async || {
        let mut stream = server.connect().await;
        stream.set_nodelay(true).unwrap();
        for byte in head.as_bytes() {
            // Fails if the machine was too busy, and the server has closed the connection.
            stream.write_all(&[*byte]).await.ok()?;
        }
        Some(rest(&mut stream).await).filter(|answer| !answer.is_empty() && !answer.starts_with("HTTP/1.1 408 "))
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("/problems/body-too-large"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

/// Sends a body in a few pieces within the limits, on a connection that is used again.
#[tokio::test]
async fn slow_clients_within_the_limits_are_served() {
    let server = server(&patient());
    let mut stream = server.connect().await;
    for piece in [
        "PUT /json HTTP/1.1\r\nHo",
        "st: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r",
        "\n1\r",
        "\n1\r\n1\r\n2",
        "\r\n0\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answers = rest(&mut stream).await;
    assert!(answers.contains("read") && answers.ends_with("done"), "{answers}");
}
