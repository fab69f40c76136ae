//! A failure is logged in one line, with the cause that the client does not receive.
//!
//! This is the only test of its process: a process has one `tracing` subscriber, and the test counts all logged lines.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

#[path = "it/support/mod.rs"]
mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpResponse, web};
use service::problem::Problem;
use support::{settings, start};

/// A log that a test can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn answer(path: web::Path<String>) -> Result<HttpResponse, Problem> {
    Err(match path.as_str() {
        "internal" => Problem::internal("disk on fire"),
        "unavailable" => Problem::unavailable(Duration::from_secs(1), "no route to host"),
        "full" => Problem::overloaded(Duration::from_secs(1), "every place is taken"),
        _ => Problem::not_found("no such thing"),
    })
}

#[tokio::test]
async fn server_error_is_logged_in_one_line_with_its_cause() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let server = start(&settings(), |cfg| {
        let refuse = from_fn(|_: ServiceRequest, _: Next<BoxBody>| async {
            Err::<ServiceResponse, _>(Problem::internal("the guard fell asleep").into())
        });
        cfg.service(web::scope("/guarded").wrap(refuse)).route("/{path}", web::get().to(answer));
    });

    let table = [
        ("/internal", 500, Some(("ERROR", "disk on fire"))),
        ("/unavailable", 503, Some(("WARN", "no route to host"))),
        ("/guarded", 500, Some(("ERROR", "the guard fell asleep"))),
        ("/absent", 404, None),
        ("/full", 503, None),
    ];
    for (path, status, logged) in table {
        assert_eq!(server.get(path).await.0, status);
        let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        assert_eq!(text.lines().count(), usize::from(logged.is_some()), "{path}: {text}");
        let Some((level, cause)) = logged else { continue };
        assert!(text.contains(&format!(" {level} ")), "{path}: {text}");
        assert!(text.contains(&format!("a request failed: {cause} ")), "{path}: {text}");
    }
    for _ in 0..3 {
        assert_eq!(server.get("/unavailable").await.0, 503);
    }
    assert_eq!(*log.0.lock().unwrap(), b"", "an outage is logged once");
    assert_eq!(server.get("/internal").await.0, 500);
    assert!(!log.0.lock().unwrap().is_empty(), "each fault of this service is logged");
}
