//! Checks that HEAD is answered like GET, for every route of a service.

use reqwest::Method;

use super::Service;

/// Routes that every service has and its OpenAPI document does not name.
const STANDARD: [&str; 6] = ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs/", "/problems/not-found"];

/// Sends HEAD and GET to every GET route in the service's OpenAPI document, and compares status and headers.
///
/// `values` fills in the parameters of paths. A query follows the path that is its name: `("/search", "?q=lamp")`.
///
/// # Panics
/// Panics if they differ, or if a parameter has no value.
pub async fn assert_head_as_get(service: &Service, values: &[(&str, &str)]) {
    let description = service.get("/openapi.json").await.expect(200).json();
    let paths = description["paths"].as_object().expect("a description has paths");
    let described = paths.iter().filter(|(_, methods)| methods["get"].is_object()).map(|(path, _)| path.as_str());
    let described: Vec<&str> = described.collect();
    assert!(!described.is_empty(), "no GET route in {description}");
    for path in described.into_iter().chain(STANDARD) {
        assert_alike(service, &concrete(path, values)).await;
    }
}

/// Returns the path of a document with `values` in place of its parameters.
pub(super) fn concrete(path: &str, values: &[(&str, &str)]) -> String {
    let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let mut filled = String::new();
    for (index, part) in path.split(['{', '}']).enumerate() {
        let is_name = index % 2 == 1;
        filled.push_str(if is_name { value(part).unwrap_or_else(|| panic!("no value for {part}")) } else { part });
    }
    filled + value(path).unwrap_or_default()
}

async fn assert_alike(service: &Service, path: &str) {
    let head = Service::send(service.request(Method::HEAD, path)).await;
    assert!(head.body.is_empty(), "HEAD {path} has a body");
    assert!(!head.header("cache-control").is_empty(), "HEAD {path} has no Cache-Control");
    // The body is not read to its end, because the body of a stream has none.
    let get = service.request(Method::GET, path).send().await.expect("an answer");
    let header = |name: &str| get.headers().get(name).map_or("", |value| value.to_str().expect("visible ASCII"));
    assert_eq!(head.status, get.status().as_u16(), "{path}");
    // Not every service keeps entries in its memory.
    let may_be_absent = path.starts_with("/cache/near/");
    assert!(head.status == 200 || may_be_absent && head.status == 404, "{path}: {}", head.status);
    for name in ["content-type", "etag", "content-encoding", "vary"] {
        assert_eq!(head.header(name), header(name), "{path}: {name}");
    }
    // How long a response may be kept decreases from one request to the next.
    assert_eq!(directives(head.header("cache-control")), directives(header("cache-control")), "{path}");
    // Metrics, reports and entries differ from one moment to the next.
    if !matches!(path, "/metrics" | "/readyz") && !path.starts_with("/cache/") {
        assert_eq!(head.header("content-length"), header("content-length"), "{path}");
    }
}

/// Returns the names of the directives in a `Cache-Control` header.
fn directives(cache_control: &str) -> Vec<&str> {
    cache_control.split(", ").map(|directive| directive.split_once('=').map_or(directive, |(name, _)| name)).collect()
}
