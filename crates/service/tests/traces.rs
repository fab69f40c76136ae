//! The span of a request: its parent, its attributes, its export when the service stops.
//!
//! The only test of its process, because a process has one subscriber.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

#[path = "it/support/mod.rs"]
mod support;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use service::health::Readiness;
use service::problem::Problem;
use service::telemetry::{self, LogFormat, LogSettings, TraceSettings, Traces};
use support::{settings, standard, start};
use testkit::collector::{CollectedSpan, Collector};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Headers that name no trace.
const MALFORMED: [&[&str]; 6] = [
    &["00-zz"],
    &[""],
    &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
    &["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"],
    &[PARENT, PARENT],
];

/// Returns the trace headers of a request that a handler sends.
async fn forwarded() -> HttpResponse {
    let request = reqwest::Client::new().get("http://127.0.0.1/");
    let request = trace_context::propagate(request).build().unwrap();
    let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    HttpResponse::Ok().body(format!("{} {}", header("traceparent"), header("tracestate")))
}

#[tokio::test]
async fn request_span_continues_the_trace_and_is_sent_at_the_stop() {
    let collector = Collector::start().await.unwrap();
    let every_minute = Duration::from_secs(60);
    let traces = Traces::start("greeter", &TraceSettings { endpoint: collector.url(), interval: every_minute });
    let log = LogSettings { filter: "off".to_owned(), format: LogFormat::Json };
    let telemetry = telemetry::init(&log, traces.unwrap()).unwrap();
    let routes = standard(Readiness::new(CancellationToken::new()));
    let server = start(&settings(), move |cfg| {
        routes.configure(cfg);
        cfg.route("/forwarded/{id}", web::get().to(forwarded)).route(
            "/broken",
            web::get().to(|_: HttpRequest| async { Err::<HttpResponse, _>(Problem::internal("why")) }),
        );
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    let request = client.get(server.url("/forwarded/7")).header("traceparent", PARENT).header("tracestate", "a=b");
    let answer = request.send().await.unwrap().text().await.unwrap();
    let (next, state) = answer.split_once(' ').unwrap();
    assert_eq!(state, "a=b");
    for headers in MALFORMED {
        let request = client.get(server.url("/forwarded/8"));
        let request = headers.iter().fold(request, |request, header| request.header("traceparent", *header));
        assert_eq!(request.send().await.unwrap().status(), 200, "{headers:?}");
    }
    assert_eq!(server.get("/broken").await.0, 500);
    for probe in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(server.get(probe).await.0, 200);
    }
    telemetry.stop(Instant::now() + Duration::from_secs(30)).await;

    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<&CollectedSpan>>();
    let [continued] = collector.trace(TRACE).try_into().expect("one span continues the trace");
    assert_eq!((continued.service.as_str(), continued.kind, continued.is_error), ("greeter", 2, false));
    assert_eq!((continued.name.as_str(), continued.parent_id.as_str()), ("GET /forwarded/{id}", "00f067aa0ba902b7"));
    assert_eq!(next, format!("00-{TRACE}-{}-01", continued.span_id));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/forwarded/{id}"),
        ("http.response.status_code", "200"),
        ("url.path", "/forwarded/7"),
    ] {
        assert_eq!(continued.attributes.get(name).map(String::as_str), Some(value), "{name}");
    }
    let all = named("GET /forwarded/{id}");
    let roots = all.iter().filter(|span| span.parent_id.is_empty());
    assert_eq!(roots.count(), MALFORMED.len(), "a request without a valid parent begins a trace");
    assert!(matches!(named("GET /broken").as_slice(), [span] if span.is_error));
    assert_eq!(spans.len(), all.len() + 1, "probes have no span: {spans:?}");
}
