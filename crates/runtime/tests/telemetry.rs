//! Telemetry is set up once, and refuses invalid settings.

use runtime::telemetry::{self, LogFormat, LogSettings, Metrics, TelemetryError};

#[tokio::test]
async fn telemetry_is_set_up_once() {
    let wrong = LogSettings { filter: "cache=loud".to_owned(), ..LogSettings::default() };
    let refusal = telemetry::init(&wrong).unwrap_err().to_string();
    assert!(refusal.starts_with("LOG__FILTER cannot be used: "), "{refusal}");

    let settings = LogSettings { filter: "off".to_owned(), format: LogFormat::Json };
    let telemetry = telemetry::init(&settings).unwrap();
    metrics::counter!("a_counter").increment(2);
    assert!(telemetry.metrics().render().contains("a_counter 2"));
    assert!(Metrics::install().unwrap().render().contains("a_counter 2"), "a process has one recorder");

    assert!(matches!(telemetry::init(&settings), Err(TelemetryError::Taken(_))));
}

#[test]
fn unknown_log_format_is_refused_with_the_known_formats() {
    let refusal = LogFormat::try_from("xml".to_owned()).unwrap_err();
    assert_eq!(refusal, "expected `pretty` or `json`, got \"xml\"");
}
