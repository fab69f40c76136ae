//! A write is one trace: from the client's request through the outbox and the stream to every service that reacts.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use testkit::collector::{CollectedSpan, Collector};
use testkit::eventually;
use testkit::private_system::{PrivateSystem, Service};

const SOON: Duration = Duration::from_secs(60);

/// The span of the client, in its trace.
const CLIENT: &str = "00f067aa0ba902b7";

/// The system, and the collector that its services send their spans to.
struct Traced {
    system: PrivateSystem,
    collector: Collector,
    http: Client,
}

impl Traced {
    async fn start() -> Self {
        let collector = Collector::start().await.expect("a port");
        let settings = [
            ("TRACES__ENDPOINT", &*collector.url()),
            ("TRACES__INTERVAL", "20ms"),
            ("LOG__FILTER", "info,service=debug"),
        ];
        let system = PrivateSystem::start(130, &settings).await.expect("the four services");
        let http = Client::builder().no_proxy().timeout(SOON).build().expect("a plain client");
        Self { system, collector, http }
    }

    /// Waits until the trace has a span of this name and service, and returns it.
    async fn span(&self, trace: &str, service: &str, name: &str) -> CollectedSpan {
        let what = format!("a span `{name}` of {service}");
        eventually(&what, SOON, async || {
            self.collector.trace(trace).into_iter().find(|span| span.service == service && span.name == name)
        })
        .await
    }

    /// Waits until every service has reacted in the trace to a change whose span is `cause`.
    async fn assert_followed(&self, trace: &str, cause: &str) {
        let published = self.span(trace, "product-api", "publish product:events").await;
        assert_eq!((published.kind, published.parent_id.as_str()), (4, cause));
        for service in ["cart", "search", "recommendation"] {
            let processed = self.span(trace, service, "process product:events").await;
            assert_eq!((processed.kind, processed.parent_id.as_str()), (5, cause), "{service}");
        }
        assert_eq!(self.span(trace, "search", "index product:events").await.parent_id, cause);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_one_trace_across_the_four_services() {
    let traced = Traced::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let change = traced.http.put(format!("{}/products/explicit/1", traced.system.url(Service::ProductApi)));
    let change = change.header("traceparent", format!("00-{trace}-{CLIENT}-01")).json(&json!({ "price_cents": 4_242 }));
    assert_eq!(change.send().await.expect("an answer").status(), 200);

    let put = traced.span(trace, "product-api", "PUT /products/{strategy:explicit}/{id}").await;
    assert_eq!((put.kind, put.parent_id.as_str()), (2, CLIENT));
    traced.assert_followed(trace, &put.span_id).await;
    // Both services fetch the changed row, and their requests carry the trace back to the product API.
    for (service, name) in [("search", "index product:events"), ("recommendation", "process product:events")] {
        let reaction = traced.span(trace, service, name).await;
        eventually("the request of the reaction", SOON, async || {
            let spans = traced.collector.trace(trace);
            spans.iter().any(|span| span.service == "product-api" && span.parent_id == reaction.span_id)
        })
        .await;
    }
    let log = traced.system.output(Service::ProductApi).await;
    let answered = |line: &str| line.contains("answered") && line.contains("PUT");
    let line = log.lines().find(|line| answered(line)).expect("the request is logged");
    assert!(line.ends_with(&format!(" trace_id={trace}")), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_cart_is_one_trace_with_the_recommendation() {
    let traced = Traced::start().await;
    let carts = format!("{}/carts", traced.system.url(Service::Cart));
    let created = traced.http.post(&carts).json(&json!({})).send().await.expect("an answer");
    let created: Value = created.json().await.expect("a cart");
    let item = format!("{carts}/{}/items/1", created["id"].as_str().expect("an id"));
    // Without a traceparent, the request begins a trace.
    assert_eq!(traced.http.put(item).json(&json!({ "quantity": 1 })).send().await.expect("an answer").status(), 201);

    let put = eventually("the span of the request", SOON, async || {
        traced.collector.spans().into_iter().find(|span| span.name == "PUT /carts/{id}/items/{product_id}")
    })
    .await;
    assert_eq!(put.parent_id, "");
    for (service, name) in [("cart", "publish cart:events"), ("recommendation", "process cart:events")] {
        assert_eq!(traced.span(&put.trace_id, service, name).await.parent_id, put.span_id, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_one_batch_appear_in_the_trace_of_each_writer() {
    let traced = Traced::start().await;
    let traces = ["00000000000000000000000000000001", "00000000000000000000000000000002"];
    let writes = traces.iter().zip(1..).map(|(trace, id)| {
        format!(
            "SET LOCAL shop.traceparent = '00-{trace}-{CLIENT}-01'; UPDATE products SET stock = stock + 1 WHERE id = {id};"
        )
    });
    // Committed together, the events are published and delivered together.
    let sql = format!("BEGIN; {} COMMIT", writes.collect::<String>());
    traced.system.postgres.sql("shop_db", &sql).await.expect("two changes");
    for trace in traces {
        traced.assert_followed(trace, CLIENT).await;
    }
    let [first, second] = traces;
    let published = traced.span(second, "product-api", "publish product:events").await;
    assert_eq!(published.links, [first], "the work happens in the first trace");
}
