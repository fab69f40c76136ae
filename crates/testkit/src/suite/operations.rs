//! The operations routes, with a token.

use reqwest::Method;
use serde_json::json;

use super::{Subject, key_of};
use crate::eventually::{SOON, eventually};
use crate::http::{Service, TestResponse};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// With a token, the operations routes refuse every request that does not carry it, and the others are open.
pub async fn operations_routes_require_the_token_when_there_is_one<S: Subject>() {
    let subject = S::prepare().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("{TOKEN}\n")).expect("it is written");
    let path = file.path().to_str().expect("a plain path");
    let service = subject.start(&[("OPERATIONS__TOKEN_FILE", path)]).await;
    let values = subject.fill(&service).await;
    let stats = format!("/cache/stats/{}", key_of(&values));
    let standard = ["/cache/entries", &stats, "/cache/feed?kind=nonsense", "/metrics"];
    for route in standard.iter().chain(S::OWN_OPERATIONS_ROUTES).copied() {
        for refused in [
            service.get(route).await,
            get_with(&service, route, "Bearer 0123456789abcdef0123456789abcdeF").await,
            get_with(&service, route, &format!("Basic {TOKEN}")).await,
            get_with(&service, route, TOKEN).await,
        ] {
            refused.problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"operations\"", "{route}");
            assert!(!refused.text().contains(TOKEN), "{route}");
        }
        let expected = if route.contains("nonsense") { 422 } else { 200 };
        eventually(&format!("{route} to find the entry"), SOON, async || {
            let status = get_with(&service, route, &format!("Bearer {TOKEN}")).await.status;
            if route == stats && status == 404 {
                // The entry was invalidated once more after the start.
                subject.fill(&service).await;
                return false;
            }
            assert_eq!(status, expected, "{route} does not accept the token");
            true
        })
        .await;
    }
    an_invalidation_requires_the_token(&subject, &service, key_of(&values)).await;
    for open in ["/livez", "/readyz", "/openapi.json"] {
        service.get(open).await.expect(200);
    }
    let description = service.get("/openapi.json").await.expect(200).json();
    assert_eq!(description["components"]["securitySchemes"]["operations_token"]["scheme"], "bearer");
    let own = S::OWN_OPERATIONS_ROUTES.iter().map(|route| route.split('?').next().unwrap_or_default());
    for route in own.chain(["/cache/entries", "/cache/stats/{key}", "/cache/near/{key}", "/cache/feed"]) {
        let operation = &description["paths"][route]["get"];
        assert_eq!(operation["security"], json!([{ "operations_token": [] }]), "{route}");
        assert!(operation["responses"]["401"].is_object(), "{route}");
    }
    assert!(!service.process.output().contains(TOKEN), "the log shows the token");
}

/// An operator can remove an entry by its key. Any other client is refused, and the entry stays.
async fn an_invalidation_requires_the_token<S: Subject>(subject: &S, service: &Service, key: &str) {
    let (invalidations, bearer) = ("/cache/invalidations", format!("Bearer {TOKEN}"));
    let body = json!({ "keys": [key] });
    let ask = async |authorization: &str| {
        let request = service.request(Method::POST, invalidations).header("authorization", authorization);
        Service::send(request.json(&body)).await
    };
    ask("Bearer 0123456789abcdef0123456789abcdeF").await.problem(401, "unauthorized");
    let near = get_with(service, &format!("/cache/near/{key}"), "").await;
    near.problem(401, "unauthorized");
    let stats = format!("/cache/stats/{key}");
    eventually("the entry to be removed by its operator", SOON, async || {
        subject.fill(service).await;
        let is_there = get_with(service, &stats, &bearer).await.status == 200;
        let removed = ask(&bearer).await;
        // Redis may answer too late on a busy machine: then the invalidation is deferred.
        is_there && removed.status == 200 && removed.json()["entries"] == 1
    })
    .await;
    for (unusable, field) in [
        (json!({ "tags": vec!["a:1"; 101] }), "tags"),
        (json!({ "keys": ["another:key:1"] }), "keys[0]"),
        (json!({ "tags": ["without-a-kind"] }), "tags[0]"),
        (json!({ "tags": ["a:1,b:2"] }), "tags[0]"),
    ] {
        let request = service.request(Method::POST, invalidations).header("authorization", &bearer).json(&unusable);
        let problem = Service::send(request).await.problem(422, "invalid-fields");
        assert_eq!(problem["errors"][0]["field"], field, "{unusable}");
    }
}

async fn get_with(service: &Service, path: &str, authorization: &str) -> TestResponse {
    Service::send(service.request(Method::GET, path).header("authorization", authorization)).await
}
