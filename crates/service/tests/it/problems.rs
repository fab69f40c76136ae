//! Invalid requests: each receives a problem that says what to correct.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use service::problem::{Body, Problem, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Running, exchange, settings, start};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its shape matters")]
struct Product {
    name: String,
    price_cents: u32,
    #[serde(default)]
    items: Vec<Item>,
    maker: Option<Maker>,
    kind: Option<Variety>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape matters")]
struct Maker {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its shape matters")]
enum Variety {
    Single,
    Set { pieces: u32 },
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its shape matters")]
struct Item {
    quantity: u32,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    limit: u32,
}

async fn put(Body(_): Body<Product>, id: web::Path<i64>) -> Result<HttpResponse, Problem> {
    match *id {
        1 => Ok(HttpResponse::Ok().body("stored")),
        2 => Err(Problem::unavailable(Duration::from_millis(1200), "10.0.0.7 refused")),
        3 => Err(Problem::internal("SELECT secret FROM vault")),
        _ => Err(Problem::not_found("no product of that id")),
    }
}

async fn list(Query(page): Query<Page>) -> HttpResponse {
    HttpResponse::Ok().body(page.limit.to_string())
}

fn server() -> Running {
    start(&settings(), |cfg| {
        cfg.service(web::resource("/products/{id}").route(web::put().to(put)))
            .service(web::resource("/products").route(web::get().to(list)));
    })
}

struct Reply {
    status: u16,
    media_type: String,
    retry_after: Option<String>,
    allow: Option<String>,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        assert_eq!(self.media_type, "application/problem+json");
        serde_json::from_str(&self.text).unwrap()
    }
}

async fn send(
    server: &Running, method: &str, path: &str, media_type: Option<&str>, body: impl Into<reqwest::Body>,
) -> Reply {
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).body(body);
    if let Some(media_type) = media_type {
        request = request.header("content-type", media_type);
    }
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Reply {
        status: response.status().as_u16(),
        media_type: header("content-type").unwrap_or_default(),
        retry_after: header("retry-after"),
        allow: header("allow"),
        text: response.text().await.unwrap(),
    }
}

async fn put_json(server: &Running, body: &str) -> Reply {
    send(server, "PUT", "/products/1", Some("application/json"), body.to_owned()).await
}

#[tokio::test]
async fn value_of_a_wrong_type_is_reported_with_its_field() {
    let server = server();
    let table = [
        (r#"{"name":"a","price_cents":"x"}"#, "price_cents", "invalid type: string \"x\", expected u32"),
        (r#"{"name":"a","price_cents":-1}"#, "price_cents", "invalid value: integer `-1`, expected u32"),
        (
            r#"{"name":"a","price_cents":1,"items":[{"quantity":1},{"quantity":null}]}"#,
            "items[1].quantity",
            "invalid type: null, expected u32",
        ),
        (r#"{"name":"a"}"#, "price_cents", "is missing"),
        (r#"{"name":"a","price_cents":1,"items":[{}]}"#, "items[0].quantity", "is missing"),
        (
            r#"{"name":"a","price_cents":1,"colour":"red"}"#,
            "colour",
            "unknown field `colour`, expected one of `name`, `price_cents`, `items`, `maker`, `kind`",
        ),
        (r#"[]"#, "$", "invalid type: sequence, expected a JSON object"),
        (r#"["a",1,[]]"#, "$", "invalid type: sequence, expected a JSON object"),
        (r#""a""#, "$", "invalid type: string \"a\", expected a JSON object"),
        ("null", "$", "invalid type: null, expected a JSON object"),
        (r#"{"name":"a","price_cents":1,"items":[[1]]}"#, "items[0]", "invalid type: sequence, expected a JSON object"),
        (r#"{"name":"a","price_cents":1,"maker":["m"]}"#, "maker", "invalid type: sequence, expected a JSON object"),
        (r#"{"name":"a","price_cents":1,"maker":null}"#, "maker", "must not be null; leave the field out instead"),
        (
            r#"{"name":"a","price_cents":1,"maker":{"name":["m"]}}"#, "maker.name",
            "invalid type: sequence, expected a string",
        ),
        (
            r#"{"name":"a","price_cents":1,"kind":{"set":[3]}}"#, "kind.set",
            "invalid type: sequence, expected a JSON object",
        ),
        (r#"{"name":"a","name":"b","price_cents":1}"#, "$", "duplicate field `name`"),
    ];
    for (body, field, message) in table {
        let answer = put_json(&server, body).await;
        assert_eq!(answer.status, 422, "{body}");
        let problem = answer.json();
        assert_eq!(problem["type"], "/problems/invalid-fields");
        assert_eq!(problem["status"], 422);
        assert_eq!(problem["errors"], json!([{"field": field, "message": message}]), "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let server = server();
    let deep = format!(r#"{{"items":[{{"unknown":{}"#, "[".repeat(10_000));
    for body in ["", "{", "not json", r#"{"name":"a","price_cents":1} trailing"#, "\u{0}", &deep] {
        let answer = put_json(&server, body).await;
        assert_eq!(answer.status, 400, "{body:.20}");
        assert_eq!(answer.json()["type"], "/problems/malformed");
    }
}

#[tokio::test]
async fn only_json_bodies_are_accepted() {
    let server = server();
    let body = r#"{"name":"a","price_cents":1}"#;
    for media_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("nonsense")] {
        let answer = send(&server, "PUT", "/products/1", media_type, body).await;
        assert_eq!(answer.status, 415, "{media_type:?}");
        assert_eq!(answer.json()["type"], "/problems/unsupported-media-type");
    }
    for charset in ["utf-16", "iso-8859-1", "nonsense"] {
        let media_type = format!("application/json; charset={charset}");
        let answer = send(&server, "PUT", "/products/1", Some(&media_type), body).await;
        assert_eq!(answer.status, 415, "{charset}");
        assert_eq!(answer.json()["detail"], "The charset must be utf-8.");
    }
    for media_type in [
        "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
        "application/merge-patch+json",
    ] {
        let answer = send(&server, "PUT", "/products/1", Some(media_type), body).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "stored"), "{media_type}");
    }
}

#[tokio::test]
async fn compressed_bodies_are_unsupported() {
    let server = server();
    for (encoding, status) in
        [("gzip", 415), ("br", 415), ("nonsense", 415), ("identity, gzip", 415), ("identity", 200)]
    {
        let request = reqwest::Client::new()
            .put(server.url("/products/1"))
            .header("content-type", "application/json")
            .header("content-encoding", encoding)
            .body(r#"{"name":"a","price_cents":1}"#);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{encoding}");
        if status == 415 {
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["type"], "/problems/unsupported-media-type");
        }
    }
}

#[tokio::test]
async fn nested_values_of_the_right_shape_are_accepted() {
    let server = server();
    assert_eq!(put_json(&server, r#"{"name":"a","price_cents":20.0}"#).await.status, 200, "an integer in JSON Schema");
    assert_eq!(put_json(&server, r#"{"name":"a","price_cents":20.5}"#).await.status, 422);
    for kind in [r#""single""#, r#"{"set":{"pieces":3}}"#] {
        let body = format!(
            r#"{{"name":"a","price_cents":1,"items":[{{"quantity":2}}],"maker":{{"name":"m"}},"kind":{kind}}}"#
        );
        assert_eq!(put_json(&server, &body).await.status, 200, "{body}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_problem() {
    let server = server();
    let fits = format!(r#"{{"name":"{}","price_cents":1}}"#, "a".repeat(60 * 1024));
    assert_eq!(put_json(&server, &fits).await.status, 200);
    for size in [64 * 1024, 1024 * 1024, 8 * 1024 * 1024] {
        let answer = put_json(&server, &format!(r#"{{"name":"{}","price_cents":1}}"#, "a".repeat(size))).await;
        assert_eq!(answer.status, 413, "{size}");
        assert_eq!(answer.json()["detail"], "The body may have at most 65536 bytes.");
    }
}

#[tokio::test]
async fn client_that_sends_the_whole_body_before_reading_receives_413() {
    let server = server();
    for head in ["Content-Length: 1048576\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n100000\r\n"] {
        let mut stream = server.connect().await;
        let head = format!("PUT /products/1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'a'; 1024 * 1024]).await.unwrap();
        if head.contains("chunked") {
            stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        }
        let mut answer = vec![0; 64];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    }
}

/// The client declares the body and sends none of it: there is nothing to wait for.
#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_before_the_body_arrives() {
    let server = server();
    // No route reads the body of the second request.
    for line in ["PUT /products/1", "POST /unknown"] {
        let mut stream = server.connect().await;
        let head =
            format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65537\r\n\r\n");
        let answer = exchange(&mut stream, &head).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("/problems/body-too-large"), "{line}: {answer}");
    }
}

#[tokio::test]
async fn unknown_address_gets_404_and_wrong_method_405() {
    let server = server();
    let answer = send(&server, "GET", "/nowhere", None, "").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["type"], "/problems/not-found");

    let answer = send(&server, "DELETE", "/products/1", None, "").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.allow.as_deref(), Some("PUT, OPTIONS"));
    assert_eq!(answer.json()["detail"], "/products/1 has PUT, OPTIONS, not DELETE.");
}

#[tokio::test]
async fn paths_and_queries_that_do_not_parse_are_malformed() {
    let server = server();
    let table = [
        ("/products/one", "The path cannot be read: can not parse \"one\" to a i64.", json!(null)),
        ("/products/%00", "The path cannot be read: can not parse \"\\0\" to a i64.", json!(null)),
        (
            "/products/99999999999999999999",
            "The path cannot be read: can not parse \"99999999999999999999\" to a i64.",
            json!(null),
        ),
        (
            "/products?limit=x",
            "The query cannot be read: limit: invalid digit found in string.",
            json!([{"field": "limit", "message": "invalid digit found in string"}]),
        ),
    ];
    for (path, detail, errors) in table {
        let method = if path.contains('?') { "GET" } else { "PUT" };
        let answer = send(&server, method, path, Some("application/json"), r#"{"name":"a","price_cents":1}"#).await;
        assert_eq!(answer.status, 400, "{path}");
        let problem = answer.json();
        assert_eq!(problem["type"], "/problems/malformed");
        assert_eq!(problem["detail"], detail);
        assert_eq!(problem["errors"], errors);
    }
    assert_eq!(server.get("/products?limit=7").await, (200, "7".to_owned()));
    assert_eq!(server.get("/products").await, (200, "0".to_owned()));
}

#[test]
fn problem_schema_describes_every_member() {
    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(Problem)))]
    struct Api;
    let api = serde_json::to_value(<Api as utoipa::OpenApi>::openapi()).unwrap();
    let problem = &api["components"]["schemas"]["Problem"];
    assert_eq!(problem["required"], json!(["type", "title", "status", "detail"]), "{api}");
    assert_eq!(problem["properties"]["errors"]["items"]["$ref"], "#/components/schemas/FieldError", "{api}");
    assert!(api["components"]["schemas"]["FieldError"].is_object(), "{api}");
}

#[tokio::test]
async fn problem_cause_is_never_sent_and_retry_after_is_rounded_up() {
    let server = server();
    let body = r#"{"name":"a","price_cents":1}"#;
    let unavailable = send(&server, "PUT", "/products/2", Some("application/json"), body).await;
    assert_eq!((unavailable.status, unavailable.retry_after.as_deref()), (503, Some("2")));
    assert!(!unavailable.text.contains("10.0.0.7"));

    let internal = send(&server, "PUT", "/products/3", Some("application/json"), body).await;
    assert_eq!(internal.status, 500);
    assert!(!internal.text.contains("SELECT"));

    let absent = send(&server, "PUT", "/products/4", Some("application/json"), body).await;
    assert_eq!(
        absent.json(),
        json!({
            "type": "/problems/not-found", "title": "Not found", "status": 404,
            "detail": "no product of that id"
        })
    );
}

#[tokio::test]
async fn problem_type_leads_to_its_explanation() {
    let server = server();
    let problem = send(&server, "GET", "/nowhere", None, "").await.json();
    let (status, text) = server.get(problem["type"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    assert!(text.starts_with("Not found (404 Not Found)\n/problems/not-found\n"), "{text}");
    assert_eq!(server.get("/problems/no-such-problem").await.0, 404);
}
