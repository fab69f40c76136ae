//! The end of a traced process, with a collector that works and with others that do not.

use std::time::Duration;

use serde_json::json;
use testkit::collector::Collector;
use tokio::net::TcpListener;

use crate::support::{Api, Stores};

/// Makes a write that succeeds and ends the process in an orderly way. Returns how long the end took, and the log.
async fn write_and_stop(api: Api) -> (Duration, String) {
    api.put("/products/explicit/1", &json!({ "stock": 5 })).await.expect(200);
    let exit = api.process.term().await.expect("it ends");
    assert_eq!(exit.code, 0, "{}", api.process.output());
    (exit.took, api.process.output())
}

#[tokio::test]
async fn spans_that_are_not_sent_yet_are_sent_at_sigterm() {
    let (stores, collector) = (Stores::start().await, Collector::start().await.expect("a port"));
    // The variable of OpenTelemetry names the collector, too.
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()), ("TRACES__INTERVAL", "1m")];
    write_and_stop(stores.api_with(&settings).await).await;
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name.starts_with("PUT ")), "{spans:?}");
}

#[tokio::test]
async fn collector_that_fails_disturbs_no_request_and_delays_the_end_by_the_grace_time() {
    let stores = Stores::start().await;
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hanging = format!("http://{}", hanging.local_addr().expect("its address"));
    // One that refuses connections, and one that never answers: an export to it takes five seconds. Each span is an
    // export of its own, so an end that waits for all of them takes more than a minute.
    for collector in ["http://127.0.0.1:9", &hanging] {
        let settings = [
            ("TRACES__ENDPOINT", collector),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
            ("TRACES__INTERVAL", "1m"),
            ("HTTP__GRACE", "1s"),
        ];
        let api = stores.api_with(&settings).await;
        for id in 1..=20 {
            api.get(&format!("/products/{id}")).await.expect(200);
        }
        let (took, log) = write_and_stop(api).await;
        assert!(took < Duration::from_secs(30), "{collector}: {took:?}");
        assert!(log.contains("spans could not be sent") || log.contains("spans cannot be sent"), "{collector}: {log}");
    }
}
