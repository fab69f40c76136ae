//! The parts of the API's description that one module adds for every route.

use serde_json::{Value, json};
use service::docs::complete;
use service::problem::Problem;
use utoipa::OpenApi;

#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema matters")]
struct Row {
    count: i32,
    #[schema(minimum = 1)]
    total: i64,
}

#[utoipa::path(get, path = "/rows/{id}", params(("id" = i64, Path, minimum = 1)), responses((status = 200, body = Row), (status = 304)))]
#[expect(dead_code, reason = "only its description matters")]
fn read() {}

#[utoipa::path(
    put,
    path = "/rows/{id}",
    params(("id" = i64, Path, minimum = 1), ("If-Match" = Option<String>, Header, description = "As the service says")),
    request_body = Row,
    responses((status = 200, body = Row), (status = 401, body = Problem), (status = 412, body = Problem)),
)]
#[expect(dead_code, reason = "only its description matters")]
fn write() {}

#[utoipa::path(post, path = "/rows", responses((status = 201, body = Row)))]
#[expect(dead_code, reason = "only its description matters")]
fn create() {}

#[derive(OpenApi)]
#[openapi(paths(read, write, create))]
struct Api;

fn description() -> Value {
    serde_json::to_value(complete(Api::openapi())).expect("a description is JSON")
}

fn parameter(operation: &Value, name: &str) -> Value {
    let parameters = operation["parameters"].as_array().expect("parameters");
    let mut found = parameters.iter().filter(|parameter| parameter["name"] == name).cloned();
    let parameter = found.next().unwrap_or_default();
    assert!(found.next().is_none(), "{name} is described twice");
    parameter
}

#[test]
fn preconditions_are_described_as_parameters() {
    let api = description();
    let (get, put) = (&api["paths"]["/rows/{id}"]["get"], &api["paths"]["/rows/{id}"]["put"]);
    assert_eq!(
        parameter(get, "If-None-Match")["schema"],
        json!({ "type": "string" }),
        "a read takes what it understands"
    );
    assert!(get["responses"].get("412").is_some(), "a read has preconditions as well");
    for (operation, name) in [(get, "If-Match"), (put, "If-Match"), (put, "If-None-Match")] {
        let precondition = parameter(operation, name);
        assert_eq!((&precondition["in"], &precondition["required"]), (&json!("header"), &json!(false)), "{name}");
        assert_eq!(precondition["schema"]["format"], "entity-tags", "{name}");
        assert!(precondition["schema"]["pattern"].as_str().is_some_and(|tags| tags.contains(r"\*")), "{name}");
    }
    assert_eq!(parameter(put, "If-Match")["description"], "As the service says");
}

#[test]
fn headers_that_a_status_always_has_are_required() {
    let api = description();
    let (row, rows) = (&api["paths"]["/rows/{id}"], &api["paths"]["/rows"]);
    for (operation, status, name) in [
        (&row["get"], "200", "Cache-Control"),
        (&row["get"], "304", "ETag"),
        (&row["get"], "503", "Retry-After"),
        (&row["head"], "503", "Retry-After"),
        (&row["put"], "401", "WWW-Authenticate"),
        (&row["put"], "412", "Cache-Control"),
        (&rows["post"], "201", "Location"),
    ] {
        let header = &operation["responses"][status]["headers"][name];
        assert_eq!(header["required"], true, "{status} {name}: {header}");
    }
}

#[test]
fn integers_are_described_with_their_range() {
    let api = description();
    let row = &api["components"]["schemas"]["Row"]["properties"];
    assert_eq!((&row["count"]["minimum"], &row["count"]["maximum"]), (&json!(i32::MIN), &json!(i32::MAX)));
    assert_eq!((&row["total"]["minimum"], &row["total"]["maximum"]), (&json!(1), &json!(i64::MAX)));
    let id = parameter(&api["paths"]["/rows/{id}"]["get"], "id");
    assert_eq!((&id["schema"]["minimum"], &id["schema"]["maximum"]), (&json!(1), &json!(i64::MAX)));
}

#[test]
fn head_is_described_for_every_get_without_bodies() {
    let api = description();
    let head = &api["paths"]["/rows/{id}"]["head"];
    assert!(head["operationId"] == "head_rows_id" && head["responses"]["200"]["content"].is_null(), "{head}");
    assert!(api["paths"]["/rows"]["head"].is_null());
}
