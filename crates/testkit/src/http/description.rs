//! Checks for every route that a service does what its OpenAPI document says. Schemathesis tests the same at random.

use reqwest::Method;
use serde_json::{Map, Value};

use super::Service;
use super::head::concrete;

/// Compares the OpenAPI document of a service with its responses: the methods of each path, the form of errors, and the
/// responses to unusable bodies.
///
/// `values` fills in the parameters of paths.
///
/// # Panics
/// Panics if they differ, or if a parameter has no value.
pub async fn assert_description_holds(service: &Service, values: &[(&str, &str)]) {
    let description = service.get("/openapi.json").await.expect(200).json();
    let paths = description["paths"].as_object().expect("a description has paths");
    assert!(!paths.is_empty(), "no path in {description}");
    for (path, methods) in paths {
        let methods = methods.as_object().expect("a path has methods");
        assert_methods(service, &concrete(path, values), methods).await;
        for (method, operation) in methods {
            assert_errors_are_problems(&format!("{method} {path}"), method, operation);
            if operation["requestBody"].is_object() {
                assert_bodies_are_refused(service, method, &concrete(path, values), operation).await;
            }
        }
    }
}

/// Checks that OPTIONS and 405 list the methods that the document has.
async fn assert_methods(service: &Service, path: &str, methods: &Map<String, Value>) {
    let mut documented: Vec<String> = methods.keys().map(|method| method.to_uppercase()).collect();
    documented.push("OPTIONS".to_owned());
    documented.sort();
    for (method, status) in [(Method::OPTIONS, 204), (Method::PATCH, 405)] {
        let answer = Service::send(service.request(method.clone(), path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let mut allowed: Vec<&str> = answer.header("allow").split(", ").collect();
        allowed.sort_unstable();
        assert_eq!(allowed, documented, "{method} {path}");
    }
}

/// Checks that every error is documented as a problem. HEAD has no bodies.
fn assert_errors_are_problems(name: &str, method: &str, operation: &Value) {
    let responses = operation["responses"].as_object().expect("an operation has responses");
    let with_body = if operation["requestBody"].is_object() { ["413", "415", "422"].as_slice() } else { &[] };
    for status in ["400", "408", "431", "500", "503"].iter().chain(with_body) {
        assert!(responses.contains_key(*status), "{name} does not document {status}");
    }
    for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
        let types: Vec<&String> = response["content"].as_object().into_iter().flat_map(Map::keys).collect();
        let expected = if method == "head" { Vec::new() } else { vec!["application/problem+json"] };
        assert_eq!(types, expected, "{name} {status}");
    }
}

/// Checks that a body that is not JSON, not an object, or has a wrong content type is refused with a documented status.
async fn assert_bodies_are_refused(service: &Service, method: &str, path: &str, operation: &Value) {
    let method: Method = method.to_uppercase().parse().expect("a method");
    for (media_type, body, status) in [
        ("text/plain", "{}", 415),
        ("application/json; charset=utf-16", "{}", 415),
        ("application/json", "{", 400),
        ("application/json", "[]", 422),
        ("application/json", "null", 422),
        ("application/json", "{\"a field that no schema has\":1}", 422),
    ] {
        let request = service.request(method.clone(), path).header("content-type", media_type).body(body);
        let answer = Service::send(request).await;
        assert_eq!(answer.status, status, "{method} {path} with {body} as {media_type}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
        assert!(operation["responses"][status.to_string()].is_object(), "{method} {path} does not document {status}");
    }
}
