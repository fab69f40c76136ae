//! Faults: each is caused, seen and undone, even if the console crashes in between.

use serde_json::json;
use testkit::eventually;
use testkit::http::Service;

use crate::support::{Page, SOON, System, command};

/// Returns the ACL rules of every Redis user.
async fn rights(system: &System) -> String {
    let mut lines: Vec<String> =
        system.services.redis.cli(&["ACL", "LIST"]).await.expect("a list").lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

#[tokio::test]
async fn faults_are_refused_unless_they_are_enabled() {
    let console = Service::start(&command(&[])).await;
    let list = console.get("/faults").await.expect(200).json();
    assert_eq!(list.as_array().map(Vec::len), Some(8));
    for fault in list.as_array().expect("a list") {
        assert_eq!(fault["available"], false, "{fault}");
        let path = format!("/faults/{}", fault["name"].as_str().expect("a name"));
        let problem = console.post(&path, &json!({ "seconds": 1 })).await.problem(503, "unavailable");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("FAULTS_ENABLED")), "{problem}");
    }
}

#[tokio::test]
async fn every_fault_ends_by_itself_and_its_effect_is_seen() {
    // A command fails several times within the shortest fault.
    let settings = [("FAULTS__ENABLED", "true"), ("REDIS__COMMAND_TIMEOUT", "200ms")];
    let system = System::start_with_two(&settings).await;
    let before = rights(&system).await;
    let mut page = Page::open(&system.console, "").await;
    page.until("a fresh copy", |page| page.state("production", "redis") == "fresh").await;
    page.until("a fresh cart", |page| page.state("production", "cart") == "fresh").await;
    page.until("the second process to hold it", |page| page.state("production", "near-2") == "fresh").await;
    for (name, seconds) in [
        ("redis-frozen", 2),
        ("redis-stopped", 2),
        ("events-late", 3),
        ("subscriber-paused", 3),
        ("events-dropped", 3),
        ("slow-database", 3),
        ("replica-frozen", 3),
        ("crash-after-commit", 5),
    ] {
        let path = format!("/faults/{name}");
        let state = |page: &Page, field: &str| {
            let faults = page.of("faults").last().map(|record| record["faults"].clone()).unwrap_or_default();
            faults
                .as_array()
                .into_iter()
                .flatten()
                .find(|fault| fault["name"] == name)
                .map(|fault| fault[field].clone())
        };
        assert_eq!(system.console.post(&path, &json!({ "seconds": seconds })).await.status, 202, "{name}");
        page.until(&format!("{name} to begin"), |page| state(page, "active") == Some(json!(true))).await;
        // A product must change while the fault lasts, so that its effect is seen. With some faults, the write fails.
        let _ =
            Service::try_send(system.console.request(reqwest::Method::POST, "/actions/change-price").json(&json!({})))
                .await;
        page.until(&format!("{name} to end"), |page| state(page, "active") == Some(json!(false))).await;
        assert_eq!(state(&page, "error"), Some(json!(null)), "{name}");
        page.until(&format!("{name} to be seen"), |page| state(page, "seen") == Some(json!(true))).await;
        assert_eq!(rights(&system).await, before, "{name} is undone");
        let ready = format!("{}/readyz", system.services.url(testkit::private_system::Service::ProductApi));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        eventually(&format!("the recovery after {name}"), 2 * SOON, async || {
            let Ok(answer) = client.get(&ready).send().await else { return false };
            answer.json::<serde_json::Value>().await.is_ok_and(|report| report["status"] == "ready")
        })
        .await;
        page.until("hits again", |page| page.state("production", "redis") == "fresh").await;
    }
}

#[tokio::test]
async fn fault_of_a_killed_console_is_undone_by_the_next_one() {
    let enabled = [("FAULTS__ENABLED", "true")];
    let mut system = System::start(&enabled).await;
    let before = rights(&system).await;
    assert_eq!(system.console.post("/faults/redis-stopped", &json!({ "seconds": 30 })).await.status, 202);
    eventually("the fault", SOON, async || rights(&system).await != before).await;
    system.console.process.kill9().await.expect("it is killed");
    system.console = Service::start(&System::command(&system.services, &enabled)).await;
    eventually("the rights that were there before", SOON, async || rights(&system).await == before).await;
    // A console that is asked to stop undoes its faults first.
    assert_eq!(system.console.post("/faults/events-late", &json!({ "seconds": 30 })).await.status, 202);
    eventually("the second fault", SOON, async || rights(&system).await != before).await;
    assert_eq!(system.console.process.term().await.expect("it ends").code, 0);
    assert_eq!(rights(&system).await, before);
}
