//! `/metrics`, `/openapi.json` and `/docs/`.

mod support;

use actix_web::{HttpResponse, web};
use runtime::health::Readiness;
use support::{Running, settings, standard, start};
use tokio_util::sync::CancellationToken;

fn server() -> Running {
    let routes = standard(Readiness::new(CancellationToken::new()));
    start(&settings(), move |cfg| {
        routes.configure(cfg);
        cfg.service(
            web::scope("/things").service(web::resource("/{id}").route(web::get().to(HttpResponse::NoContent))),
        );
    })
}

#[tokio::test]
async fn metrics_are_labelled_by_pattern_and_not_by_path() {
    let server = server();
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

#[tokio::test]
async fn the_docs_page_shows_the_description_of_this_service() {
    let server = server();
    let (status, description) = server.get("/openapi.json").await;
    assert_eq!(status, 200);
    let description: serde_json::Value = serde_json::from_str(&description).unwrap();
    assert_eq!(description["info"]["title"], "a test");
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));

    let page = reqwest::get(server.url("/docs")).await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/docs/"));
    assert_eq!(page.headers()["content-type"], "text/html");
    assert!(server.get("/docs/swagger-initializer.js").await.1.contains("/openapi.json"));
}
