//! The metrics of a consumer report its work.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use outbox::consumer::Delivery;
use testkit::eventually;

use crate::support::{AT_MOST, Fixture, GROUP, Recorder, applied, reads, unavailable};

fn value(metrics: &PrometheusHandle, name: &str) -> f64 {
    let labels = format!("{name}{{stream=\"order:events\",group=\"{GROUP}\"}} ");
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(&labels));
    line.unwrap_or_else(|| panic!("no {labels} in\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn consumer_metrics_report_lag_retries_and_applied_events() {
    let (fixture, recorder) = (Fixture::new().await, Recorder::new());
    let prometheus = PrometheusBuilder::new().build_recorder();
    let shown = prometheus.handle();
    let consumer = metrics::with_local_recorder(&prometheus, || fixture.start(Delivery::Group(GROUP), &recorder));
    reads(&consumer).await;
    recorder.answer(|_| unavailable());
    fixture.append([1, 2, 4]).await;
    fixture.log_only(3..=3);
    eventually("the lag", AT_MOST, async || value(&shown, "events_lag") == 3.0).await;
    assert!(value(&shown, "events_lag_seconds") > 0.0);
    assert!(value(&shown, "events_retries_total") > 0.0);
    assert_eq!(value(&shown, "events_connected"), 1.0);
    recorder.answer(|_| Ok(()));
    applied(&recorder, 1..=4).await;
    eventually("no lag", AT_MOST, async || value(&shown, "events_lag") == 0.0).await;
    assert_eq!(value(&shown, "events_lag_seconds"), 0.0);
    assert_eq!(value(&shown, "events_received_total"), 3.0);
    assert_eq!(value(&shown, "events_applied_total"), 4.0);
    assert_eq!(value(&shown, "events_gaps_total"), 1.0);
    assert_eq!(value(&shown, "events_delay_seconds_count"), 4.0);
    consumer.stop().await;
    assert_eq!(value(&shown, "events_connected"), 0.0);
}
