//! Telemetry is set up once, refuses invalid settings, and labels the metrics of requests.
//!
//! A process of its own, because a process has one subscriber and one recorder of metrics, and these tests count.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

#[path = "it/support/mod.rs"]
mod support;

use actix_web::{HttpResponse, web};
use service::health::Readiness;
use service::telemetry::{self, LogFormat, LogSettings, Metrics, TelemetryError};
use support::{settings, standard, start};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn telemetry_is_set_up_once() {
    let wrong = LogSettings { filter: "cache=loud".to_owned(), ..LogSettings::default() };
    let refusal = telemetry::init(&wrong, None).unwrap_err().to_string();
    assert!(refusal.starts_with("LOG__FILTER cannot be used: "), "{refusal}");

    let settings = LogSettings { filter: "off".to_owned(), format: LogFormat::Json };
    let telemetry = telemetry::init(&settings, None).unwrap();
    metrics::counter!("a_counter").increment(2);
    assert!(telemetry.metrics().render().contains("a_counter 2"));
    assert!(Metrics::install().unwrap().render().contains("a_counter 2"), "a process has one recorder");

    assert!(matches!(telemetry::init(&settings, None), Err(TelemetryError::Taken(_))));
}

#[test]
fn unknown_log_format_is_refused_with_the_known_formats() {
    let refusal = LogFormat::try_from("xml".to_owned()).unwrap_err();
    assert_eq!(refusal, "expected `pretty` or `json`, got \"xml\"");
}

#[tokio::test]
async fn metrics_are_labelled_by_pattern_and_not_by_path() {
    let routes = standard(Readiness::new(CancellationToken::new()));
    let server = start(&settings(), move |cfg| {
        routes.configure(cfg);
        cfg.service(
            web::scope("/things").service(web::resource("/{id}").route(web::get().to(HttpResponse::NoContent))),
        );
    });
    for id in 0..3 {
        assert_eq!(server.get(&format!("/things/{id}")).await.0, 204);
    }
    assert_eq!(server.get("/things/1/none").await.0, 404);
    let method = reqwest::Method::from_bytes(b"BREW").unwrap();
    let brewed = reqwest::Client::new().request(method, server.url("/things/1")).send().await.unwrap();
    assert_eq!(brewed.status(), 405);

    let (status, text) = server.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        r#"http_request_duration_seconds_count{route="/things/{id}",method="GET",status="2xx"} 3"#,
        r#"http_request_duration_seconds_count{route="/things/{id}",method="other",status="4xx"} 1"#,
        r#"http_request_duration_seconds_count{route="unmatched",method="GET",status="4xx"} 1"#,
        r#"http_request_duration_seconds_bucket{route="/things/{id}",method="GET",status="2xx",le="+Inf"} 3"#,
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    assert!(!text.contains("/things/1"), "a path would be a series of its own");
}
