//! The lifecycle of a server: readiness, draining, shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use service::health::{Check, Readiness};
use service::healthcheck;
use service::server::HttpSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::support::{Running, exchange, settings, standard, start};

const LIMIT: Duration = Duration::from_secs(20);

/// A handler that signals when it has begun, and continues when the test allows it.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { begun: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    fn mount(&self, cfg: &mut web::ServiceConfig) {
        let gate = self.clone();
        cfg.route(
            "/slow",
            web::get().to(move || {
                let gate = gate.clone();
                async move {
                    gate.begun.add_permits(1);
                    gate.open.acquire().await.unwrap().forget();
                    HttpResponse::Ok().body("done")
                }
            }),
        );
    }
}

#[tokio::test]
async fn in_flight_requests_finish_after_the_shutdown_signal() {
    let gate = Gate::new();
    let mounted = gate.clone();
    let mut server = start(&settings(), move |cfg| mounted.mount(cfg));

    let mut stream = server.connect().await;
    let request = tokio::spawn(async move { exchange(&mut stream, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await });
    gate.begun.acquire().await.unwrap().forget();

    server.shutdown.cancel();
    until_refused(&server).await;
    gate.open.add_permits(1);

    let answer = request.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    server.ended().await.unwrap();
}

#[tokio::test]
async fn request_that_exceeds_the_grace_period_is_cut_off() {
    let gate = Gate::new();
    let mounted = gate.clone();
    let settings = HttpSettings { grace: Duration::from_secs(1), ..settings() };
    let mut server = start(&settings, move |cfg| mounted.mount(cfg));

    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    gate.begun.acquire().await.unwrap().forget();
    server.shutdown.cancel();

    server.ended().await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

/// The grace period is longer than the test waits for the end.
#[tokio::test]
async fn idle_connections_do_not_delay_the_shutdown() {
    let settings = HttpSettings { grace: Duration::from_secs(60), ..settings() };
    let mut server = start(&settings, |cfg| {
        cfg.route("/", web::get().to(HttpResponse::NoContent));
    });
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();

    server.shutdown.cancel();
    server.ended().await.unwrap();
}

#[tokio::test]
async fn readyz_turns_503_while_draining() {
    let shutdown = CancellationToken::new();
    let routes = standard(Readiness::new(shutdown.clone()));
    // The delay is longer than the test: the server is dropped, not awaited.
    let settings = HttpSettings { drain_delay: Duration::from_secs(60), ..settings() };
    let server = start(&settings, move |cfg| routes.configure(cfg));
    assert_eq!(server.get("/readyz").await, (200, r#"{"status":"ready","checks":{}}"#.to_owned()));

    shutdown.cancel();
    server.shutdown.cancel();
    assert_eq!(server.get("/readyz").await, (503, r#"{"status":"draining","checks":{}}"#.to_owned()));
    assert_eq!(server.get("/livez").await.0, 200);
}

/// Many concurrent probes must not make the service unready by overloading its database.
#[tokio::test]
async fn concurrent_probes_check_a_dependency_at_most_twice() {
    let asked = Arc::new(AtomicUsize::new(0));
    let begun = Arc::new(tokio::sync::Semaphore::new(0));
    let check = {
        let (asked, begun) = (Arc::clone(&asked), Arc::clone(&begun));
        move || {
            let (asked, begun) = (Arc::clone(&asked), Arc::clone(&begun));
            async move {
                asked.fetch_add(1, Ordering::SeqCst);
                begun.acquire().await.map(drop)
            }
        }
    };
    let readiness =
        Readiness::new(CancellationToken::new()).requires(Check::new("database", Duration::from_secs(60), check));
    let mut reports: Vec<_> = (0..200).map(|_| Box::pin(readiness.report())).collect();
    for report in &mut reports {
        assert!(futures_util::poll!(report).is_pending());
    }
    begun.add_permits(200);
    for report in futures_util::future::join_all(reports).await {
        assert_eq!(report.checks["database"].outcome, service::health::CheckOutcome::Ok);
    }
    assert!(asked.load(Ordering::SeqCst) <= 2, "{asked:?} times");
}

#[tokio::test]
async fn required_dependency_makes_unready_and_preferred_one_degraded() {
    let (database, redis) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let check = |up: &Arc<AtomicBool>| {
        let up = Arc::clone(up);
        move || {
            let up = up.load(Ordering::SeqCst);
            async move { if up { Ok(()) } else { Err("password=hunter2 refused") } }
        }
    };
    let readiness = Readiness::new(CancellationToken::new())
        .requires(Check::new("database", LIMIT, check(&database)))
        .prefers(Check::new("redis", LIMIT, check(&redis)));
    let routes = standard(readiness);
    let server = start(&settings(), move |cfg| routes.configure(cfg));

    for (database_up, redis_up, status, word) in [
        (true, true, 200, "ready"),
        (true, false, 200, "degraded"),
        (false, true, 503, "unready"),
        (false, false, 503, "unready"),
        (true, true, 200, "ready"),
    ] {
        database.store(database_up, Ordering::SeqCst);
        redis.store(redis_up, Ordering::SeqCst);
        let (got, text) = server.get("/readyz").await;
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((got, report["status"].as_str()), (status, Some(word)), "{text}");
        assert_eq!(report["checks"]["database"]["status"], if database_up { "ok" } else { "failing" });
        assert_eq!(report["checks"]["redis"]["need"], "preferred");
        assert!(!text.contains("hunter2"), "what a check said is for the log");
    }
}

#[tokio::test]
async fn hanging_health_check_times_out() {
    let hangs = || std::future::pending::<Result<(), String>>();
    let readiness =
        Readiness::new(CancellationToken::new()).requires(Check::new("database", Duration::from_millis(20), hangs));
    let report = readiness.report().await;
    assert_eq!(report.status, service::health::Status::Unready);
    assert_eq!(report.checks["database"].outcome, service::health::CheckOutcome::Late);
}

#[tokio::test]
async fn healthcheck_command_reports_readiness() {
    let shutdown = CancellationToken::new();
    let routes = standard(Readiness::new(shutdown.clone()));
    let server = start(&settings(), move |cfg| routes.configure(cfg));
    let everywhere = HttpSettings { host: [0, 0, 0, 0].into(), port: server.address.port(), ..settings() };
    let probe = |settings: HttpSettings| async move {
        tokio::task::spawn_blocking(move || healthcheck::probe(&settings)).await.unwrap()
    };

    probe(everywhere.clone()).await.unwrap();
    shutdown.cancel();
    let draining = probe(everywhere).await.unwrap_err().to_string();
    assert!(draining.starts_with("not ready: HTTP/1.1 503") && draining.contains("draining"), "{draining}");

    let free = settings().bind().unwrap().local_addr().unwrap().port();
    let silent = probe(HttpSettings { port: free, ..settings() }).await.unwrap_err().to_string();
    assert!(silent.starts_with(&format!("nothing answers at 127.0.0.1:{free}: ")), "{silent}");
}

async fn until_refused(server: &Running) {
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
