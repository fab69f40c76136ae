//! The routes that every service has: health, metrics, the page of the API's description, explained problems.

use serde_json::{Value, json};

use super::Subject;
use crate::eventually::{SOON, eventually};
use crate::http::Service;

/// The routes of health, metrics, documentation and inspection respond.
pub async fn standard_routes_are_served<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&[]).await;
    let report = || async { service.readiness().await };
    if !S::IS_READY_AT_ONCE {
        eventually("it to be ready", SOON, async || is_ready::<S>(&report().await)).await;
    }
    let report = report().await;
    assert!(is_ready::<S>(&report), "{report}");
    assert_eq!(
        (&report["checks"]["redis"]["need"], &report["checks"]["redis"]["status"]),
        (&json!("preferred"), &json!("ok"))
    );
    if subject.database().is_some() {
        let postgres = &report["checks"]["postgres"];
        assert_eq!((&postgres["need"], &postgres["status"]), (&json!("required"), &json!("ok")));
    }
    assert_eq!(service.get("/livez").await.expect(200).json(), json!({ "status": "alive" }));
    subject.fill(&service).await;
    service.get("/cache/entries").await.expect(200);
    let metrics = service.get("/metrics").await.expect(200);
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for name in ["http_request_duration_seconds_count", "cache_reads_total"] {
        assert!(metrics.text().contains(name), "no {name}");
    }
    docs_page_works_without_a_network(&service).await;
    problems_link_to_their_explanation::<S>(&service).await;
}

/// Returns whether every check succeeds, except those that cannot succeed in the tests.
pub(super) fn is_ready<S: Subject>(report: &Value) -> bool {
    let checks = report["checks"].as_object().expect("checks by name");
    let failing = checks.iter().filter(|(_, check)| check["status"] != "ok");
    failing.map(|(name, _)| name.as_str()).all(|name| S::FAILING_CHECKS.contains(&name))
}

async fn problems_link_to_their_explanation<S: Subject>(service: &Service) {
    let own = S::NAME.trim_end_matches("-api");
    let other = if own == "cart" { "product:ttl:1" } else { "cart:view:1" };
    for (path, status, kind) in [
        ("/nothing/is/here", 404, "not-found"),
        (&*format!("/cache/stats/{own}:absent:1"), 404, "not-found"),
        (&*format!("/cache/stats/{other}"), 400, "malformed"),
        ("/cache/feed?kind=nonsense", 422, "invalid-fields"),
    ] {
        let problem = service.get(path).await.problem(status, kind);
        let title = problem["title"].as_str().expect("a title");
        let page = service.get(problem["type"].as_str().expect("a reference")).await.expect(200);
        assert!(page.header("content-type").starts_with("text/plain"), "{path}");
        assert!(page.text().contains(title), "{path}: {}", page.text());
    }
}

async fn docs_page_works_without_a_network(service: &Service) {
    assert_eq!(service.get("/docs").await.header("location"), "/docs/");
    let page = service.get("/docs/").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    let page = page.text();
    let is_file = |text: &&str| text.ends_with(".js") || text.ends_with(".css");
    let files: Vec<_> = page.split(['"', '\'']).filter(is_file).collect();
    assert!(files.len() > 2, "{page}");
    for file in files {
        assert!(!file.contains("//"), "{file} is on another server");
        service.get(&format!("/docs/{}", file.trim_start_matches("./"))).await.expect(200);
    }
    assert!(service.get("/docs/swagger-initializer.js").await.expect(200).text().contains("/openapi.json"));
}
