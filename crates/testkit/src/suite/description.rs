//! The API's description: complete, consistent, and the same from every source.

use serde_json::Value;

use super::Subject;
use crate::ChildProcess;

/// The description is OpenAPI 3.1, has exactly the operations of the service, and the binary prints the same one.
pub async fn openapi_document_names_every_route<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&[]).await;
    let description = service.get("/openapi.json").await.expect(200);
    assert_eq!(description.header("content-type"), "application/json");
    let description = description.json();
    let version = description["openapi"].as_str().expect("a version");
    assert!(version.starts_with("3.1."), "{version}");
    let title = description["info"]["title"].as_str().expect("a title");
    assert_eq!(title.to_lowercase(), S::NAME.replace('-', " "));
    assert_eq!(operations(&description), S::OPERATIONS);
    assert_references_resolve(&description);

    // The subcommands of the binary.
    let (_, port) = service.address().rsplit_once(':').expect("a port");
    let run = async |command: &str, port: &str| {
        let mut process = subject.command(&[("HTTP__PORT", port)]);
        let process = ChildProcess::start(process.arg(command)).expect("the binary has been built");
        (process.exit().await.expect("it ends").code, process.output())
    };
    let (code, output) = run("healthcheck", port).await;
    assert_eq!(code, 0, "{output}");
    let (code, output) = run("healthcheck", "1").await;
    assert!(code == 1 && output.contains("127.0.0.1:1"), "{output}");
    let (code, output) = run("openapi", "0").await;
    assert_eq!(code, 0, "{output}");
    assert_eq!(serde_json::from_str::<Value>(&output).expect("JSON and nothing else"), description);
    let (code, output) = run("dance", "0").await;
    assert!(code == 1 && output.contains("healthcheck"), "{output}");
}

/// Returns the method and the path of every operation, in order. Each must describe its responses and the parameters of
/// its path.
fn operations(description: &Value) -> Vec<String> {
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("an object") {
        for (method, operation) in methods.as_object().expect("an object") {
            operations.push(format!("{method} {path}"));
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()));
            for name in path.split(['{', '}']).skip(1).step_by(2) {
                let is_described = operation["parameters"].as_array().is_some_and(|parameters| {
                    parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path")
                });
                assert!(is_described, "{method} {path} does not describe {name}");
            }
        }
    }
    operations.sort();
    operations
}

fn assert_references_resolve(description: &Value) {
    let text = description.to_string();
    let references: Vec<_> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!references.is_empty(), "no reference in {text}");
    for reference in references {
        assert!(description.pointer(reference).is_some(), "{reference} leads nowhere");
    }
}
