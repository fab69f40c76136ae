//! Bodies that no route accepts.

use reqwest::Method;

use super::Subject;
use crate::http::{Service, TestResponse};

/// Bodies, each with the status, the kind of the problem, and the field that it names.
const UNUSABLE: [(&str, u16, &str, &str); 11] = [
    ("", 400, "malformed", ""),
    ("{", 400, "malformed", ""),
    ("\u{fffd}", 400, "malformed", ""),
    ("{'a': 1}", 400, "malformed", ""),
    ("[]", 422, "invalid-fields", "$"),
    ("[1, 2]", 422, "invalid-fields", "$"),
    (r#"["arr name", "d", 5, 6, 1, true]"#, 422, "invalid-fields", "$"),
    ("null", 422, "invalid-fields", "$"),
    ("7", 422, "invalid-fields", "$"),
    ("\"text\"", 422, "invalid-fields", "$"),
    (r#"{"colour": "red"}"#, 422, "invalid-fields", "colour"),
];

/// A body that is not a JSON object of known fields, is too long, or has another type is refused by every route, and
/// changes nothing.
pub async fn unusable_bodies_are_refused_by_every_route<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&[]).await;
    let routes = S::bodies(&subject.fill(&service).await);
    assert!(!routes.is_empty(), "no route is tried");
    let before = digest(&subject).await;
    for (method, path, valid) in &routes {
        let put = async |kind: &str, body: String| send(&service, method, path, kind, body).await;
        let trailing = [(format!("{valid} {{}}"), 400, "malformed", ""), (format!("{valid},"), 400, "malformed", "")];
        let unusable = UNUSABLE.map(|(body, status, kind, field)| (body.to_owned(), status, kind, field));
        for (body, status, kind, field) in unusable.into_iter().chain(trailing) {
            let problem = put("application/json", body.clone()).await.problem(status, kind);
            if !field.is_empty() {
                assert_eq!(problem["errors"][0]["field"], field, "{path} {body}: {problem}");
                assert!(problem["errors"][0]["message"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
            }
        }
        for length in [65_537, 1_000_000] {
            put("application/json", padded(valid, length)).await.problem(413, "body-too-large");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense", ""] {
            put(kind, (*valid).to_owned()).await.problem(415, "unsupported-media-type");
        }
    }
    assert_eq!(digest(&subject).await, before);
    let (method, path, valid) = &routes[0];
    for kind in ["application/json", "application/json; charset=utf-8", "application/merge-patch+json"] {
        send(&service, method, path, kind, padded(valid, 65_536)).await.expect(200);
    }
    assert_ne!(digest(&subject).await, before, "the longest body is read");
}

async fn send(service: &Service, method: &Method, path: &str, kind: &str, body: String) -> TestResponse {
    let request = service.request(method.clone(), path).body(body);
    Service::send(if kind.is_empty() { request } else { request.header("content-type", kind) }).await
}

fn padded(body: &str, length: usize) -> String {
    format!("{body}{}", " ".repeat(length - body.len()))
}

/// Returns a digest of all data but the outbox, to compare before and after.
async fn digest<S: Subject>(subject: &S) -> String {
    let tables = "SELECT string_agg(md5(query_to_xml(format('SELECT * FROM %I t ORDER BY t::text', tablename),
                      true, false, '')::text), ' ' ORDER BY tablename)
                  FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'outbox%'";
    subject.database().expect("a service with a database").sql(tables).await
}
