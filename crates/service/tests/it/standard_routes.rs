//! `/openapi.json` and `/docs/`.

use reqwest::Method;
use service::health::Readiness;
use tokio_util::sync::CancellationToken;

use crate::support::{settings, standard, start};

#[tokio::test]
async fn the_docs_page_shows_the_description_of_this_service() {
    let routes = standard(Readiness::new(CancellationToken::new()));
    let server = start(&settings(), move |cfg| routes.configure(cfg));
    let (status, description) = server.get("/openapi.json").await;
    assert_eq!(status, 200);
    let description: serde_json::Value = serde_json::from_str(&description).unwrap();
    assert_eq!(description["info"]["title"], "a test");
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));

    let page = reqwest::get(server.url("/docs")).await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/docs/"));
    assert_eq!(page.headers()["content-type"], "text/html");
    assert!(server.get("/docs/swagger-initializer.js").await.1.contains("/openapi.json"));

    for path in ["/docs", "/docs/", "/docs/swagger-ui.css"] {
        for (method, status) in [(Method::OPTIONS, 204), (Method::POST, 405)] {
            let response = reqwest::Client::new().request(method, server.url(path)).send().await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS", "{path}");
        }
    }
    assert_eq!(server.get("/docs/missing.css").await.0, 404);
}

/// A page whose server has led its own name to this machine is in the browser of this machine, too.
#[tokio::test]
async fn open_operations_routes_are_closed_to_pages_of_other_origins() {
    let routes = standard(Readiness::new(CancellationToken::new()));
    let server = start(&settings(), move |cfg| routes.configure(cfg));
    for (host, status) in [("localhost", 200), ("127.0.0.1:80", 200), ("[::1]", 200), ("evil.example", 401)] {
        let request = reqwest::Client::new().get(server.url("/metrics")).header("host", host);
        assert_eq!(request.send().await.unwrap().status(), status, "{host}");
    }
    for (site, status) in [("none", 200), ("same-origin", 200), ("same-site", 401), ("cross-site", 401)] {
        let request = reqwest::Client::new().get(server.url("/metrics")).header("sec-fetch-site", site);
        assert_eq!(request.send().await.unwrap().status(), status, "{site}");
    }
}
