//! The console without any service, and its access rule.

use reqwest::Method;
use serde_json::json;
use testkit::http::Service;

use crate::support::{Page, command};

#[tokio::test]
async fn page_and_its_files_carry_a_strict_policy_and_a_validator() {
    let console = Service::start(&command(&[])).await;
    for (path, media_type) in
        [("/", "text/html"), ("/assets/app.js", "text/javascript"), ("/assets/styles.css", "text/css")]
    {
        let answer = console.get(path).await.expect(200);
        assert!(answer.header("content-type").starts_with(media_type), "{path}");
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let tag = answer.header("etag").to_owned();
        let again = Service::send(console.request(Method::GET, path).header("if-none-match", tag)).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    for absent in ["/assets/nothing.js", "/assets/../settings.toml", "/assets/%2e%2e/Cargo.toml", "/assets/"] {
        assert_eq!(console.get(absent).await.status, 404, "{absent}");
    }
    let page = console.get("/").await.expect(200).text();
    assert!(!page.contains("<style") && !page.contains("onclick"), "the policy forbids inline styles and scripts");
}

#[tokio::test]
async fn conditions_of_a_read_hold_for_the_files_of_the_page() {
    let console = Service::start(&command(&[])).await;
    let path = "/assets/app.js";
    let tag = console.get(path).await.expect(200).header("etag").to_owned();
    let digest = tag.trim_matches('"');
    let (zipped, longer, bare) = (format!("\"{digest}-gzip\""), format!("\"x{digest}x\""), digest.to_owned());
    for (name, lines, status) in [
        ("if-none-match", vec!["*"], 304),
        ("if-none-match", vec![&*tag], 304),
        ("if-none-match", vec!["\"other\"", &*tag], 304),
        ("if-none-match", vec![&*longer], 200),
        ("if-none-match", vec![&*bare], 200),
        ("if-none-match", vec![&*zipped], 200),
        ("if-match", vec!["\"other\""], 412),
        ("if-match", vec!["\"other\"", &*tag], 200),
        ("if-match", vec!["*"], 200),
    ] {
        let request = console.request(Method::GET, path).header("accept-encoding", "identity");
        let request = lines.iter().fold(request, |request, line| request.header(name, *line));
        let answer = Service::send(request).await;
        assert_eq!(answer.status, status, "{name}: {lines:?}");
        if status != 412 {
            assert_eq!(answer.header("etag"), tag, "{name}: {lines:?}");
        }
    }
    let zipped = console.request(Method::GET, path).header("accept-encoding", "gzip").header("if-none-match", &zipped);
    assert_eq!(Service::send(zipped).await.status, 304);
}

#[tokio::test]
async fn console_without_services_says_what_is_missing_and_how_to_start_it() {
    let console = Service::start(&command(&[])).await;
    let config = console.get("/config.json").await.expect(200).json();
    assert_eq!((config["strategies"].as_array().map(Vec::len), &config["products"]), (Some(7), &json!([])));
    let mut page = Page::open(&console, "").await;
    page.until("four services that are down", |page| page.of("service").len() >= 4).await;
    for service in page.of("service") {
        assert_eq!(service["up"], false, "{service}");
        assert!(service["detail"].as_str().is_some_and(|detail| detail.contains("no connection")), "{service}");
    }
    for (path, body) in [
        ("/actions/change-price", json!({ "times": 1 })),
        ("/actions/sql-write", json!({})),
        ("/actions/rename-category", json!({})),
        ("/actions/reset", json!({})),
    ] {
        let problem = console.post(path, &body).await.problem(503, "unavailable");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("make up")), "{path}: {problem}");
    }
    let problem = console.get("/api/cart/carts/1").await.problem(503, "unavailable");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("make up")), "{problem}");
    console.get("/readyz").await.expect(200);
    let explained = console.get("/explain/tags").await.expect(200).json();
    assert!(explained["code"].as_str().is_some_and(|code| code.contains("fn read")));
    console.get("/explain/nothing").await.problem(404, "not-found");
}

#[tokio::test]
async fn requests_of_other_sites_and_for_other_hosts_are_refused() {
    let console = Service::start(&command(&[("FAULTS_ENABLED", "true")])).await;
    let own = format!("http://{}", console.address());
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let request = console.request(method, path).json(&json!({}));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Service::send(request).await
    };
    for (path, method) in [
        ("/actions/reset", Method::POST),
        ("/actions/change-price", Method::POST),
        ("/faults/redis-frozen", Method::POST),
        ("/faults/redis-frozen", Method::DELETE),
        ("/load", Method::PUT),
        ("/api/product-api/products/production/1", Method::PUT),
        ("/api/cart/carts", Method::POST),
    ] {
        for foreign in [
            [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
            [("origin", "http://localhost:1"), ("sec-fetch-site", "same-site")],
            [("origin", "null"), ("x-other", "")],
            [("sec-fetch-site", "cross-site"), ("x-other", "")],
            [("host", "evil.example"), ("x-other", "")],
        ] {
            ask(method.clone(), path, &foreign).await.problem(403, "forbidden");
        }
        let served = ask(method.clone(), path, &[("origin", &own), ("sec-fetch-site", "same-origin")]).await;
        assert_ne!(served.status, 403, "{method} {path}");
    }
    for read in ["/api/cart/cache/entries", "/live", "/config.json"] {
        ask(Method::GET, read, &[("sec-fetch-site", "cross-site")]).await.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn unusable_bodies_are_refused_by_name() {
    let console = Service::start(&command(&[("FAULTS_ENABLED", "true")])).await;
    for (path, body, field) in [
        ("/actions/change-price", json!({ "times": 11 }), "times"),
        ("/actions/change-price", json!({ "times": 0 }), "times"),
        ("/actions/stampede", json!({ "readers": 100_000 }), "readers"),
        ("/actions/race", json!({ "trials": 0 }), "trials"),
        ("/faults/redis-frozen", json!({ "seconds": 31 }), "seconds"),
    ] {
        let problem = console.post(path, &body).await.problem(422, "invalid-fields");
        assert_eq!(problem["errors"][0]["field"], field, "{path}");
    }
    let problem =
        console.put("/load", &json!({ "rate": 1e9, "mix": 0.6, "skew": -1 })).await.problem(422, "invalid-fields");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(3), "{problem}");
    console.post("/faults/nothing", &json!({ "seconds": 1 })).await.problem(404, "not-found");
    let large = vec![b'x'; 70_000];
    let request =
        console.request(Method::POST, "/api/cart/carts").header("content-type", "application/json").body(large);
    Service::send(request).await.problem(413, "body-too-large");
}
