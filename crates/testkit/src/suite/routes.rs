//! The routes that every service has: health, metrics, the page of the API's description, explained problems.

use serde_json::json;

use super::Subject;
use crate::eventually::{SOON, eventually};
use crate::http::Service;

/// The routes of health, metrics, documentation and inspection respond.
pub async fn standard_routes_are_served<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&[]).await;
    let ready = async || service.get("/readyz").await.expect(200).json();
    if !S::IS_READY_AT_ONCE {
        eventually("it to be ready", SOON, async || ready().await["status"] == "ready").await;
    }
    let report = ready().await;
    assert_eq!(report["status"], "ready", "{report}");
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
    service.get("/cache/stats/of-another-service:a:1").await.problem(400, "malformed");
    let metrics = service.get("/metrics").await.expect(200);
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for name in ["http_request_duration_seconds_count", "cache_reads_total"] {
        assert!(metrics.text().contains(name), "no {name}");
    }
    docs_page_works_without_a_network(&service).await;
    let problem = service.get("/nothing/is/here").await.problem(404, "not-found");
    let page = service.get(problem["type"].as_str().expect("a reference")).await.expect(200);
    assert!(page.header("content-type").starts_with("text/plain") && page.text().contains("Not found"));
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
        assert!(!file.contains("//"), "{file} is somewhere else");
        service.get(&format!("/docs/{}", file.trim_start_matches("./"))).await.expect(200);
    }
    assert!(service.get("/docs/swagger-initializer.js").await.expect(200).text().contains("/openapi.json"));
}
